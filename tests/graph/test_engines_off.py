"""Each engine, switched off in a real run, is noticed; and what leaks goes no further than the check."""

from pathlib import Path

import pytest

from gradient_assets.samples import build_samples, read_planted
from gradient_assets.tables import (
    FINAL_TABLE,
    PROD,
    PUBLIC_TABLE,
    REFUSED_DEIDENTIFIED_METADATA,
    REFUSED_DEIDENTIFIED_REPORTS,
    TableSpec,
)
from tests.graph.burned_in import uncovered
from tests.graph.conftest import ROOT, Home
from tests.graph.outputs import found

pytestmark = pytest.mark.xdist_group("hospital")

HOSPITAL = "lakeside"


class HomeWithout(Home):
    """A home whose every process runs with one engine switched off, and on demand without putting findings aside."""

    engine: str
    isolating: bool

    @property
    def environ(self) -> dict[str, str]:
        off = {} if self.isolating else {"WITHOUT_ISOLATION": "1"}
        return {**super().environ, "PYTHONPATH": f"{ROOT / 'tests/fakes' / self.engine}:{ROOT}", **off}


def run_without(tmp_path: Path, engine: str, *arguments: str, isolating: bool = True):
    build_samples(tmp_path)
    Home(tmp_path).gradient("doctor", "--mend", expect=None)
    home = HomeWithout(tmp_path)
    object.__setattr__(home, "engine", engine)
    object.__setattr__(home, "isolating", isolating)
    return home, home.gradient("run", "-H", HOSPITAL, *arguments, expect=None)


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
def test_without_an_engine_the_verification_puts_every_leak_aside(tmp_path, engine, refusals, table):
    home, _ = run_without(tmp_path, engine)
    assert put_aside(home, refusals)
    assert leaks(home) == {}


@pytest.mark.parametrize(("engine", "refusals", "table"), CASES)
def test_without_engine_and_verification_the_check_finds_leaks_and_prod_is_blocked(tmp_path, engine, refusals, table):
    home, done = run_without(tmp_path, engine, isolating=False)
    assert done.returncode == 3
    assert "check failed" in done.stderr
    assert not put_aside(home, refusals)
    places = leaks(home)
    assert any(name.startswith(f"deidentified/warehouse/{table}") for name in places)
    assert not any(name.startswith(("public/", "dagster/")) or "/prod/" in name for name in places)
    for spec in (FINAL_TABLE, PROD, PUBLIC_TABLE):
        assert home.resources.warehouse.count(spec, HOSPITAL) == 0


def test_without_the_pixel_engine_burned_in_text_stays_and_is_counted(tmp_path):
    home, _ = run_without(tmp_path, "pixel_engine_off")
    planted, missed = uncovered(home, HOSPITAL)
    assert planted
    assert missed == planted


def test_the_second_look_of_a_release_covers_what_the_first_missed(tmp_path):
    from gradient_assets.deid.headers import Profile
    from gradient_assets.deid.identity import Pseudonymizer, SecretKey
    from gradient_assets.deid.instance import InstanceCleaner
    from gradient_assets.deid.pixels import ResidualTextFinder

    class Blind:
        name = "blind"

        def find(self, image):
            return []

    build_samples(tmp_path)
    one = next(p for p in read_planted(tmp_path) if p.hospital == HOSPITAL and p.where.startswith("burned_in"))
    content = (tmp_path / "landing" / HOSPITAL / one.object_key).read_bytes()
    identity = Pseudonymizer(SecretKey(bytes(32)), "x")
    profile = Profile.named("longitudinal")
    assert InstanceCleaner(profile, identity, Blind()).clean(content).pixels.boxes == ()
    assert InstanceCleaner(profile, identity, Blind(), ResidualTextFinder()).clean(content).pixels.boxes
