"""The log of decisions: only added to, read whole or not at all, and what of it is in force."""

import json
from dataclasses import asdict

import pytest

from gradient_assets.deid.reasons import ACCEPTABLE, Reason
from gradient_assets.quarantine.decisions import (
    MAX_WHY,
    Decided,
    Decision,
    Decisions,
    QuarantineError,
    decisions_of,
    keep,
    log_bucket,
)
from gradient_assets.seals import Seals

BASE, OTHER = "b" * 32, "c" * 32
FINDING = "1 × id"


def item(becomes, made_on=BASE, *, reason="residual_identifier", detail=FINDING, record=0):
    return Decided(
        stage="deidentified_metadata",
        release="",
        object_pseudonym="a" * 32,
        row_number=record,
        reason=reason,
        detail=detail,
        engine_version="2",
        work_token=made_on,
        becomes=becomes,
    )


def decision(action, *items, second=0, by="Ada", why="a protocol's name"):
    return Decision(action, by, why, f"2026-01-02T03:04:{second:02d}+00:00", items)


def told(number):
    return f"{number:032x}"


ACCEPT = decision("accept", item(told(1)))
RETRY = decision("retry", item(told(2)), second=1)
DROP = decision("drop", item(""), second=2)


def test_each_decision_is_an_object_of_its_own_and_the_log_has_them_in_their_order(home):
    for one in (DROP, ACCEPT, RETRY):
        keep(home.resources, home.registry.get("st-mary"), one)
    assert len(list(log_bucket(home.resources, "st-mary").listing())) == 3
    assert home.log().log == (ACCEPT, RETRY, DROP)
    assert home.log("lakeside").log == ()


def test_two_people_at_once_are_both_in_the_log_and_the_later_one_holds(home):
    keep(home.resources, home.registry.get("st-mary"), decision("drop", item(""), by="Bo", second=5))
    keep(home.resources, home.registry.get("st-mary"), decision("accept", item(told(1)), by="Ada", second=4))
    assert [one.decided_by for one in home.log().log] == ["Ada", "Bo"]
    assert home.log().status(BASE, 0) == "dropped"


def test_times_are_compared_whatever_their_offset(home):
    keep(
        home.resources,
        home.registry.get("st-mary"),
        Decision("drop", "Bo", "won't come", "2026-01-02T05:00:00+02:00", (item(""),)),
    )
    keep(
        home.resources,
        home.registry.get("st-mary"),
        Decision("retry", "Ada", "", "2026-01-02T04:00:00+00:00", (item(told(1)),)),
    )
    assert [one.action for one in home.log().log] == ["drop", "retry"]


@pytest.mark.parametrize(
    ("log", "status", "token", "accepted"),
    [
        ([], "open", BASE, {}),
        ([ACCEPT], "accepted", told(1), {"residual_identifier": [FINDING]}),
        ([RETRY], "open", told(2), {}),
        ([DROP], "dropped", BASE, {}),
        ([ACCEPT, RETRY], "open", told(2), {}),
        ([ACCEPT, DROP], "dropped", BASE, {}),
        ([DROP, RETRY], "open", told(2), {}),
        ([DROP, ACCEPT], "accepted", told(1), {"residual_identifier": [FINDING]}),
    ],
    ids=lambda value: "+".join(one.action for one in value) if isinstance(value, list) else None,
)
def test_the_last_word_about_one_token_holds(log, status, token, accepted):
    decisions = Decisions(tuple(log))
    assert decisions.status(BASE, 0) == status
    assert decisions.now(BASE) == (token, accepted)


def test_what_is_found_after_an_acceptance_is_accepted_beside_it():
    again = decision("accept", item(told(2), told(1), detail="2 × name"), second=1)
    token, accepted = Decisions((ACCEPT, again)).now(BASE)
    assert token == told(2)
    assert accepted == {"residual_identifier": [FINDING, "2 × name"]}


def test_a_retry_of_what_passed_takes_the_acceptance_back():
    back = decision("retry", item(told(2), told(1)), second=1)
    decisions = Decisions((ACCEPT, back))
    assert decisions.now(BASE) == (told(2), {})
    assert decisions.accepted() == {}


@pytest.mark.parametrize(
    ("log", "tokens"),
    [([ACCEPT], {told(1)}), ([ACCEPT, RETRY], set()), ([ACCEPT, DROP], set()), ([RETRY], set()), ([], set())],
)
def test_only_acceptances_in_force_are_spared(log, tokens):
    assert set(Decisions(tuple(log)).accepted()) == tokens


def test_another_token_is_another_object_engine_or_profile_and_no_decision_holds_for_it():
    decisions = Decisions((ACCEPT,))
    assert decisions.now(OTHER) == (OTHER, {})
    assert decisions.status(OTHER, 0) == "open"


def test_work_items_are_changed_only_where_something_was_decided():
    items = [{"work_token": BASE, "size": 1}, {"work_token": OTHER, "size": 2}]
    assert list(Decisions((ACCEPT,)).applied(items)) == [
        {"work_token": told(1), "size": 1, "accepted": {"residual_identifier": [FINDING]}},
        {"work_token": OTHER, "size": 2},
    ]


def test_of_records_of_one_file_the_last_thing_asked_for_moves_the_file_and_each_keeps_its_status():
    first = decision("retry", item(told(1), record=3))
    decisions = Decisions((first, decision("drop", item("", record=5), second=1)))
    assert decisions.now(BASE)[0] == told(1)
    assert [decisions.status(BASE, record) for record in (3, 4, 5)] == ["open", "open", "dropped"]
    later = decision("retry", item(told(2), record=5), second=2)
    assert Decisions((*decisions.log, later)).now(BASE)[0] == told(2)


def test_a_log_that_leads_in_a_circle_is_refused():
    circle = (ACCEPT, decision("retry", item(BASE, told(1)), second=1))
    with pytest.raises(QuarantineError, match="back to itself"):
        Decisions(circle).now(BASE)


GOOD = json.loads(json.dumps(asdict(ACCEPT)))


def sealed(home, content, hospital_id="st-mary", purpose="_quarantine"):
    return Seals.of(home.resources, f"hospital/{hospital_id}", purpose).closed(hospital_id, content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps(GOOD).encode(),
        json.dumps({"content": GOOD, "seal": "0" * 32}).encode(),
        json.dumps({"content": GOOD, "seal": None}).encode(),
        json.dumps({"content": [], "seal": ""}).encode(),
        {**GOOD, "more": 1},
        {**GOOD, "items": []},
        {**GOOD, "items": 3},
        {**GOOD, "items": [{**GOOD["items"][0], "work_token": "x"}]},
        {**GOOD, "items": [{**GOOD["items"][0], "row_number": "0"}]},
        {**GOOD, "items": [{**GOOD["items"][0], "reason": "truncated"}]},
        {**GOOD, "items": [{**GOOD["items"][0], "becomes": ""}]},
        {**GOOD, "action": "drop"},
        {**GOOD, "action": ["accept"]},
        {**GOOD, "decided_at": "2026-01-02T03:04:05"},
        {**GOOD, "decided_at": 5},
        {**GOOD, "decided_by": ""},
        {**GOOD, "why": " "},
    ],
)
def test_a_log_that_can_not_be_understood_is_refused_as_a_whole(home, content):
    keep(home.resources, home.registry.get("st-mary"), ACCEPT)
    file = content if isinstance(content, bytes) else sealed(home, content)
    log_bucket(home.resources, "st-mary").put("zebulon quillfeather.json", file)
    with pytest.raises(QuarantineError) as refused:
        decisions_of(home.resources, home.registry.get("st-mary"))
    assert "quillfeather" not in str(refused.value)


FORGERIES = {
    "the key of another hospital": lambda home, key: (key, sealed(home, GOOD, "lakeside")),
    "a seal of another purpose": lambda home, key: (key, sealed(home, GOOD, purpose="_verification")),
    "a name of its own": lambda home, key: ("anything.json", sealed(home, GOOD)),
    "another time in its name": lambda home, key: (f"2027{key[4:]}", sealed(home, GOOD)),
    "a word changed": lambda home, key: (key, sealed(home, GOOD).replace(b"Ada", b"Bob")),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_an_acceptance_that_was_made_up_is_none(home, forgery):
    hospital, bucket = home.registry.get("st-mary"), log_bucket(home.resources, "st-mary")
    keep(home.resources, hospital, ACCEPT)
    (kept,) = bucket.listing()
    bucket.delete(kept.key)
    bucket.put(*forgery(home, kept.key))
    with pytest.raises(QuarantineError, match="was not made here"):
        decisions_of(home.resources, hospital)
    bucket.delete([stat.key for stat in bucket.listing()])
    bucket.put(kept.key, sealed(home, GOOD))
    assert decisions_of(home.resources, hospital).log == (ACCEPT,)


def test_decisions_outlive_a_rotation_of_the_hospitals_key(home):
    hospital = home.registry.get("st-mary")
    keep(home.resources, hospital, ACCEPT)
    home.resources.keys.rotate(hospital.secret_name, by="Ada", reason="a laptop was lost")
    keep(home.resources, hospital, RETRY)
    assert home.log().log == (ACCEPT, RETRY)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in ACCEPTABLE])
def test_no_other_code_can_be_accepted(reason):
    with pytest.raises(QuarantineError, match="can be accepted"):
        decision("accept", item(told(1), reason=reason.value))


@pytest.mark.parametrize(
    ("by", "why"),
    [("", "x"), ("A" * 61, "x"), ("A\nB", "x"), ("Ada", ""), ("Ada", "a\nb"), ("Ada", "x" * (MAX_WHY + 1))],
)
def test_a_decision_has_a_name_and_a_reason(by, why):
    with pytest.raises(QuarantineError):
        decision("accept", item(told(1)), by=by, why=why)


def test_a_retry_needs_no_reason():
    assert decision("retry", item(told(1)), why="").why == ""
