"""FILE: what became of each input, old and new identifiers side by side.  Identified data, for its owner's eyes only.

Belongs here: its columns, and writing it in one step with mode 0600.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True, repr=False)
class CrosswalkRow:
    """One input.  Paths are relative to IN and OUT; what was quarantined has no new identifiers, since nothing bears them."""

    input_path: str
    status: str
    reason: str = ""
    detail: str = ""
    output_path: str = ""
    old_sop_instance_uid: str = ""
    new_sop_instance_uid: str = ""
    old_series_instance_uid: str = ""
    new_series_instance_uid: str = ""
    old_study_instance_uid: str = ""
    new_study_instance_uid: str = ""
    old_patient_id: str = ""
    new_patient_id: str = ""

    def __repr__(self) -> str:
        return f"CrosswalkRow({self.status})"


COLUMNS = tuple(field.name for field in fields(CrosswalkRow))


def crosswalk_bytes(rows: Iterable[CrosswalkRow]) -> bytes:
    """CSV in UTF-8.  Bytes of a file name that are not UTF-8 stand as `\\xNN`."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return _text_to_bytes(buffer.getvalue())


def _text_to_bytes(text: str) -> bytes:
    """UTF-8; what a file system or a broken header left as lone surrogates is shown as `\\xNN`."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return b"".join(_sign_to_bytes(sign) for sign in text)


def _sign_to_bytes(sign: str) -> bytes:
    if "\udc80" <= sign <= "\udcff":  # PEP 383: the byte itself
        return f"\\x{ord(sign) - 0xDC00:02x}".encode()
    return sign.encode("utf-8", "backslashreplace")


@contextmanager
def written_beside(path: Path, content: bytes) -> Iterator[Callable[[], None]]:
    """A file of mode 0600 beside `path`, on disk; the function given renames it over `path`, else it is gone afterwards.

    Raises `OSError`.
    """
    target = path.resolve()
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield lambda: os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
