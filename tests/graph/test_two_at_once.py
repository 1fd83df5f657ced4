"""Two commands at the same time over one home: what they come to is what one of them comes to.

Two runs of one hospital, runs of two hospitals, a withdrawal that begins while a run is going on, two makings of one release,
and a release that is made again while it is delivered.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from gradient_assets.releases import Release
from gradient_assets.releases.delivery import Gate
from gradient_assets.releases.manifest import digest_of
from gradient_assets.tables import DICOM_METADATA, PUBLIC_TABLE, RELEASE_MANIFEST, TableSpec
from gradient_assets.withdrawals.absence import prove_absence
from tests.fakes import small_hospital
from tests.graph.conftest import Home
from tests.graph.forked import Call, Commands, changes, copied, differences, left_over, made

pytestmark = pytest.mark.xdist_group("two-at-once")

HOSPITALS = ("st-mary", "lakeside")
RUN = ("run", "-H", "st-mary")
SHARES = (0.1, 0.4, 0.5, 0.6, 0.7, 0.95)
"""How much of a run was written when the withdrawal begins: from the first stage to the public table."""

COHORT = ("--recipient", small_hospital.RECIPIENT, "--where", "modality = 'MR'", "--by", "Ada")
RELEASE = ("release", "all-mr", *COHORT)
DELIVER = ("deliver", "all-mr")
REFUSED = 2
"""The code of a delivery of what is not approved any more."""

NOT_KNOWN_YET = 3
"""The code of a withdrawal whose patient no table holds yet: the first stage had not committed."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """Two hospitals that nobody has run yet."""
    return small_hospital.build(tmp_path_factory.mktemp("fresh") / "home", *HOSPITALS)


@pytest.fixture(scope="module")
def alone(commands: Commands, fresh, tmp_path_factory) -> tuple[Path, int]:
    """The home after an undisturbed run of each hospital, and how many changes the first one made."""
    home = copied(fresh, tmp_path_factory.mktemp("alone") / "home")
    commands.run(first := Call(home, RUN))
    count = changes(first)
    commands.run(Call(home, ("run", "-H", "lakeside")))
    return home, count


def in_order(home: Path, wanted: Path) -> None:
    assert made(home) == made(wanted)
    assert left_over(home) == []
    assert differences(home) == []


def test_two_runs_of_one_hospital_come_to_what_one_comes_to(commands, fresh, alone, tmp_path):
    home = copied(fresh, tmp_path / "home")
    commands.run_together(Call(home, RUN, name="one"), Call(home, RUN, name="two"))
    commands.run(Call(home, ("run", "-H", "lakeside")))
    in_order(home, alone[0])


def test_runs_of_two_hospitals_do_not_disturb_each_other(commands, fresh, alone, tmp_path):
    home = copied(fresh, tmp_path / "home")
    commands.run_together(*(Call(home, ("run", "-H", hospital), name=hospital) for hospital in HOSPITALS))
    in_order(home, alone[0])


def patients(home: Path, spec: TableSpec, column: str) -> set[str]:
    batches = Home(home).resources.warehouse.scan(spec, "st-mary", columns=(column,))
    return {value for batch in batches for value in batch[column].to_pylist()}


@pytest.mark.parametrize("share", SHARES)
def test_a_patient_who_is_withdrawn_while_a_run_goes_on_does_not_come_back(commands, fresh, alone, tmp_path, share):
    home = copied(fresh, tmp_path / "home")
    ids = small_hospital.ids_file(tmp_path, small_hospital.GONE)
    withdraw = ("withdraw", "-H", "st-mary", "--patient-id-file", str(ids), "--by", "Ada")
    begins = int(alone[1] * share)
    ran, withdrawn = commands.together(
        Call(home, RUN, name="run"), Call(home, withdraw, after=begins, name="withdrawal")
    )
    assert (ran, withdrawn) in ((0, 0), (0, NOT_KNOWN_YET))
    commands.run(Call(home, RUN))
    opened = Home(home)
    assert prove_absence(opened.resources, opened.registry.get("st-mary"), (small_hospital.GONE,)).found == {}
    assert patients(home, DICOM_METADATA, "patient_id") == set(small_hospital.PATIENTS) - {small_hospital.GONE}
    assert len(patients(home, PUBLIC_TABLE, "patient_pseudonym")) == 1
    assert left_over(home) == []
    assert differences(home) == []


@pytest.fixture(scope="module")
def released(commands: Commands, alone, tmp_path_factory) -> tuple[Path, Path]:
    """The home before a release, and after it."""
    before = alone[0]
    after = copied(before, tmp_path_factory.mktemp("released") / "home")
    commands.run(Call(after, RELEASE))
    return before, after


def test_two_makings_of_one_release_come_to_what_one_comes_to(commands, released, tmp_path):
    home = copied(released[0], tmp_path / "home")
    commands.run_together(Call(home, RELEASE, name="one"), Call(home, RELEASE, name="two"))
    in_order(home, released[1])


@dataclass(frozen=True)
class Overtaken:
    """An approved release whose cohort has grown since, and what making it again and delivering it come to one by one."""

    home: Path
    approved: dict[str, str]
    """Key → digest of what may leave."""
    changes: int
    """Of the delivery that comes first."""
    ends: tuple[dict[str, object], dict[str, object]]
    """The delivery came first; it came second and was refused."""


@pytest.fixture(scope="module")
def overtaken(commands: Commands, released, tmp_path_factory) -> Overtaken:
    folder = tmp_path_factory.mktemp("overtaken")
    home = copied(released[1], folder / "home")
    commands.run(Call(home, ("approve", "all-mr", "--by", "Grace")))
    approved = {one.key: digest for one, digest in waiting(home)}
    (home / "landing/st-mary/dicoms/new.dcm").write_bytes(small_hospital.instance(small_hospital.GONE, 3))
    commands.run(Call(home, RUN))
    first, second = copied(home, folder / "first"), copied(home, folder / "second")
    commands.run(call := Call(first, DELIVER))
    count = changes(call)
    commands.run(Call(first, RELEASE))
    commands.run(Call(second, RELEASE))
    commands.run(Call(second, DELIVER), expect=REFUSED)
    return Overtaken(home, approved, count, (made(first), made(second)))


def waiting(home: Path):
    bucket = Home(home).resources.releases.under("_prepared/all-mr")
    return [(one, digest_of(bucket.get(one.key))) for one in bucket.listing()]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_a_release_that_is_made_again_while_it_is_delivered_leaves_as_it_was_approved_or_not_at_all(
    commands, overtaken, tmp_path, share
):
    home = copied(overtaken.home, tmp_path / "home")
    delivery = Call(home, DELIVER, name="delivery")
    again = Call(home, RELEASE, after=max(1, int(overtaken.changes * share)), name="again")
    delivered, remade = commands.together(delivery, again)
    assert remade == 0, again.err.read_text()
    assert delivered in (0, REFUSED, 3), delivery.err.read_text()
    left_with_recipient(home, overtaken.approved)
    assert made(home) in overtaken.ends
    assert left_over(home) == []
    assert differences(home) == []


def left_with_recipient(home: Path, approved: dict[str, str]) -> None:
    """Only what was approved, and only with the log's word for it."""
    opened = Home(home)
    release = Release("all-mr", small_hospital.RECIPIENT, "modality = 'MR'")
    bucket = opened.resources.releases.under(f"{release.delivered}/dicom")
    lying = {one.key: digest_of(bucket.get(one.key)) for one in bucket.listing()}
    standing = Gate(opened.resources, opened.registry.releases, release).log.standing()
    assert lying == (approved if standing.delivered else {})


def test_two_deliveries_of_one_release_come_to_what_one_comes_to(commands, released, tmp_path):
    home = copied(released[1], tmp_path / "home")
    commands.run(Call(home, ("approve", "all-mr", "--by", "Grace")))
    one = copied(home, tmp_path / "one")
    commands.run(Call(one, DELIVER))
    commands.run_together(Call(home, DELIVER, name="one"), Call(home, DELIVER, name="two"))
    in_order(home, one)


def test_a_delivered_release_whose_cohort_has_shrunk_is_made_and_delivered_again(commands, overtaken, tmp_path):
    home = copied(overtaken.home, tmp_path / "home")
    commands.run(Call(home, DELIVER))
    (home / "landing/st-mary/dicoms/new.dcm").unlink()
    gone = sorted((home / "landing/st-mary/dicoms").rglob("*.dcm"))[0]
    gone.unlink()
    commands.run(Call(home, RUN))
    for command in (RELEASE, ("approve", "all-mr", "--by", "Grace"), DELIVER):
        commands.run(Call(home, command))
    opened = Home(home)
    release = Release("all-mr", small_hospital.RECIPIENT, "modality = 'MR'")
    lying = {one.key for one in opened.resources.releases.under(f"{release.delivered}/dicom").listing()}
    assert len(lying) == opened.resources.warehouse.count(RELEASE_MANIFEST, "all-mr") < len(overtaken.approved)
    assert differences(home) == []
