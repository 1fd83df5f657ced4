"""What a vault can be asked, and how it says no.

Belongs here: the face that all vaults have, and their errors.  The vaults themselves are in `vault`.
"""

from __future__ import annotations

from typing import Protocol

from gradient_assets.deid.identity import SecretKey


class VaultError(Exception):
    """A vault could not do what it was asked to.  The message says what to do and never holds a secret."""


class MissingKey(VaultError):  # noqa: N818  the name says what happened
    """A secret is not there or can't be read."""


class KeyExists(VaultError):  # noqa: N818  as above
    """A secret of this name is there already; it is never overwritten."""


class KeyChanged(VaultError):  # noqa: N818  as above
    """A key is another than the one that made the tables.  The message holds fingerprints only."""


class Vault(Protocol):
    """Secrets by name.  Picklable, so that Beam workers can open a bucket with it."""

    def key(self, name: str, version: int | None = None) -> SecretKey:
        """That version of the key, by default the newest one.  Raises `MissingKey`."""
        ...

    def create(self, name: str) -> SecretKey:
        """Make version 1 of a new key.  Raises `KeyExists`."""
        ...

    def exists(self, name: str, version: int = 1) -> bool:
        """Whether there is that version of the key.  Raises `MissingKey` if the vault can't say."""
        ...

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions that there are, in order; none for a key that is not there.  Raises `MissingKey` as `exists`."""
        ...

    def rotate(self, name: str, version: int | None = None) -> SecretKey:
        """Make that version of a key that is there, by default the next one.

        Raises `MissingKey`, and `KeyExists` when another process was faster.
        """
        ...

    def text(self, name: str) -> str:
        """A secret that is no key (a bucket's credentials).  Raises `MissingKey`."""
        ...
