"""Switching one protective step off, and what became of it.

Belongs here: the switch, the order of what may catch a leak, and the comparison of three runs: with every step on, with
one step off, and with that step and the search in each record off.  The cases are in the tables beside this file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import gradient_assets.deid.leftovers as leftovers
import gradient_assets.deid.report as report_cleaner
import gradient_assets.pipelines.metadata as metadata_steps
import gradient_assets.pipelines.reports as report_steps
from tests.unit.mutations.hospital import Built, Outcome, Sent

CATCHES = (
    "another step",
    "record search",
    "boundary",
    "redaction proof",
    "no_known_identifier",
    "profile_holds",
    "no_identifier_like_pattern",
    "no_text_in_pixels",
    "triage_missed_nothing",
    "reconciliation",
    "the run fails",
    "gradient verify",
    "gradient verify --withdrawn",
)
"""What can catch a leak, in the order in which it would."""

_BY_REASON = {
    "residual_identifier": "record search",
    "boundary_refused": "boundary",
    "redaction_failed": "redaction proof",
    "residual_text_in_pixels": "redaction proof",
    "triage_missed_text": "redaction proof",
}
BLACKED_OUT = "[REDACTED]"


class Off:
    """Takes the place of functions until the test ends; knows whether any of them was asked for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch, self.used = patch, False

    def instead(self, owner: Any, name: str, new: Callable[..., Any], *, counts: bool = True) -> None:
        """Call `new(original, …)` in place of a function or method; `counts`: a call is a use of what is switched off."""
        original = getattr(owner, name)

        def called(*arguments: Any, **named: Any) -> Any:
            self.used = self.used or counts
            return new(original, *arguments, **named)

        self._patch.setattr(owner, name, called)

    def nothing(self, owner: Any, name: str, result: Any = ()) -> None:
        """Let a function or method give back the same empty answer always."""
        self.instead(owner, name, lambda original, *arguments, **named: result)


def record_search_off(off: Off) -> None:
    """Nothing is searched before it is written: neither for the patient's own identifiers nor for anybody else's."""
    off.nothing(leftovers, "residual_in_dataset", [])
    off.nothing(report_cleaner, "residual_in_text", [])
    for module in (metadata_steps, report_steps):
        off.nothing(module, "refuse_leaks", None)


@dataclass(frozen=True)
class Mutation:
    """One step, what is switched off, and what was planted for it.

    `planted`: what the output holds if nothing takes it out: a text, or a question to the outcome.
    """

    step: str
    stage: str
    sent: Sent
    planted: str | Callable[[Outcome], bool]
    off: Callable[[Off], None]

    def leaks(self, outcome: Outcome) -> bool:
        """Whether what was planted can be seen in what was written."""
        return outcome.holds(self.planted) if isinstance(self.planted, str) else self.planted(outcome)


def caught_by(mutation: Mutation, built: Built) -> list[str]:
    """What catches the leak that the mutation opens, in the order of `CATCHES`.

    Fails where the mutation proves nothing: the step is never reached, or leaks with every step on.
    """
    clean = built.clean(mutation.sent, mutation.stage)
    assert not clean.failed, clean.failed
    assert not mutation.leaks(clean), "leaks with every step on"
    assert not clean.found, {name: found.by_kind for name, found in clean.looks.items()}
    caught = set()
    home = built.of(mutation.sent)
    with pytest.MonkeyPatch.context() as patch:
        off = Off(patch)
        mutation.off(off)
        first = home.run(mutation.stage, looking=False)
        record_search_off(Off(patch))
        second = home.run(mutation.stage)
        assert off.used, "the step that is switched off was never reached"
    for outcome in (first, second):
        if outcome.failed:
            caught.add("the run fails")
        for reason in outcome.refused - clean.refused:
            caught.add(_BY_REASON[reason])
    if any(BLACKED_OUT in text for text in first.texts):
        caught.add("record search")
    caught.update(second.found)
    if second.unbalanced:
        caught.add("reconciliation")
    if not caught and not mutation.leaks(second):
        caught.add("another step")
    return sorted(caught, key=CATCHES.index)
