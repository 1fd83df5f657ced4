"""Who is withdrawn while a release is made is put down there as left out, so that the release adds up."""

import pytest

from gradient_assets.integrity.balance import of_release
from gradient_assets.tables import MADE_RELEASE, REFUSED_RELEASE, RELEASE_AUDIT, RELEASE_FACTS, RELEASE_MANIFEST
from gradient_assets.withdrawals import sweep
from tests.fakes.small_release import RELEASE, Made, Person, TheFirst

PEOPLE = [Person(number) for number in range(3)]
SPECS = (MADE_RELEASE, RELEASE_AUDIT, RELEASE_FACTS, RELEASE_MANIFEST)


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "Withdrawn", TheFirst)
    made = Made.build(tmp_path, PEOPLE)
    origin = {"release": RELEASE.name, "hospital_id": "st-mary", "hospital_number": 1, "objects_json": "{}"}
    made.put(
        MADE_RELEASE,
        [origin | {"work_token": f"{one.number:032x}", "object_key": f"quillfeather/{one.number}"} for one in PEOPLE],
    )
    return made


def rows(made, spec):
    return [row for batch in made.resources.warehouse.scan(spec, RELEASE.name) for row in batch.to_pylist()]


def test_they_go_from_all_tables_and_the_release_adds_up(made):
    hospital = made.registry.get("st-mary")
    for _ in range(2):
        sweep.settle_release(made.resources, made.resources.warehouse, [hospital], RELEASE.name, SPECS)
        assert {len(rows(made, spec)) for spec in SPECS} == {len(PEOPLE) - 1}
        (left_out,) = rows(made, REFUSED_RELEASE)
        assert (left_out["reason"], left_out["object_key"]) == ("withdrawn", "")
        balance = of_release(made.resources, RELEASE.name)
        assert (balance.given, balance.out, balance.quarantined, balance.withdrawn) == (3, 2, 0, 1)
        assert balance.holds
