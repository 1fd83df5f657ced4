"""A folder that stands for a bucket: listing in key order, reading, writing in one step.

Belongs here: everything a bucket of the embedded default does on a file system, also getting rid of what a killed process
had not finished.  S3 and GCS are `object_store`'s business, which also puts names to the errors.

Why not obstore's `LocalStore`, measured with obstore 0.12.1: files whose name ends in `#` and digits are missing from its
listing; one name that is not UTF-8 fails the whole listing; names with control characters can't be read; the listing has no
order; a child forked after the parent used obstore waits for ever; 88 µs a range read, 7 µs here.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

_PART_PREFIX, _PART_SUFFIX = ".gradient-", ".part"
_RANDOM_LETTERS = 20
"""In a part's name; the locks of `staging` have 16, and are not this module's to sweep."""
_FOLDERS_REMEMBERED = 4096
"""Folders that this process has swept.  To list one of 100,000 files takes 30 ms, too long for each small file."""
FOLDER_ATTEMPTS = 100
"""How often a folder is made again that others remove; two processes that did nothing else needed 4 at most."""

_Made = TypeVar("_Made")


class FileStat(NamedTuple):
    """One file below the folder.  `key` has `/` between segments; bytes that are not UTF-8 stand as `\\xNN`."""

    key: str
    size: int
    modified_ns: int

    @property
    def etag(self) -> str:
        """Time and size: it moves with `cp -p` and changes with the content."""
        return f"{self.modified_ns:x}-{self.size:x}"


class FileReplaced(Exception):  # noqa: N818  the name says what happened
    """The file is not the one that was listed, or was written to meanwhile."""


class KeyOutsideFolder(ValueError):  # noqa: N818  the name says what happened
    """A key that is empty, absolute, or climbs out of the folder."""


class LocalFolder:
    """A folder whose files are objects.  It is created when first written to; a missing one is an empty bucket."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def listing(self, prefix: str, start_after: str | None) -> Iterator[FileStat]:
        """Files whose key starts with `prefix` and is greater than `start_after`, in key order, one folder at a time.

        Links are followed, as far as they do not lead back into a folder above them.
        """
        yield from self._walk(os.fsencode(self.root), "", prefix, start_after or "", frozenset())

    def _walk(
        self, folder: bytes, above: str, prefix: str, start_after: str, seen: frozenset[tuple[int, int]]
    ) -> Iterator[FileStat]:
        try:
            here = os.stat(folder)
            entries = [entry for entry in os.scandir(folder) if not _is_part(entry.name)]
        except FileNotFoundError:
            return
        if (here.st_dev, here.st_ino) in seen:
            return
        # A folder sorts as `name/`: `a-b` comes before `a/b`, as S3 lists them.
        named = sorted((f"{above}{_key_text(e.name)}{'/' if e.is_dir() else ''}", e.path) for e in entries)
        for key, path in named:
            if key.endswith("/"):
                below_prefix = key.startswith(prefix) or prefix.startswith(key)
                if below_prefix and (key > start_after or start_after.startswith(key)):
                    yield from self._walk(path, key, prefix, start_after, seen | {(here.st_dev, here.st_ino)})
            elif key.startswith(prefix) and key > start_after:
                try:
                    found = os.stat(path)
                except FileNotFoundError:  # deleted since the scan, or a link to nothing
                    continue
                yield FileStat(key, found.st_size, found.st_mtime_ns)

    def read(self, key: str, start: int = 0, length: int | None = None, *, etag: str | None = None) -> bytes:
        """Bytes of one file; fewer than `length` at its end.  With `etag` only of the file that was listed with it.

        Raises `OSError`, `KeyOutsideFolder` or `FileReplaced`.
        """
        with open(self._path(key), "rb") as file:
            _refuse_another(file, key, etag)
            file.seek(start)
            content = file.read(-1 if length is None else length)
            # Somebody may have written into the same file while it was read.
            _refuse_another(file, key, etag)
            return content

    def write(self, key: str, content: bytes) -> None:
        """Put the file in place in one step, on disk before it is visible."""
        write_file(Path(os.fsdecode(self._path(key))), content)

    def create(self, key: str, content: bytes) -> None:
        """Put the file in place in one step unless one is there.  Raises `FileExistsError`."""
        create_file(Path(os.fsdecode(self._path(key))), content)

    def move(self, source: str, target: str) -> None:
        """Rename a file, in place of what is there."""
        old, new = self._path(source), Path(os.fsdecode(self._path(target)))
        _in_folder(new.parent, lambda: os.replace(old, new), unless=lambda: not os.path.lexists(old))
        _sync_folder(new.parent)
        self._remove_empty(os.path.dirname(old))

    def delete(self, key: str) -> None:
        """Remove the file and the folders that it leaves empty; a missing file is no error."""
        path = self._path(key)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        self._remove_empty(os.path.dirname(path))

    def _remove_empty(self, folder: bytes) -> None:
        root = os.fsencode(self.root)
        while len(folder) > len(root):
            try:
                os.rmdir(folder)
            except OSError:  # not empty
                return
            folder = os.path.dirname(folder)

    def stat(self, key: str) -> FileStat:
        """Size and time of one file.  Raises `OSError` or `KeyOutsideFolder`."""
        found = os.stat(self._path(key))
        return FileStat(key, found.st_size, found.st_mtime_ns)

    def _path(self, key: str) -> bytes:
        segments = key.split("/")
        if "\x00" in key or any(segment in ("", ".", "..") for segment in segments):
            raise KeyOutsideFolder
        return os.path.join(os.fsencode(self.root), *(_file_name(segment) for segment in segments))


def _refuse_another(file: BinaryIO, key: str, etag: str | None) -> None:
    if etag is not None:
        found = os.fstat(file.fileno())
        if FileStat(key, found.st_size, found.st_mtime_ns).etag != etag:
            raise FileReplaced


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, sync it, and rename it over `path`."""
    with _unfinished(path) as (part, file):
        file.write(content)
        file.flush()
        put_in_place(part, path)


def create_file(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, sync it, and link it to `path`: of two writers one comes first.

    Opening `path` itself with `O_EXCL` would leave half a file there after a power cut.  Raises `FileExistsError`.
    """
    with _unfinished(path) as (part, file):
        file.write(content)
        file.flush()
        sync(part, os.O_RDWR)
        os.link(part, path)
        _sync_folder(path.parent)


@contextmanager
def _unfinished(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A fresh file in the folder of `path`, under a name that listings leave out and a lock that goes with this process.

    Whoever first writes to the folder afterwards sweeps what no process holds: a killed one can't clean up.
    """
    part, file = _in_folder(path.parent, lambda: _first_part(path.parent))
    try:
        with file:
            yield part, file
    finally:
        part.unlink(missing_ok=True)


def _in_folder(folder: Path, act: Callable[[], _Made], unless: Callable[[], bool] = lambda: False) -> _Made:
    """What puts a first file of ours into a folder, which is made before.

    Another process that deletes the folder's last file removes the folder too, until ours lies there: a withdrawal beside a run
    ended the run so.  Then it is made again, `unless` something else is not there.
    """
    for _ in range(FOLDER_ATTEMPTS - 1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return act()
        except (FileNotFoundError, FileExistsError):  # `mkdir` says the latter when the folder went while it looked
            if unless():
                raise
    folder.mkdir(parents=True, exist_ok=True)
    return act()


def _first_part(folder: Path) -> tuple[Path, BinaryIO]:
    _sweep(folder)
    return _locked_part(folder)


def _locked_part(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        part = folder / f"{_PART_PREFIX}{secrets.token_hex(_RANDOM_LETTERS // 2)}{_PART_SUFFIX}"
        file = open(part, "xb")  # noqa: SIM115  the caller closes it
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return part, file
        file.close()  # somebody swept it before it was locked


@lru_cache(maxsize=_FOLDERS_REMEMBERED)
def _sweep(folder: Path) -> None:
    with os.scandir(folder) as entries:
        parts = [entry.path for entry in entries if _is_unfinished(entry.name)]
    for part in parts:
        with suppress(OSError):  # finished or swept meanwhile, or held by its writer
            _remove_if_free(part)


def _remove_if_free(part: str) -> None:
    descriptor = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(part)
    finally:
        os.close(descriptor)


def put_in_place(part: Path, path: Path) -> None:
    """Sync a finished file, rename it over `path`, and sync the folder, so that a power cut leaves the old or the new."""
    sync(part, os.O_RDWR)
    os.replace(part, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put the folder's entries on disk; one that is gone was emptied by another process since."""
    with suppress(FileNotFoundError):
        sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all it holds; what another process removes meanwhile is no error."""
    shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path, flags: int) -> None:
    """Put a file (`O_RDWR`) or a folder's entries (`O_RDONLY | O_DIRECTORY`) on disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_part(name: bytes) -> bool:
    return name.startswith(_PART_PREFIX.encode()) and name.endswith(_PART_SUFFIX.encode())


def _is_unfinished(name: str) -> bool:
    """Whether it is a file of this module."""
    middle = name.removeprefix(_PART_PREFIX).removesuffix(_PART_SUFFIX)
    is_random = len(middle) == _RANDOM_LETTERS and not set(middle) - set("0123456789abcdef")
    return is_random and name == f"{_PART_PREFIX}{middle}{_PART_SUFFIX}"


def _key_text(name: bytes) -> str:
    # A key goes into Parquet and JSON, which hold no lone surrogates; `\xNN` is read back by `_file_name`.
    return name.decode("utf-8", "backslashreplace")


def _file_name(segment: str) -> bytes:
    return b"".join(
        bytes((int(part[2:4], 16),)) + part[4:].encode() if index and _is_escape(part) else part.encode()
        for index, part in enumerate(_split_escapes(segment))
    )


def _split_escapes(segment: str) -> list[str]:
    pieces = segment.split("\\x")
    return [pieces[0], *(f"\\x{piece}" for piece in pieces[1:])]


def _is_escape(part: str) -> bool:
    # Only bytes from 0x80 are ever escaped; a real backslash before other digits is part of the name.
    return len(part) >= 4 and part[2] in "89abcdef" and part[3] in "0123456789abcdef"
