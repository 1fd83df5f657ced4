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
from gradient_assets.seals import SealedLog, Seals

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
    assert kept(home) == ["000001.json", "000002.json", "000003.json"]
    assert home.log().log == (DROP, ACCEPT, RETRY)
    assert home.log("lakeside").log == ()


def kept(home):
    return [stat.key for stat in log_bucket(home.resources, "st-mary").listing()]


def test_the_one_that_was_added_later_holds_whatever_the_clocks_of_two_people_say(home):
    keep(home.resources, home.registry.get("st-mary"), decision("drop", item(""), by="Bo", second=5))
    keep(home.resources, home.registry.get("st-mary"), decision("accept", item(told(1)), by="Ada", second=4))
    assert [one.decided_by for one in home.log().log] == ["Bo", "Ada"]
    assert home.log().status(BASE, 0) == "accepted"


def test_of_two_that_decide_at_once_both_are_in_the_log(home, monkeypatch):
    hospital, append, others = home.registry.get("st-mary"), SealedLog.append, [DROP, RETRY]

    def overtaken(log, *entry):
        if others:
            keep(home.resources, hospital, others.pop())
        return append(log, *entry)

    monkeypatch.setattr(SealedLog, "append", overtaken)
    keep(home.resources, hospital, ACCEPT)
    assert set(home.log().log) == {ACCEPT, DROP, RETRY}


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


def sealed(home, content):
    """The content as the log's second entry."""
    place = "_quarantine/st-mary"
    log = SealedLog(
        log_bucket(home.resources, "st-mary"), place, Seals.of(home.resources, "hospital/st-mary", place).sealers
    )
    (first,) = log.read()
    log.append(2, content, first.seal)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps(GOOD).encode(),
        json.dumps({**GOOD, "seal": "0" * 32}).encode(),
        json.dumps({**GOOD, "seal": None}).encode(),
        {**GOOD, "more": 1},
        {**GOOD, "items": []},
        {**GOOD, "items": 3},
        {**GOOD, "items": [{**GOOD["items"][0], "work_token": "x"}]},
        {**GOOD, "items": [{**GOOD["items"][0], "row_number": "0"}]},
        {**GOOD, "items": [{**GOOD["items"][0], "reason": "truncated"}]},
        {**GOOD, "items": [{**GOOD["items"][0], "becomes": ""}]},
        {name: value for name, value in GOOD.items() if name != "items"},
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
    if isinstance(content, bytes):
        log_bucket(home.resources, "st-mary").put("000002.json", content)
    else:
        sealed(home, content)
    refused(home)


def refused(home):
    """Nothing is made by the log, and nothing added to it."""
    hospital, before = home.registry.get("st-mary"), kept(home)
    with pytest.raises(QuarantineError, match="can't be relied on") as told:
        decisions_of(home.resources, hospital)
    assert "quillfeather" not in str(told.value)
    with pytest.raises(QuarantineError, match="can't be relied on"):
        keep(home.resources, hospital, DROP)
    assert kept(home) == before


@pytest.fixture
def accepted_and_taken_back(home):
    """The log's bucket and its entries: an acceptance, its taking back, and something else."""
    hospital, bucket = home.registry.get("st-mary"), log_bucket(home.resources, "st-mary")
    for one in (ACCEPT, RETRY, decision("drop", item("", OTHER), second=3)):
        keep(home.resources, hospital, one)
    assert home.log().accepted() == {}
    return bucket, [bucket.get(key) for key in kept(home)]


def moved_up(bucket, entries):
    bucket.put("000002.json", entries[2])
    bucket.delete("000003.json")


TAMPERINGS = {
    "the taking back deleted": lambda bucket, entries: bucket.delete("000002.json"),
    "deleted, and the later one moved up": moved_up,
    "the first one deleted": lambda bucket, entries: bucket.delete("000001.json"),
    "the acceptance put back behind the others": lambda bucket, entries: bucket.put("000004.json", entries[0]),
    "the acceptance put over its taking back": lambda bucket, entries: bucket.put("000002.json", entries[0]),
    "a word changed": lambda bucket, entries: bucket.put("000001.json", entries[0].replace(b"Ada", b"Bob")),
    "a foreign file": lambda bucket, entries: bucket.put("zebulon quillfeather.json", entries[0]),
    "one of a version before the log": lambda bucket, entries: bucket.put(
        "20260102T030405000000Z-0123456789abcdef.json", json.dumps({"content": GOOD, "seal": "0" * 32}).encode()
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS)
def test_a_log_that_was_tampered_with_revives_no_acceptance(home, accepted_and_taken_back, tampering):
    tampering(*accepted_and_taken_back)
    refused(home)


def test_decisions_of_a_version_before_the_log_are_refused_with_what_to_do(home):
    log_bucket(home.resources, "st-mary").put("20260102T030405000000Z-0123456789abcdef.json", b"{}")
    with pytest.raises(QuarantineError, match="also those of versions before this log, and decide again"):
        decisions_of(home.resources, home.registry.get("st-mary"))


def test_another_hospitals_log_is_none_of_this_one(home):
    keep(home.resources, home.registry.get("lakeside"), ACCEPT)
    theirs = log_bucket(home.resources, "lakeside").get("000001.json")
    log_bucket(home.resources, "st-mary").put("000001.json", theirs)
    refused(home)


def test_what_was_cut_off_the_end_is_not_noticed(home, accepted_and_taken_back):
    # A boundary that docs/boundary.md names: the rights in `deploy/` keep it, not the seals.
    bucket, _ = accepted_and_taken_back
    bucket.delete(["000002.json", "000003.json"])
    assert home.log().log == (ACCEPT,)


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
