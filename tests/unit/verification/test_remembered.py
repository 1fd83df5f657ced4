"""A look that found nothing is not taken again while nothing of it has changed; whatever changes, everything is searched.

The planted leak of these tests was overlooked once, by a search that was blind: what is remembered says clean.  As long as
nothing changes, that is believed; whatever changes, the leak is found.
"""

import json
import os
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import dagster as dg
import pytest
import yaml

from gradient_assets.checks.leaks import _in_table, _of_hospital
from gradient_assets.checks.telling import SEARCHED_NOW
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.hospitals import load_registry
from gradient_assets.integrity.recheck import Recheck, verify_hospital
from gradient_assets.quarantine.spared import Spared
from gradient_assets.seals import Seals
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA
from gradient_assets.verification import Found, Remembered, Verifier, remembered
from resources.buckets.object_store import Bucket, BucketAddress
from tests.fakes.small_home import SmallHome
from tests.unit.verification.test_verification import FixedReader, Line, rewrite

HOSPITAL = "st-mary"
KEY = "known-deidentified_metadata"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return SmallHome.build(tmp_path_factory.mktemp("home"))


@pytest.fixture
def home(built, tmp_path):
    """A copy of the home, which a test may change."""
    shutil.copytree(built.path, tmp_path / "home")
    return SmallHome(tmp_path / "home")


def opened(home):
    """As another process opens it."""
    return SmallHome(home.path)


def verifier(home, run="later", looker="stage", kind=Verifier, **more):
    memory = Remembered.of(home.resources, home.hospital, looker, run)
    one = kind.of_hospital(home.resources, home.hospital, memory)
    return replace(one, share=1.0, **{"reader": None, **more})


class Blind(Verifier):
    """Searches for nobody."""

    index = IdentifierIndex.build([])


def place(home, look=KEY, looker="stage"):
    return f"{remembered.PREFIX}/{HOSPITAL}/{looker}/{look}.json"


def known(home, **more) -> Found:
    return verifier(opened(home), **more).known(DEIDENTIFIED_METADATA)


def of_dicom_metadata(home, change):
    """Write the first row of dicom_metadata anew."""
    return rewrite(home, change, spec=DICOM_METADATA)


def named(value):
    def change(row):
        row["study_description"] = value

    return change


@pytest.fixture
def leaking(home):
    """A row names its patient, and a verdict says that it is clean."""
    rewrite(home, named("BRAIN Zebulon Quillfeather"))
    assert known(home).total == 1
    assert known(home, run="blind", kind=Blind).since == ""
    return home


def test_what_was_clean_is_not_searched_again_while_nothing_changes(leaking):
    found = known(leaking)
    assert (found.total, found.searched, found.since) == (0, 4, "blind")


def rename(old):
    """A patient's name in `identifiers_json`, where it is gathered from."""

    def change(row):
        row["identifiers_json"] = row["identifiers_json"].replace("Quillfeather^Zebulon", old)

    return change


def byte_of_the_table(home, monkeypatch):
    """Without the warehouse, its time put back."""
    file = home.path / "deidentified/warehouse/deidentified_metadata" / f"{HOSPITAL}.parquet"
    before, content = file.stat(), bytearray(file.read_bytes())
    at = content.rindex(b"parquet-cpp-arrow")  # who wrote it, in the footer
    content[at] = ord("P")
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def another_code(home, monkeypatch):
    monkeypatch.setattr(remembered, "code_digest", lambda: "another")


def another_entry(home, monkeypatch):
    file = home.path / "hospitals.yaml"
    registry = yaml.safe_load(file.read_text())
    registry["hospitals"][0]["reports"] = {"replacement": "surrogates"}
    file.write_text(yaml.safe_dump(registry))


def another_profile(home, monkeypatch):
    file = home.path / "hospitals.yaml"
    file.write_text(file.read_text().replace("longitudinal", "safe_harbor"))


def another_key(home, monkeypatch):
    home.resources.keys.rotate("hospital/st-mary", by="Ada", reason="a laptop was lost")


def one_more_known(home, monkeypatch):
    of_dicom_metadata(home, rename("Quillfeather^Zebulon^Ray"))


def no_file(home, monkeypatch):
    home.resources.release_requests.delete([place(home)])


def broken_seal(home, monkeypatch):
    bucket = home.resources.release_requests
    content = json.loads(bucket.get(place(home)))
    content["content"]["searched"] = 5
    bucket.put(place(home), json.dumps(content).encode())


def no_json(home, monkeypatch):
    home.resources.release_requests.put(place(home), b"{broken")


def another_form(home, monkeypatch):
    """Sealed, with the right token, but what it counts is no number."""
    bucket, seals = home.resources.release_requests, Seals.of(home.resources, "hospital/st-mary", remembered.PREFIX)
    content = seals.opened(place(home), bucket.get(place(home)))
    bucket.put(place(home), seals.closed(place(home), content | {"searched": "4"}))


def another_purpose(home, monkeypatch):
    bucket, seals = home.resources.release_requests, Seals.of(home.resources, "hospital/st-mary", remembered.PREFIX)
    content = seals.opened(place(home), bucket.get(place(home)))
    other = Seals.of(home.resources, "hospital/st-mary", "_looked_at")
    bucket.put(place(home), other.closed(place(home), content))


def another_looks(home, monkeypatch):
    """A file that was sealed for another look lies in this one's place."""
    verifier(home).patterns(DEIDENTIFIED_METADATA)
    bucket = home.resources.release_requests
    bucket.put(place(home), bucket.get(place(home, "patterns-deidentified_metadata")))


CHANGES = [
    byte_of_the_table,
    another_code,
    another_entry,
    another_profile,
    another_key,
    one_more_known,
    no_file,
    broken_seal,
    no_json,
    another_form,
    another_purpose,
    another_looks,
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_everything_is_searched_and_the_leak_found(leaking, monkeypatch, change):
    change(opened(leaking), monkeypatch)
    found = known(leaking)
    assert (found.total, found.since) == (1, "")


def test_the_check_takes_no_verdict_from_the_stage(leaking):
    assert known(leaking, looker="check").total == 1


def test_who_remembers_nothing_searches_everything(leaking):
    home = opened(leaking)
    assert Verifier.of_hospital(home.resources, home.hospital).known(DEIDENTIFIED_METADATA).total == 1


def test_an_older_verdict_put_back_is_none_of_what_stands_there_now(home):
    known(home, run="first")
    older = home.resources.release_requests.get(place(home))
    rewrite(home, named("BRAIN Zebulon Quillfeather"))
    home.resources.release_requests.put(place(home), older)
    assert known(home).total == 1


def test_a_new_patients_name_is_searched_in_rows_that_were_clean_before(home):
    rewrite(home, named("BRAIN Ottokar Vanterpoole"))
    assert known(home, run="first").total == 0
    assert known(home).since == "first"
    of_dicom_metadata(home, rename("Vanterpoole^Ottokar"))
    assert known(home).by_kind == {"name in study_description": 1}


def test_what_was_found_is_not_remembered(leaking):
    no_file(leaking, None)
    for _ in range(2):
        assert known(leaking).total == 1
    assert not leaking.resources.release_requests.exists(place(leaking))


def test_what_changed_while_it_was_searched_is_not_remembered(home):
    class Slow(Verifier):
        @property
        def index(self):
            rewrite(home, named("BRAIN"))
            return IdentifierIndex.build([])

    assert known(home, kind=Slow).total == 0
    assert not home.resources.release_requests.exists(place(home))


def accepting(number):
    return Spared(
        tokens={"t": Counter({"name": number})}, findings={"t": {"found_by_verification": [f"{number} × name"]}}
    )


def test_a_decision_that_was_withdrawn_is_no_reason_to_believe_what_was_remembered_with_it(home):
    [token] = rewrite(home, named("BRAIN Zebulon Quillfeather"))

    class Accepting(Verifier):
        spared = Spared(tokens={token: Counter({"name": 1})})

    first = known(home, run="first", kind=Accepting)
    assert (first.total, first.accepted) == (0, 1)
    again = known(home, kind=Accepting)
    assert (again.total, again.accepted, again.since) == (0, 1, "first")
    assert known(home).total == 1


@pytest.mark.parametrize(
    "other",
    [
        Spared(),
        accepting(2),
        Spared(instances={"2.25.1": Counter({"name": 1})}),
        Spared(reports={"a text": Counter({"name": 1})}),
        Spared(objects={"P/1.dcm": Counter({"name": 1})}),
    ],
)
def test_every_part_of_what_was_accepted_counts(home, other):
    memory = Remembered.of(home.resources, home.hospital, "stage", "run")
    asked = [memory.ask("profile", spared, (DEIDENTIFIED_METADATA,)).asked_with for spared in (accepting(1), other)]
    assert asked[0] != asked[1]


LOOKS = {
    "known": lambda one: one.known(DEIDENTIFIED_METADATA),
    "patterns": lambda one: one.patterns(DEIDENTIFIED_METADATA),
    "profile": lambda one: one.profile(),
    "thumbnails": lambda one: one.known_in_thumbnails(),
    "text": lambda one: one.text_in_thumbnails(),
}


@pytest.mark.parametrize("look", LOOKS)
def test_each_look_says_the_same_from_memory(home, look):
    reader = FixedReader(Line("12", 0.6))
    first = LOOKS[look](verifier(opened(home), run="first", reader=reader))
    shown = reader.shown
    again = LOOKS[look](verifier(opened(home), reader=reader))
    assert again == replace(first, since="first")
    assert first.searched >= 4
    assert reader.shown == shown


@pytest.mark.parametrize("look", ["profile", "patterns"])
def test_the_header_as_it_was_sent_is_part_of_what_a_verdict_rests_on(home, look):
    LOOKS[look](verifier(home))
    of_dicom_metadata(home, lambda row: row.__setitem__("header_json", row["header_json"] + " "))
    assert LOOKS[look](verifier(opened(home))).since == ""


@pytest.mark.parametrize("look", ["thumbnails", "text"])
def test_a_thumbnail_changed_with_its_time_put_back_is_looked_at_again(home, look):
    LOOKS[look](verifier(home, reader=FixedReader()))
    assert LOOKS[look](verifier(opened(home), reader=FixedReader())).since
    file = next((home.path / "deidentified/thumbnails" / HOSPITAL).rglob("*.png"))
    before, content = file.stat(), file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert LOOKS[look](verifier(opened(home), reader=FixedReader())).since == ""


def test_another_reader_and_another_share_look_again(home):
    LOOKS["text"](verifier(home, reader=FixedReader()))
    other = FixedReader(Line("ANN SMITHERS"))
    other.version = "2"
    assert LOOKS["text"](verifier(home, reader=other)).total
    LOOKS["text"](verifier(home, reader=FixedReader()))
    assert LOOKS["text"](verifier(home, reader=FixedReader())).since
    assert LOOKS["text"](replace(verifier(home, reader=FixedReader()), share=0.5)).since == ""


class Tagged(Bucket):
    """As a store that gives entity tags with its listing, and is asked for no content."""

    def __init__(self, *tags):
        super().__init__(BucketAddress("s3://thumbnails"))
        self.tags = tags

    def listing(self, prefix="", start_after=None):
        from resources.buckets.object_store import ObjectStat

        for number, tag in enumerate(self.tags):
            yield ObjectStat(f"{prefix}{number}.png", tag, 4, None, "")

    def get(self, key, *, etag=None):
        return b"read"


def test_of_a_store_the_tags_of_the_listing_count_and_objects_without_one_are_read():
    digests = [
        remembered.objects_digest(Tagged(*tags), HOSPITAL) for tags in (("a",), ("b",), ("a", "a"), ("",), ('W/"a"',))
    ]
    assert len(set(digests)) == 4
    assert digests[3] == digests[4]


# what uses it


def check(home, run, **spec):
    judge = _of_hospital(
        "deidentified_metadata", (DEIDENTIFIED_METADATA,), lambda *given: _in_table(DEIDENTIFIED_METADATA, *given)
    )
    registry = load_registry(home.path / "hospitals.yaml", home=home.path)
    return judge(registry, opened(home).resources, HOSPITAL, run)


def told(outcome: dg.AssetCheckResult, name="remembered_since"):
    return outcome.metadata[f"gradient/{name}"].value


def test_the_blocking_check_says_when_its_outcome_was_remembered_and_since_which_run(home):
    first, again = check(home, "first"), check(home, "second")
    assert (first.passed, told(first), told(first, "searched")) == (True, SEARCHED_NOW, 4)
    assert (again.passed, told(again), told(again, "searched")) == (True, "first", 4)
    rewrite(home, named("BRAIN Zebulon Quillfeather"))
    failed = check(home, "third")
    assert (failed.passed, told(failed)) == (False, SEARCHED_NOW)
    assert not check(home, "fourth").passed


def test_gradient_verify_believes_nothing_that_is_remembered(leaking):
    """It hashes each table and object again, and looks for withdrawn patients in all of them."""
    byte_of_the_table(leaking, None)
    done = Recheck()
    verify_hospital(leaking.resources, HOSPITAL, leaking.hospital.secret_name, done)
    assert [one.place for one in done.differences if one.what == "changed"]


def test_only_counts_and_names_of_runs_are_remembered(home):
    verifier(home).all_in_headers()
    bucket = home.resources.release_requests
    files = [stat.key for stat in bucket.listing(remembered.PREFIX)]
    assert len(files) == 3
    for key in files:
        content = json.loads(bucket.get(key))["content"]
        assert content.keys() == {"token", "searched", "accepted", "doubtful", "run"}
        assert b"Quill" not in bucket.get(key)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of one module, one word list and what Python made of them; loaded just now."""
    folder = tmp_path / "package"
    (folder / "__pycache__").mkdir(parents=True)
    for name in ("__init__.py", "words.txt", "__pycache__/words.pyc"):
        (folder / name).write_text("one")
    made = ModuleType("package")
    made.__file__ = str(folder / "__init__.py")
    monkeypatch.setattr(remembered, "PACKAGES", (made,))
    monkeypatch.setattr(remembered, "LOADED_AT", time.time() + 60)
    return folder


@pytest.mark.parametrize(
    ("name", "counts"),
    [("__init__.py", True), ("words.txt", True), ("more.txt", True), ("__pycache__/words.pyc", False)],
)
def test_every_file_of_the_package_counts(package, name, counts):
    before = remembered.code_digest.__wrapped__()
    assert remembered.code_digest.__wrapped__() == before
    (package / name).write_text("two")
    assert (remembered.code_digest.__wrapped__() != before) is counts


def test_another_version_of_a_library_counts(package, monkeypatch):
    before = remembered.code_digest.__wrapped__()
    installed = [SimpleNamespace(name="ahocorasick-rs", version="99")]
    monkeypatch.setattr(remembered.metadata, "distributions", lambda: installed)
    assert remembered.code_digest.__wrapped__() != before


def test_code_that_was_changed_under_a_process_is_no_known_code(package, monkeypatch):
    monkeypatch.setattr(remembered, "LOADED_AT", time.time() - 60)
    assert remembered.code_digest.__wrapped__() != remembered.code_digest.__wrapped__()


def test_both_packages_count_with_what_judges():
    files = {str(path) for one in remembered.PACKAGES for path in Path(one.__file__).parent.rglob("*")}
    for needed in ("verification/rows.py", "deid/verify/index.py", "checks/leaks.py", "buckets/object_store.py"):
        assert any(path.endswith(needed) for path in files)
