"""Two commands at the same time over one home: what they come to is what one of them comes to.

Two runs of one hospital, runs of two hospitals, and a withdrawal that begins while a run is going on.
"""

from pathlib import Path

import pytest

from gradient_assets.tables import DICOM_METADATA, PUBLIC_TABLE, TableSpec
from gradient_assets.withdrawals.absence import prove_absence
from tests.fakes import small_hospital
from tests.graph.conftest import Home
from tests.graph.forked import Call, Commands, changes, copied, differences, left_over, made

pytestmark = pytest.mark.xdist_group("two-at-once")

HOSPITALS = ("st-mary", "lakeside")
RUN = ("run", "-H", "st-mary")
SHARES = (0.1, 0.4, 0.5, 0.6, 0.7, 0.95)
"""How much of a run was written when the withdrawal begins: from the first stage to the public table."""

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
