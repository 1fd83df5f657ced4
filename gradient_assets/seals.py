"""Seals on the platform's own files in the identified zone: what the gate, the checks and people left there, as they left it.

Belongs here: closing a file's content with a key, and opening it (`Seals`); files that are only added to, each sealed over the
one before (`SealedLog`).  Whoever may write the bucket but has no key can't make such a file, change one, or lay one in
another's place.  Taking a file away, or putting back an older one of the same place, leaves no trace in a seal alone: what is
missing has to ask for more than what is there, or lie in a log.  A log shows both, but for entries cut off its end.  Not here:
the records of withdrawals, which need any one version of a key (`withdrawals.register`).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from resources.buckets.object_store import Bucket
from resources.environment import Resources


class SealBroken(ValueError):  # noqa: N818  the name says what happened
    """A file is not as the platform wrote it."""


@dataclass(frozen=True, slots=True)
class Seals:
    """What seals files of one purpose.  The first key closes; all of them open, since a file outlives a rotation."""

    sealers: tuple[Pseudonymizer, ...]

    @classmethod
    def of(cls, resources: Resources, secret_name: str, purpose: str) -> Seals:
        """Under the key in use.  Raises `MissingKey` and `KeyChanged`: no key, no file."""
        return cls.under((resources.key(secret_name), *resources.former_keys(secret_name)), purpose)

    @classmethod
    def under(cls, keys: Iterable[SecretKey], purpose: str) -> Seals:
        """Under these keys; files of one purpose are none of another."""
        return cls(tuple(Pseudonymizer(key, f"seal\x1f{purpose}") for key in keys))

    def closed(self, place: str, content: Mapping[str, Any]) -> bytes:
        """The content as a file that lies at this place."""
        text = _canonical(content)
        return _canonical({"content": content, "seal": self.sealers[0].token(place, text)}).encode()

    def opened(self, place: str, file: bytes) -> dict[str, Any]:
        """The content of such a file.  Raises `SealBroken`."""
        try:
            outer = json.loads(file)
            content, seal = outer["content"], outer["seal"].encode()
            is_whole = len(outer) == 2 and isinstance(content, dict)
            text = _canonical(content)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            is_whole = False
        if is_whole and any(hmac.compare_digest(sealer.token(place, text).encode(), seal) for sealer in self.sealers):
            return dict(content)
        raise SealBroken("a file is not as it was written")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one entry says, and the seal that the next one is bound to."""

    content: dict[str, Any]
    seal: str


@dataclass(frozen=True)
class SealedLog:
    """Numbered files of a bucket; each seal is over its content, the log's name and the seal before it.

    The first sealer closes; all of them open, since a log outlives a rotation.
    """

    files: Bucket
    name: str
    sealers: tuple[Pseudonymizer, ...]

    def read(self, after: int = 0, seal: str = "") -> Iterator[LogEntry]:
        """The entries after that many, of which the last has that seal.

        Raises `SealBroken` at one that is not as it was written, or not where it was; and what the store raises.
        """
        start = self.key(after) if after else None
        for number, stat in enumerate(self.files.listing(start_after=start), after + 1):
            if stat.key != self.key(number):
                raise SealBroken("an entry is missing, or a foreign file lies there")
            entry = _entry_of(self.files.get(stat.key))
            if not any(
                hmac.compare_digest(own.encode(), entry.seal.encode()) for own in self._seals(entry.content, seal)
            ):
                raise SealBroken("an entry was changed after it was written, or stood elsewhere")
            yield entry
            seal = entry.seal

    def append(self, number: int, content: Mapping[str, Any], seal: str) -> LogEntry:
        """Add the entry of that number behind the one with that seal (blank for the first).

        Raises `ObjectExists` when somebody else's has come first; nothing is written then.
        """
        entry = LogEntry(dict(content), self._seals(content, seal)[0])
        file = json.dumps(entry.content | {"seal": entry.seal}, sort_keys=True, ensure_ascii=False)
        self.files.create(self.key(number), file.encode())
        return entry

    def key(self, number: int) -> str:
        """Where an entry lies."""
        return f"{number:06}.json"

    def _seals(self, content: Mapping[str, Any], before: str) -> list[str]:
        return [sealer.token(self.name, before, _canonical(content)) for sealer in self.sealers]


def _entry_of(file: bytes) -> LogEntry:
    try:
        content = json.loads(file)
        seal = content.pop("seal")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        content, seal = None, None
    if not isinstance(content, dict) or not isinstance(seal, str):
        raise SealBroken("an entry that is none")
    return LogEntry(content, seal)


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=True)
