"""Each engine, switched off in a real run, is noticed; and what leaks goes no further than the check."""

from dataclasses import replace

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.pixels import ResidualTextFinder, VerifyingTextFinder
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.deid.verify.containers import open_dicom
from gradient_assets.deid.verify.pictures import KnownWords, pictures_of_dicom, text_in_pictures
from gradient_assets.samples import read_planted
from gradient_assets.tables import (
    FINAL_TABLE,
    PROD,
    PUBLIC_TABLE,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_DEIDENTIFIED_REPORTS,
    TableSpec,
)
from tests.graph.burned_in import uncovered
from tests.graph.conftest import Home
from tests.graph.forked import ForkedHome, copied
from tests.graph.outputs import found

pytestmark = pytest.mark.xdist_group("engines-off")

HOSPITAL = "lakeside"


@pytest.fixture
def home(commands, samples, tmp_path) -> ForkedHome:
    """A hospital of its own for each test."""
    return ForkedHome(copied(samples, tmp_path / "home"), commands)


def run_without(home: ForkedHome, engine: str, **environ: str):
    """A run whose every process has one engine switched off."""
    return home.gradient("run", "-H", HOSPITAL, expect=None, fakes=(engine,), **environ)


def put_aside(home: Home, spec: TableSpec) -> int:
    """Rows of a stage that the verification took out after they were written."""
    batches = home.resources.warehouse.scan(spec, HOSPITAL, columns=("reason",))
    return sum(batch["reason"].to_pylist().count("found_by_verification") for batch in batches)


def leaks(home: Home) -> dict[str, set[str]]:
    return found(
        home.path, {one.value for one in read_planted(home.path) if not one.ambiguous and one.hospital == HOSPITAL}
    )


CASES = [
    ("text_engine_off", REFUSED_DEIDENTIFIED_REPORTS, "deidentified_reports"),
    ("header_engine_off", REFUSED_DEIDENTIFIED_METADATA, "deidentified_metadata"),
]


@pytest.mark.parametrize(("engine", "refusals", "table"), CASES)
def test_without_an_engine_the_verification_puts_every_leak_aside(home, engine, refusals, table):
    run_without(home, engine)
    assert put_aside(home, refusals)
    assert leaks(home) == {}


@pytest.mark.parametrize(("engine", "refusals", "table"), CASES)
def test_without_engine_and_verification_the_check_finds_leaks_and_prod_is_blocked(home, engine, refusals, table):
    done = run_without(home, engine, WITHOUT_ISOLATION="1")
    assert done.returncode == 3
    assert "check failed" in done.stderr
    assert not put_aside(home, refusals)
    places = leaks(home)
    assert any(name.startswith(f"deidentified/warehouse/{table}") for name in places)
    assert not any(name.startswith(("public/", "dagster/")) or "/prod/" in name for name in places)
    for spec in (FINAL_TABLE, PROD, PUBLIC_TABLE):
        assert home.resources.warehouse.count(spec, HOSPITAL) == 0
    # Alone, in a run of its own, with every engine back: it still comes after a check that failed.
    alone = home.gradient("run", "-H", HOSPITAL, "-s", FINAL_TABLE.name, expect=3)
    assert "Blocking checks have not passed: " in alone.stderr
    assert f"no_known_identifier of {table}" in alone.stderr
    assert not home.resources.warehouse.partitions(FINAL_TABLE)


def test_without_the_pixel_engine_burned_in_text_stays_and_is_counted(home):
    assert run_without(replace(home, fakes=()), "pixel_engine_off").returncode == 0
    planted, missed = uncovered(home, HOSPITAL)
    assert planted
    assert missed == planted


class Blind:
    name = "blind"

    def find(self, image):
        return []


@pytest.mark.parametrize("second", [ResidualTextFinder, Blind])
def test_what_the_first_finder_of_a_release_missed_the_second_covers_or_the_verifying_reader_reads(samples, second):
    one = next(p for p in read_planted(samples) if p.hospital == HOSPITAL and p.where.startswith("burned_in"))
    content = (samples / "landing" / HOSPITAL / one.object_key).read_bytes()
    identity = Pseudonymizer(SecretKey(bytes(32)), "x")
    profile = Profile.named("longitudinal")
    assert InstanceCleaner(profile, identity, Blind()).clean(content).pixels.boxes == ()
    cleaned = InstanceCleaner(profile, identity, Blind(), second()).clean(content)
    pictures = pictures_of_dicom(open_dicom(cleaned.content))
    known = KnownWords(IdentifierIndex.build([KnownIdentifiers(patient_names=(one.value,))]), ())
    read = {hit.kind for hit in text_in_pictures(pictures, VerifyingTextFinder(), known).hits}
    assert bool(cleaned.pixels.boxes) == (second is ResidualTextFinder)
    assert bool(read) == (second is Blind)
