"""A look that found something while patients were withdrawn is taken again; one that found something otherwise counts."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from gradient_assets.deid.verify import Hit
from gradient_assets.hospitals import Hospital
from gradient_assets.verification import Found, Verifier, partitions
from gradient_assets.withdrawals.register import save_log, save_record, standing, working
from gradient_assets.withdrawals.tombstones import PATIENT, digest, digester
from resources import Settings, resources_for

HOSPITAL = Hospital("st-mary", 1, "", "", {}, ",", "utf-8", "mdy", "UTC", "longitudinal", "hospital/st-mary")


@dataclass
class Looks:
    """Looks of which each finds as many breaches as was planned for it; `then` happens at its end."""

    planned: list[int]
    then: list = field(default_factory=list)
    taken: int = 0

    def __call__(self, verifier):
        found = Found()
        for _ in range(self.planned[self.taken]):
            found.add([Hit("original_missing", "header", "profile")], "a1")
        if self.taken < len(self.then):
            self.then[self.taken]()
        self.taken += 1
        return found


@pytest.fixture
def resources(tmp_path):
    made = resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path)}))
    made.vault.create("hospital/st-mary")
    return made


@pytest.fixture
def verifier(resources):
    return Verifier(resources, "st-mary", HOSPITAL.secret_name, {"st-mary": HOSPITAL}, {})


@pytest.fixture
def withdrawal(resources):
    """Begins with the first `next`, ends with the second."""
    key = resources.vault.key("hospital/st-mary")

    def steps():
        with working(resources, HOSPITAL, ["A-1001"]):
            save_record(resources, HOSPITAL, {key.fingerprint: [digest(digester(key, "st-mary"), PATIENT, "A-1001")]})
            yield
            save_log(resources, HOSPITAL, {"by": "Ada"})
        yield

    return steps()


@pytest.fixture
def slept(monkeypatch):
    """What happens at each pause; nobody waits."""
    pauses = []
    monkeypatch.setattr(partitions, "time", SimpleNamespace(sleep=lambda _: pauses.pop(0)(), monotonic=lambda: 0.0))
    return pauses


def test_a_withdrawal_is_at_work_from_its_beginning_to_its_end(resources, withdrawal):
    assert not standing(resources, "st-mary").at_work
    next(withdrawal)
    assert standing(resources, "st-mary").at_work
    next(withdrawal)
    assert not standing(resources, "st-mary").at_work


def test_one_that_was_killed_is_at_work_until_the_same_patients_are_withdrawn_again(resources):
    with pytest.raises(KeyboardInterrupt), working(resources, HOSPITAL, ["A-1001"]):
        raise KeyboardInterrupt
    with working(resources, HOSPITAL, ["B-2002"]):
        pass
    assert standing(resources, "st-mary").at_work
    with working(resources, HOSPITAL, ["A-1001"]):
        pass
    assert not standing(resources, "st-mary").at_work


def test_who_is_being_withdrawn_is_not_to_be_read(resources):
    with working(resources, HOSPITAL, ["A-1001"]):
        [name] = standing(resources, "st-mary").files
    assert "1001" not in name
    assert len(name) > 32


def test_without_any_withdrawal_what_was_found_counts_at_once(verifier):
    looks = Looks([1])
    assert verifier.undisturbed(looks).total == 1
    assert looks.taken == 1


def test_a_former_withdrawal_costs_no_second_look(verifier, withdrawal):
    list(withdrawal)
    looks = Looks([1])
    assert verifier.undisturbed(looks).total == 1
    assert looks.taken == 1


def test_what_a_withdrawal_made_is_gone_when_it_has_ended(verifier, withdrawal, slept):
    looks = Looks([2, 0], then=[lambda: next(withdrawal)])
    slept.append(lambda: next(withdrawal))
    assert verifier.undisturbed(looks).total == 0
    assert (looks.taken, slept) == (2, [])


def test_one_that_began_and_ended_while_somebody_looked_is_noticed(verifier, withdrawal):
    looks = Looks([2, 0], then=[lambda: list(withdrawal)])
    assert verifier.undisturbed(looks).total == 0


def test_what_is_found_after_the_withdrawal_too_counts(verifier, withdrawal, slept):
    looks = Looks([2, 1, 7], then=[lambda: next(withdrawal)])
    slept.append(lambda: next(withdrawal))
    assert verifier.undisturbed(looks).total == 1
    assert looks.taken == 2


def test_one_that_was_killed_is_not_waited_for_without_end(verifier, withdrawal):
    next(withdrawal)
    looks = Looks([1])
    assert verifier.undisturbed(looks, wait_s=0).total == 1
    assert looks.taken == 1


def test_where_one_withdrawal_follows_the_other_what_was_found_counts_at_last(verifier, resources):
    def another():
        with working(resources, HOSPITAL, ["A-1001"]):
            save_log(resources, HOSPITAL, {"by": "Ada"})

    looks = Looks([1] * 9, then=[another] * 9)
    assert verifier.undisturbed(looks).total == 1
    assert looks.taken == partitions.LOOKS
