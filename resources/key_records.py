"""Which version of a key is in use, as the identified zone remembers it, and taking a new version into use.

Belongs here: the record of each key (versions, fingerprints, who rotated it, when and why) and the comparison of the vault
with it.  Making and fetching secrets is `vault`'s business, what becomes of pseudonyms that of `gradient_assets.crosswalk`.

The record is what makes a change of the key a decision: a key that is another than recorded, or a version that nobody
recorded, is refused, since it would make other pseudonyms of the same patients without a word.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from gradient_assets.deid.identity import SecretKey
from resources.object_store import Bucket, ObjectVanished
from resources.vault import KeyChanged, KeyExists, Vault


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key: its fingerprint, and since when, by whom and why it is in use (`since` is ISO 8601, UTC)."""

    version: int
    fingerprint: str
    since: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KeyKeeper:
    """The vault, and the bucket of the records."""

    vault: Vault
    records: Bucket

    def current(self, name: str) -> SecretKey:
        """The version in use.  The first use of a key is recorded.  Raises `MissingKey` and `KeyChanged`."""
        recorded = self.recorded(name) or self._first_use(name)
        newest = recorded[-1].version
        if self.vault.exists(name, newest + 1):
            raise KeyChanged(
                f"Key '{name}' has a version {newest + 1} that no rotation recorded. Run `gradient rotate` once more to take "
                "it into use, or delete that secret from the vault. Nothing was changed."
            )
        return self._checked(name, recorded[-1])

    def version(self, name: str, version: int) -> SecretKey:
        """A version that is or was in use.  Raises `MissingKey` and `KeyChanged`."""
        for one in self.recorded(name):
            if one.version == version:
                return self._checked(name, one)
        raise KeyChanged(f"Key '{name}' has no recorded version {version}.")

    def recorded(self, name: str) -> tuple[KeyVersion, ...]:
        """Every version that was ever in use, the current one last; none before the first use.  Raises `KeyChanged`."""
        try:
            content = self.records.get(_key(name))
        except ObjectVanished:
            return self._of_old(name)
        try:
            found = tuple(KeyVersion(**one) for one in json.loads(content)["versions"])
            if not found or [one.version for one in found] != list(range(1, len(found) + 1)):
                raise ValueError
        except (ValueError, TypeError, KeyError):
            understood = False
        else:
            understood = True
        if not understood:
            raise KeyChanged(f"The record of key '{name}' can't be read. Restore it; nothing is made without it.")
        return found

    def rotate(self, name: str, *, by: str, reason: str) -> tuple[KeyVersion, KeyVersion]:
        """Make the next version and take it into use.  Returns the version before and the new one.

        A version that an earlier, broken attempt made is taken into use instead of making one more.  Raises `MissingKey`,
        `KeyChanged`, and `KeyExists` when another process rotates at the same time.
        """
        recorded = self.recorded(name) or self._first_use(name)
        before = recorded[-1]
        self._checked(name, before)
        following = before.version + 1
        left_over = self.vault.exists(name, following)
        key = self.vault.key(name, following) if left_over else self.vault.rotate(name, following)
        if self.recorded(name) != recorded:
            raise KeyExists(
                f"Key '{name}' was rotated by somebody else at the same time. Look again before rotating once more."
            )
        if key.fingerprint in {one.fingerprint for one in recorded}:
            raise KeyChanged(
                f"Version {following} of key '{name}' is an earlier version once more. Delete it from the vault."
            )
        after = KeyVersion(following, key.fingerprint, _now(), by, reason)
        self._write(name, (*recorded, after))
        return before, after

    def _first_use(self, name: str) -> tuple[KeyVersion, ...]:
        key = self.vault.key(name, 1)
        if self.vault.exists(name, 2):
            raise KeyChanged(
                f"Key '{name}' has more than one version, but no record says which one is in use. Restore the record (docs/"
                "operations.md, Keys)."
            )
        first = (KeyVersion(1, key.fingerprint, _now()),)
        self._write(name, first)
        return first

    def _checked(self, name: str, recorded: KeyVersion) -> SecretKey:
        key = self.vault.key(name, recorded.version)
        if key.fingerprint != recorded.fingerprint:
            raise KeyChanged(
                f"Key '{name}', version {recorded.version}, has the fingerprint {key.fingerprint}; the tables were made with "
                f"{recorded.fingerprint}. Restore that key. A new key is taken into use by `gradient rotate` alone."
            )
        return key

    def _of_old(self, name: str) -> tuple[KeyVersion, ...]:
        # Homes made before keys had versions hold the fingerprint alone.  Not reading it would accept any key.
        try:
            return (KeyVersion(1, self.records.get(f"{name}.txt").decode(), ""),)
        except ObjectVanished:
            return ()

    def _write(self, name: str, versions: tuple[KeyVersion, ...]) -> None:
        content = {"key": name, "versions": [asdict(one) for one in versions]}
        self.records.put(_key(name), json.dumps(content, ensure_ascii=False, indent=1).encode())


def _key(name: str) -> str:
    return f"{name}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
