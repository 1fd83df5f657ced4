"""Seals on the platform's own files in the identified zone: what the gate, the checks and people left there, as they left it.

Belongs here: closing a file's content with a key, and opening it.  Whoever may write the bucket but has no key can't make such
a file, change one, or lay one in another's place.  Taking a file away, or putting back an older one of the same place, leaves
no trace in a seal: what is missing has to ask for more than what is there.  Not here: the log of a release, whose entries are
chained (`releases.states`), and the records of withdrawals, which need any one version of a key (`withdrawals.register`).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradient_assets.deid.identity import Pseudonymizer, SecretKey
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


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=True)
