"""What of a Dataflow job's messages may be told: known forms, in our own words.

Belongs here: recognising a message and saying it with the numbers it holds.  A worker's error comes with its traceback and
the element it failed at, so no text of the service is ever passed on: `dataflow_messages.json` lists the forms that are
known, and of any other only that there was one, how grave it is and which kind of Python error it names.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

from resources.engines.dataflow_service import JobMessage

_PLACEHOLDERS = {
    "ZONE": r"([a-z]{2,20}-[a-z]{4,20}\d{1,2}(?:-[a-z])?)",
    "MACHINE": r"([a-z][a-z0-9]{1,5}-[a-z]{2,12}(?:-\d{1,4}){0,2})",
    "N": r"(\d{1,6})",
}
_NUMBERED = re.compile(r"\([0-9a-f]{12,20}\): ")
"""Before older messages stands the number of the machine that wrote them."""

UNKNOWN = "of unknown form"
_GRAVE = ("WARNING", "ERROR")
_KEPT_CHARACTERS = 16 * 1024
_ERROR_KINDS = frozenset(
    name for name, one in vars(builtins).items() if isinstance(one, type) and issubclass(one, Exception)
)
_WORD = re.compile(r"\b[A-Z][A-Za-z]+\b")


@cache
def _forms() -> tuple[tuple[re.Pattern[str], str], ...]:
    listed = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))["forms"]
    return tuple((_pattern(one["form"]), one["say"]) for one in listed)


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\b(ZONE|MACHINE|N)\b", lambda found: _PLACEHOLDERS[found[1]], form))


def told(text: str, importance: str) -> str | None:
    """The message in our words; None for one below a warning that has no known form."""
    stripped = _NUMBERED.sub("", text.strip(), count=1)
    for pattern, say in _forms():
        if found := pattern.fullmatch(stripped):
            return say.format(*found.groups())
    if importance not in _GRAVE:
        return None
    kinds = sorted(set(_WORD.findall(text)) & _ERROR_KINDS)
    named = f" with {', '.join(kinds)}" if kinds else ""
    return f"{importance.lower()} {UNKNOWN}{named}; its text is withheld"


@dataclass
class Hearing:
    """Follows one job's messages: what is new, in our words.  Grave texts are kept for the diagnostics."""

    since: datetime | None = None
    withheld: list[str] = field(default_factory=list)
    reason: str = ""
    """The last known form among errors, else what is told of the last error."""
    _heard: set[str] = field(default_factory=set)
    _last: str = ""

    def new(self, messages: list[JobMessage]) -> Iterator[str]:
        """What to say of the messages that were not heard yet; the same words twice in a row are said once."""
        for message in messages:
            mark = message.id or f"{message.time} {message.text}"
            if mark in self._heard:
                continue
            self._heard.add(mark)
            self.since = message.time or self.since
            if message.importance in _GRAVE and sum(map(len, self.withheld)) < _KEPT_CHARACTERS:
                self.withheld.append(message.text[:_KEPT_CHARACTERS])
            words = told(message.text, message.importance)
            if words is not None and message.importance == "ERROR" and (not self.reason or UNKNOWN not in words):
                self.reason = words
            if words is not None and words != self._last:
                self._last = words
                yield words
