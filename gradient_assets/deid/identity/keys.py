"""256-bit secrets from which everything pseudonymous is derived, and the file that holds one.

Belongs here: making, naming and reading a key.  There is no default key and no way to make one by accident: a missing
file is an error, `create_key_file` is the only writer and never overwrites.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

_PREFIX = "gradient-key-v1:"
KEY_BYTES = 32


class KeyFileError(Exception):
    """A key file is missing, readable by others, or no key file; the message says what to do, never its content."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One 256-bit secret.  Its repr shows the fingerprint, and the id and version under which a vault keeps it.

    A key outside any vault has no id; its version is 1.  Two keys are equal when their secrets are.
    """

    secret: bytes = field(repr=False)
    id: str = field(default="", compare=False)
    version: int = field(default=1, compare=False)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise KeyFileError(f"A key has {KEY_BYTES} bytes; this one has {len(self.secret)}.")
        object.__setattr__(self, "fingerprint", hmac.digest(self.secret, b"fingerprint", sha256).hex()[:16])

    @classmethod
    def generate(cls) -> SecretKey:
        """A new key from the operating system's random source."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> SecretKey:
        """The key that `to_text` wrote.  Raises `KeyFileError` for anything else."""
        stripped = text.strip()
        try:
            if not stripped.startswith(_PREFIX):
                raise ValueError
            return cls(bytes.fromhex(stripped.removeprefix(_PREFIX)))
        except ValueError:
            raise KeyFileError(f"No key: expected `{_PREFIX}` and {2 * KEY_BYTES} hexadecimal digits.") from None

    def to_text(self) -> str:
        """The key as one line for a key file or a secret manager."""
        return f"{_PREFIX}{self.secret.hex()}"

    def derive(self, purpose: str) -> SecretKey:
        """A key for one purpose; two purposes' keys say nothing of each other (HMAC-SHA256 as a PRF)."""
        return SecretKey(hmac.digest(self.secret, b"derive\x1f" + purpose.encode(), sha256))


def create_key_file(path: Path) -> SecretKey:
    """Write a new key to `path` (mode 0600) and return it.  Raises `KeyFileError` if anything is there already, or it can't."""
    key = SecretKey.generate()
    # Written beside and linked: a process killed in between leaves no half key under the name.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.to_text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            raise KeyFileError(f"{path} exists already; a key is never overwritten. Choose another path.") from None
        raise KeyFileError(f"Key file {path} can't be made ({type(error).__name__}); nothing is there now.") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return key


def read_key_file(path: Path) -> SecretKey:
    """Read a key.  Raises `KeyFileError` if it is missing, readable by group or others, or no key file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise KeyFileError(f"Key file {path} does not exist. Make one with `gradient keygen {path}`.") from None
    if not stat.S_ISREG(mode):
        raise KeyFileError(f"{path} is not a file.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"Key file {path} is open to group or others. Run `chmod 600 {path}`.")
    try:
        return SecretKey.from_text(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"Key file {path} can't be read ({type(error).__name__}).") from None
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from None
