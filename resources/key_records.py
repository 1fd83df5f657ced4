"""Which version of a key is in use, as the identified zone remembers it, and taking a new version into use.

Belongs here: the record of each key (versions, fingerprints, who rotated it, when and why) and the comparison of the vault
with it.  Making and fetching secrets is `vault`'s business, what becomes of pseudonyms that of `gradient_assets.crosswalk`.

The record is what makes a change of the key a decision: a key that is another than recorded, or a version that nobody
recorded, is refused, since it would make other pseudonyms of the same patients without a word.  Where the record is lost,
the records of table partitions are asked: each names the key it was made with (`key_id`, `key_version`, `key_fingerprint`;
the rest of such a record is `gradient_assets.integrity`'s).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from gradient_assets.deid.identity import SecretKey
from resources.buckets.object_store import Bucket, ObjectExists, ObjectVanished
from resources.vault_contract import KeyChanged, KeyExists, MissingKey, Vault


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
    """The vault, the bucket of the keys' records, and that of the partitions' records."""

    vault: Vault
    records: Bucket
    partitions: Bucket

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

    def make(self, name: str) -> SecretKey:
        """Make version 1 of a new key.  Raises as `require_new`, and `KeyExists`."""
        self.require_new(name)
        return self.vault.create(name)

    def require_new(self, name: str) -> None:
        """Raise `MissingKey` if a key of that name was ever in use: a lost key is restored, never made anew.

        Raises `KeyChanged` for a record that can't be read.
        """
        if recorded := self.recorded(name):
            raise _lost(name, recorded[-1].version, recorded[-1].fingerprint)
        if used := self._made_with(name):
            raise _lost(name, *max(used))

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
        self.records.put(_key(name), _written(name, (*recorded, after)))
        return before, after

    def _first_use(self, name: str) -> tuple[KeyVersion, ...]:
        used = self._made_with(name)
        key = self._fetched(name, *max(used, default=(1, "")))
        if key.version > 1 or self.vault.exists(name, 2):
            raise KeyChanged(
                f"Key '{name}' has more than one version, but no record says which one is in use. Restore the record (docs/"
                "operations.md, Keys)."
            )
        # Recorded, a wrong key would be the one in use, and the right one refused from then on.
        if others := used - {(1, key.fingerprint)}:
            raise _another(name, key, min(others)[1])
        first = (KeyVersion(1, key.fingerprint, _now()),)
        try:
            self.records.create(_key(name), _written(name, first))
        except ObjectExists:
            # Put over it, a first use would take back a rotation that ended in between.
            return self.recorded(name)
        return first

    def _checked(self, name: str, recorded: KeyVersion) -> SecretKey:
        key = self._fetched(name, recorded.version, recorded.fingerprint)
        if key.fingerprint != recorded.fingerprint:
            raise _another(name, key, recorded.fingerprint)
        return key

    def _fetched(self, name: str, version: int, fingerprint: str) -> SecretKey:
        """That version.  Of one that was in use and is gone the vault would say how to make a new one; this says otherwise."""
        try:
            return self.vault.key(name, version)
        except MissingKey:
            if not fingerprint or self.vault.exists(name, version):
                raise
        raise _lost(name, version, fingerprint)

    def _made_with(self, name: str) -> frozenset[tuple[int, str]]:
        """Version and fingerprint of that key in all records of partitions; what can't be read `gradient verify` tells."""
        found = set()
        for stat in self.partitions.listing():
            try:
                record = json.loads(self.partitions.get(stat.key))
            except (ObjectVanished, ValueError):
                continue
            if isinstance(record, dict) and record.get("key_id") == name:
                version, fingerprint = record.get("key_version"), record.get("key_fingerprint")
                if isinstance(version, int) and isinstance(fingerprint, str):
                    found.add((version, fingerprint))
        return frozenset(found)

    def _of_old(self, name: str) -> tuple[KeyVersion, ...]:
        # Homes made before keys had versions hold the fingerprint alone.  Not reading it would accept any key.
        try:
            return (KeyVersion(1, self.records.get(f"{name}.txt").decode(), ""),)
        except ObjectVanished:
            return ()


def _lost(name: str, version: int, fingerprint: str) -> MissingKey:
    return MissingKey(
        f"Key '{name}', version {version}, was in use (fingerprint {fingerprint}) and is not in the vault. Restore it from a "
        "copy. Make no new one: it would give the same patients other pseudonyms. Nothing was written."
    )


def _another(name: str, key: SecretKey, fingerprint: str) -> KeyChanged:
    return KeyChanged(
        f"Key '{name}', version {key.version}, has the fingerprint {key.fingerprint}; the tables were made with "
        f"{fingerprint}. Restore that key. A new key is taken into use by `gradient rotate` alone."
    )


def _written(name: str, versions: tuple[KeyVersion, ...]) -> bytes:
    content = {"key": name, "versions": [asdict(one) for one in versions]}
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def _key(name: str) -> str:
    return f"{name}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
