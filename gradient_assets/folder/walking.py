"""Which files a folder holds, and reading one of them.

Belongs here: the walk in a fixed order, links, and files that are none.  Nothing is passed over in silence: what can't be
read is an input with a refusal.  What the bytes mean is `images`' business.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gradient_assets.deid.reasons import Reason, Refused


@dataclass(frozen=True, slots=True, repr=False)
class InputFile:
    """One input: its place in the sorted order, its path relative to the folder (bytes that are not UTF-8 as lone
    surrogates), and why it can't be read, if so."""

    number: int
    path: str
    refused: Refused | None = None

    def __repr__(self) -> str:
        return f"InputFile({self.number})"


def walk(folder: Path, left_out: Collection[Path] = ()) -> list[InputFile]:
    """All files below `folder`, sorted by path, hidden ones too.

    A link to a file inside the folder is an input like that file; a link to a folder inside is passed over, since that
    folder is walked itself.  Links that lead out, or nowhere, are refused, as are pipes, sockets, devices and folders that
    can't be listed.  `left_out`: files that are no inputs (the key, the CSV files, the crosswalk).
    """
    inside = os.path.realpath(folder)
    spared = {os.path.realpath(path) for path in left_out}
    found = sorted(_entries(os.path.abspath(folder), "", inside, spared), key=lambda entry: entry[0])
    return [InputFile(number, path, refused) for number, (path, refused) in enumerate(found)]


def _entries(folder: str, above: str, inside: str, spared: set[str]) -> Iterator[tuple[str, Refused | None]]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        yield above.rstrip("/") or ".", _unreadable(error, "a folder")
        return
    for entry in entries:
        path = f"{above}{entry.name}"
        if entry.is_symlink():
            yield from _link(entry.path, path, inside, spared)
        elif entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, f"{path}/", inside, spared)
        elif os.path.realpath(entry.path) not in spared:
            yield path, None if entry.is_file() else Refused(Reason.UNREADABLE_FILE, "neither file nor folder")


def _link(place: str, path: str, inside: str, spared: set[str]) -> Iterator[tuple[str, Refused | None]]:
    target = os.path.realpath(place)
    if target in spared:
        return
    if target != inside and not target.startswith(inside.rstrip("/") + "/"):
        yield path, Refused(Reason.UNREADABLE_FILE, "a link that leads out of the folder")
    elif not os.path.exists(target):
        yield path, Refused(Reason.UNREADABLE_FILE, "a link that leads nowhere")
    elif not os.path.isdir(target):
        yield path, None


def open_file(folder: str, path: str) -> BinaryIO:
    """The file for reading.  Raises `Refused` with OBJECT_VANISHED or UNREADABLE_FILE."""
    try:
        # Without O_NONBLOCK, opening a pipe that took the file's place since the walk would wait for ever.
        descriptor = os.open(os.path.join(folder, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refused(Reason.OBJECT_VANISHED) from None
    except OSError as error:
        raise _unreadable(error, "a file") from None
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise Refused(Reason.UNREADABLE_FILE, "neither file nor folder")
    return file


def read_file(folder: str, path: str) -> bytes:
    """All bytes of the file.  Raises `Refused` like `open_file`."""
    with open_file(folder, path) as file:
        try:
            return file.read()
        except OSError as error:
            raise _unreadable(error, "a file") from None


def _unreadable(error: OSError, what: str) -> Refused:
    return Refused(Reason.UNREADABLE_FILE, f"{what}: {errno.errorcode.get(error.errno or 0, type(error).__name__)}")
