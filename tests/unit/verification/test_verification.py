"""What was written is read back, judged, put aside, and looked at again."""

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradient_assets.checks.written import NO_TEXT, PROFILE_HOLDS, examples, outcome_of, unspared
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.verify import Hit
from gradient_assets.pipelines.metadata import CleanHeaders
from gradient_assets.pipelines.stage import ObjectCommit, StageCounts, StageError, StageRun
from gradient_assets.quarantine.spared import Spared
from gradient_assets.seals import Seals
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    HEADER_AUDIT,
    MADE_DEIDENTIFIED_METADATA,
    PIXEL_TEXT,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_THUMBNAILS,
)
from gradient_assets.verification import Found, Verifier
from gradient_assets.verification.looked_at import LookedAt
from gradient_assets.verification.partitions import is_drawn, share_of
from resources import Settings, SettingsError, resources_for
from resources.buckets.object_store import Bucket, BucketAddress
from tests.fakes.small_home import SmallHome

HOSPITAL = "st-mary"


class Line:
    def __init__(self, text, confidence=0.97):
        self.text, self.confidence = text, confidence


class FixedReader:
    """Reads the same in every picture, and counts how many it was shown."""

    name = "fixed"
    version = "1"

    def __init__(self, *lines):
        self.lines, self.shown = lines, 0

    def read(self, image):
        self.shown += 1
        return list(self.lines)


class BrokenReader(FixedReader):
    def read(self, image):
        raise RuntimeError("quotes Quillfeather")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return SmallHome.build(tmp_path_factory.mktemp("home"))


@pytest.fixture
def home(built, tmp_path):
    """A copy of the home, which a test may change."""
    shutil.copytree(built.path, tmp_path / "home")
    return SmallHome(tmp_path / "home")


def verifier(home, reader=None, **more):
    one = Verifier.of_hospital(home.resources, home.hospital)
    return replace(one, reader=reader, share=1.0, **more)


def rewrite(home, change, *, first_only=True, spec=DEIDENTIFIED_METADATA):
    """Write rows of a table anew as an engine that failed would have; returns the tokens."""
    warehouse = home.resources.warehouse
    rows = [row for batch in warehouse.scan(spec, HOSPITAL) for row in batch.to_pylist()]
    changed = rows[:1] if first_only else rows
    for row in changed:
        change(row)
    with warehouse.staging(spec.zone, "change") as place:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(changed, schema=spec.arrow_schema), sink)
        place.bucket.put("rows.parquet", sink.getvalue().to_pybytes())
        warehouse.replace(spec, HOSPITAL, shards=[f"{place.uri}/rows.parquet"])
    return [row["work_token"] for row in changed]


def in_header(tag, entry):
    def change(row):
        header = json.loads(row["header_json"])
        header[tag] = entry
        row["header_json"] = json.dumps(header)

    return change


def in_column(name, value):
    return lambda row: row.__setitem__(name, value)


def run_of(home):
    return StageRun(home.resources.warehouse, None, HOSPITAL, "run", {HOSPITAL: home.hospital})


def counts():
    return StageCounts(4, 4, 0, 0, 4, 0, {}, 1.0)


def headers_step(home):
    return CleanHeaders(home.hospital, Profile.named("longitudinal"), home.identity)


def test_what_the_stages_wrote_is_clean(home):
    one = verifier(home, FixedReader())
    for found in (one.all_in_headers(), one.all_in_reports(), one.all_in_thumbnails()):
        assert (found.total, found.details()) == (0, {})
    assert one.all_in_headers().searched > 0


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (in_column("study_description", "BRAIN Zebulon Quillfeather"), "name"),
        (in_column("series_description", "for Zebulon Quilfeather"), "name"),  # a typing error
        (in_header("00081030", {"vr": "LO", "Value": ["call (596) 268-0276"]}), "phone"),
        (in_header("00081030", {"vr": "LO", "Value": ["seen 12/21/2013 again"]}), "full_date"),
        (in_header("00104000", {"vr": "LT", "Value": ["write to o.vint@northgate.net"]}), "email"),
        (in_header("00101040", {"vr": "LO", "Value": ["a house"]}), "not_removed"),
        (in_header("0020000D", {"vr": "UI", "Value": ["1.2.3.4.200"]}), "uid_unchanged"),
        (in_header("00120062", {"vr": "CS", "Value": ["NO"]}), "identity_not_said_removed"),
        (in_column("header_json", "no JSON"), "verification_failed"),
    ],
)
def test_a_leak_in_a_row_is_found_put_aside_and_gone(home, change, kind):
    [token] = rewrite(home, change)
    one = verifier(home)
    findings = one.to_isolate(one.all_in_headers())
    assert findings.keys() == {token}
    assert f" × {kind}" in findings[token]
    after = run_of(home).isolate(headers_step(home), findings, counts())
    assert (after.rows_out, after.quarantined_by_reason) == (3, {"found_by_verification": 1})
    assert verifier(home).all_in_headers().total == 0


def test_what_is_put_aside_leaves_every_table_of_its_stage(home):
    [token] = rewrite(home, in_column("study_description", "Zebulon Quillfeather"))
    run_of(home).isolate(headers_step(home), {token: "1 × name [study_description]"}, counts())
    warehouse = home.resources.warehouse
    for spec in (DEIDENTIFIED_METADATA, HEADER_AUDIT, MADE_DEIDENTIFIED_METADATA):
        assert token not in warehouse.tokens(spec, HOSPITAL)
    [refusal] = [row for batch in warehouse.scan(REFUSED_DEIDENTIFIED_METADATA, HOSPITAL) for row in batch.to_pylist()]
    assert (refusal["work_token"], refusal["reason"]) == (token, "found_by_verification")
    assert refusal["detail"] == "1 × name [study_description]"
    assert refusal["object_key"].startswith("quillfeather/")


def test_an_item_put_aside_is_not_done_again(home):
    [token] = rewrite(home, in_column("study_description", "Zebulon Quillfeather"))
    run_of(home).isolate(headers_step(home), {token: "1 × name"}, counts())
    assert token in run_of(home)._known(headers_step(home))


def test_a_finding_in_a_row_that_no_origin_names_fails_the_partition(home):
    [token] = rewrite(home, lambda row: None)
    warehouse = home.resources.warehouse
    warehouse.replace(MADE_DEIDENTIFIED_METADATA, HOSPITAL, shards=[], drop_tokens={token})
    before = warehouse.content_digest(DEIDENTIFIED_METADATA, HOSPITAL)
    with pytest.raises(StageError, match="1 findings of the verification belong to no item"):
        run_of(home).isolate(headers_step(home), {token: "1 × name"}, counts())
    assert warehouse.content_digest(DEIDENTIFIED_METADATA, HOSPITAL) == before


def test_what_was_taken_away_since_it_was_found_is_no_refusal(home):
    [token] = rewrite(home, in_column("study_description", "Zebulon Quillfeather"))
    after = run_of(home).isolate(headers_step(home), {token: "1 × name", "f" * 32: "1 × name"}, counts())
    assert after.quarantined_by_reason == {"found_by_verification": 1}


def test_a_refusal_of_a_withdrawn_patient_goes_when_it_is_laid_down_after_the_withdrawal(home):
    [token] = rewrite(home, in_column("study_description", "Zebulon Quillfeather"))
    settled = []
    run = replace(run_of(home), settle=settled.extend)
    run.isolate(headers_step(home), {token: "1 × name"}, counts())
    assert REFUSED_DEIDENTIFIED_METADATA in settled
    assert {DEIDENTIFIED_METADATA, HEADER_AUDIT, MADE_DEIDENTIFIED_METADATA} < set(settled)


def test_without_findings_nothing_is_written(home):
    unchanged = counts()
    assert run_of(home).isolate(headers_step(home), {}, unchanged) is unchanged


def test_a_row_whose_original_is_gone_is_a_finding(home):
    [token] = rewrite(home, lambda row: None)
    warehouse = home.resources.warehouse
    warehouse.replace(MADE_DEIDENTIFIED_METADATA, HOSPITAL, shards=[], drop_tokens={token})
    assert verifier(home).profile().details() == {token: "1 × original_missing [header]"}


# pixels


def test_text_that_is_read_in_a_thumbnail_puts_its_instance_aside(home):
    one = verifier(home, FixedReader(Line("ANN SMITHERS")))
    findings = one.to_isolate(one.all_in_thumbnails())
    assert len(findings) == 4
    objects = ObjectCommit(home.resources.thumbnails, f"{HOSPITAL}/", set)
    run_of(home).isolate(home.step, findings, counts(), objects)
    assert list(home.resources.thumbnails.listing(f"{HOSPITAL}/")) == []
    assert home.resources.warehouse.count(PIXEL_TEXT, HOSPITAL) == 0
    assert home.resources.warehouse.count(REFUSED_THUMBNAILS, HOSPITAL) == 4


def test_a_reader_that_fails_proves_nothing_clean(home):
    one = verifier(home, BrokenReader())
    details = one.to_isolate(one.all_in_thumbnails())
    assert len(details) == 4
    assert all("verification_failed" in detail and "Quill" not in detail for detail in details.values())


def test_what_was_blank_once_is_not_read_again_until_a_byte_changes(home):
    reader = FixedReader()
    verifier(home, reader).text_in_thumbnails()
    first, reader.shown = reader.shown, 0
    assert first >= 4
    verifier(home, reader).text_in_thumbnails()
    assert reader.shown == 0
    key = next(stat.key for stat in home.resources.thumbnails.listing(f"{HOSPITAL}/"))
    home.resources.thumbnails.put(key, home.resources.thumbnails.get(key) + b"x")
    verifier(home, reader).text_in_thumbnails()
    assert reader.shown > 0


def test_what_held_any_reading_is_read_again(home):
    reader = FixedReader(Line("12", 0.6))
    assert verifier(home, reader).text_in_thumbnails().total == 0
    first, reader.shown = reader.shown, 0
    verifier(home, reader).text_in_thumbnails()
    assert reader.shown == first


def seals(number=1):
    return Seals.under((SecretKey(bytes([number]) * 32),), "_looked_at")


def test_a_memory_that_cannot_be_read_means_that_everything_is_looked_at(tmp_path):
    bucket = Bucket(BucketAddress((tmp_path / "memory").as_uri()))
    memory = LookedAt(bucket, seals(), "st-mary", "fixed")
    memory.remember(b"picture")
    memory.keep()
    assert LookedAt(bucket, seals(), "st-mary", "fixed").is_blank(b"picture")
    assert not LookedAt(bucket, seals(), "st-mary", "other").is_blank(b"picture")
    bucket.put("_looked_at/st-mary/fixed.json", b"{broken")
    assert not LookedAt(bucket, seals(), "st-mary", "fixed").is_blank(b"picture")


def test_a_memory_that_somebody_else_wrote_is_none(tmp_path):
    bucket, key = Bucket(BucketAddress((tmp_path / "memory").as_uri())), "_looked_at/st-mary/fixed.json"
    blank = {"blank": [hashlib.sha256(b"picture").hexdigest()]}
    for file in (
        json.dumps(blank["blank"]).encode(),
        json.dumps({"content": blank, "seal": "0" * 32}).encode(),
        seals(2).closed(key, blank),
        seals().closed("_looked_at/st-mary/other.json", blank),
    ):
        bucket.put(key, file)
        assert not LookedAt(bucket, seals(), "st-mary", "fixed").is_blank(b"picture")
    bucket.put(key, seals().closed(key, blank))
    assert LookedAt(bucket, seals(), "st-mary", "fixed").is_blank(b"picture")


def test_the_share_is_drawn_by_token_and_an_object_of_no_row_always():
    tokens = [f"{number:08x}{'0' * 24}" for number in range(0, 2**32, 2**22)]
    assert sum(is_drawn(token, 0.1) for token in tokens) == pytest.approx(0.1 * len(tokens), abs=1)
    assert not any(is_drawn(token, 0.0) for token in tokens)
    assert is_drawn("", 0.0)


@pytest.mark.parametrize("written", ["often", "-0.1", "1.5", "nan"])
def test_a_share_that_is_none_is_refused(tmp_path, written):
    resources = resources_for(
        Settings.from_environment({"GRADIENT_HOME": str(tmp_path), "GRADIENT_THUMBNAILS_READ": written})
    )
    with pytest.raises(SettingsError, match="GRADIENT_THUMBNAILS_READ"):
        share_of(resources)


# what is kept of a look


@pytest.mark.parametrize("error", [RuntimeError("Quillfeather"), Refused(Reason.UNREADABLE_HEADER, "x"), MemoryError()])
def test_a_judge_that_raises_is_a_finding(error):
    def judge():
        raise error

    found = Found()
    found.judge(judge, "t" * 32, spare=lambda kinds: frozenset(kinds))
    assert list(found.details()) == ["t" * 32]
    assert "Quillfeather" not in found.details()["t" * 32]


def test_a_finding_without_a_token_cannot_be_put_aside_and_stays():
    found = Found()
    found.judge(lambda: [Hit("name", "object key", "full_name")])
    assert (found.total, found.details()) == (1, {})


def test_accepted_findings_are_counted_apart():
    found = Found()
    found.judge(lambda: [Hit("name", "a", "r"), Hit("phone", "b", "r")], "t", spare=lambda kinds: frozenset({"name"}))
    assert (found.accepted, found.details()) == (1, {"t": "1 × phone [b]"})


def test_details_name_few_places_and_count_all():
    found = Found()
    found.add([Hit("name", f"place {number}", "r") for number in range(9)], "t")
    assert found.details() == {"t": "9 × name [place 0 place 1 place 2 place 3 and 5 more]"}


def test_exactly_what_was_accepted_passes_and_nothing_else(home):
    [token] = rewrite(home, in_column("study_description", "Zebulon Quillfeather"))
    detail = verifier(home).to_isolate(verifier(home).all_in_headers())[token]

    class Accepting(Verifier):
        spared = Spared(findings={token: {"found_by_verification": [detail]}})

    one = Accepting.of_hospital(home.resources, home.hospital)
    found = one.known(DEIDENTIFIED_METADATA)
    assert one.to_isolate(one.all_in_headers()) == {}
    assert (unspared(one, found).total, found.accepted) == (0, 1)
    rewrite(home, in_column("study_description", "Zebulon Quillfeather MRN-771204"))
    assert list(one.to_isolate(one.all_in_headers())) == [token]
    found = unspared(one, one.known(DEIDENTIFIED_METADATA))
    assert (found.by_kind, found.accepted) == ({"id in study_description": 1}, 1)


@pytest.mark.parametrize(
    ("hits", "left", "accepted"),
    [
        ((("name", 2), ("phone", 1)), {}, 3),
        ((("name", 1),), {}, 1),
        ((("name", 3),), {"name in a": 3}, 0),
        ((("name", 2), ("id", 1)), {"id in a": 1}, 2),
        ((("name", 1), ("phone", 2)), {"phone in a": 2}, 1),
    ],
    ids=["as many", "fewer", "one hit more", "another kind", "one hit more of one kind"],
)
def test_of_what_was_put_aside_a_check_leaves_out_as_many_as_were_accepted(home, hits, left, accepted):
    class Accepting(Verifier):
        spared = Spared(
            findings={
                "t": {"found_by_verification": ["2 × name [a], 1 × phone [a]"], "residual_identifier": ["9 × id"]}
            }
        )

    found = Found()
    for token in ("t", "other"):
        found.add([Hit(kind, "a", "rule") for kind, count in hits for _ in range(count)], token)
    judged = unspared(Accepting.of_hospital(home.resources, home.hospital), found)
    other = {f"{kind} in a": count for kind, count in hits}
    assert Counter(judged.by_kind) == Counter(left) + Counter(other)
    assert (judged.accepted, set(judged.by_token)) == (accepted, {"t", "other"} if left else {"other"})


# the checks


def test_a_failed_check_blocks_and_shows_pseudonyms(home):
    rewrite(home, in_header("00101040", {"vr": "LO", "Value": ["a house"]}))
    one = verifier(home)
    found = one.profile()
    shown = examples(one, MADE_DEIDENTIFIED_METADATA, found)
    result = outcome_of(PROFILE_HOLDS, found, shown)
    assert (result.passed, result.severity.value) == (False, "ERROR")
    assert result.metadata["gradient/hits_by_kind"].value == {"not_removed in (0010,1040)": 1}
    assert {home.name_of(pseudonym) for pseudonym in shown} < {"sure", "doubtful", "missed", "cine"}
    assert result.metadata["gradient/what_to_do"].text == PROFILE_HOLDS.remedy


def test_where_nobody_looked_the_check_warns_and_blocks_nothing():
    result = outcome_of(NO_TEXT, Found(), [], looked=False)
    assert (result.passed, result.severity.value) == (False, "WARN")
    assert "GRADIENT_VERIFYING_READER" in result.metadata["gradient/what_to_do"].text


def test_a_clean_look_passes():
    assert outcome_of(NO_TEXT, Found(searched=3), []).passed
