"""OUT: made beside the old result and put in its place in one step, so that no half result is ever seen.

Belongs here: which folder may be written to, the staging folder inside it (mode 0700), names of delivered objects, and the
exchange of old for new.  What is written is `images`' and `reports`' business.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gradient_assets.folder.request import FolderError

MARK = ".gradient-deidentify"
"""The file by which an earlier result is known; a folder without it is never replaced."""

STAGING = ".gradient-staging"
DICOM = "dicom"
REPORTS = "reports.csv"

_MARK_TEXT = "This folder was written by `gradient deidentify`, which replaces it when it is run again.\n"
_DELIVERED = re.compile(r"P[A-Z2-7]{16}(/2\.25\.\d{1,39}){3}(-\d+)?\.dcm")
_NOT_OURS = (
    "OUT is not empty and holds something else than an earlier result of this command; choose an empty or a new folder"
)


@dataclass
class Delivery:
    """One run's output, from the first object to the exchange."""

    out: Path
    _times: Counter[str] = field(default_factory=Counter)

    @property
    def objects(self) -> Path:
        """Where workers put cleaned objects under tokens' names."""
        return self.out / STAGING / "objects"

    @property
    def reports(self) -> Path:
        """Where the report file is written before the exchange."""
        return self.out / STAGING / REPORTS

    @property
    def _result(self) -> Path:
        return self.out / STAGING / DICOM

    def check(self) -> None:
        """Raises `FolderError` unless OUT is absent, empty, or holds an earlier result and nothing else."""
        if not self.out.exists():
            return
        names = {entry.name for entry in os.scandir(self.out)}
        if not names:
            return
        if MARK not in names or names - {MARK, STAGING, DICOM, REPORTS}:
            raise FolderError(_NOT_OURS)
        if (self.out / DICOM).is_symlink() or (self.out / STAGING).is_symlink():
            raise FolderError(_NOT_OURS)
        if not all(_DELIVERED.fullmatch(path) for path in _files_below(self.out / DICOM)):
            raise FolderError(_NOT_OURS)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """OUT with its mark and an empty staging folder, which is gone afterwards whatever happens.

        Raises `FolderError` if another run is writing there.
        """
        with ExitStack() as stack:
            self.out.mkdir(parents=True, exist_ok=True)
            stack.enter_context(only_here(self.out, "OUT"))
            (self.out / MARK).write_text(_MARK_TEXT)
            stack.callback(shutil.rmtree, self.out / STAGING, ignore_errors=True)
            shutil.rmtree(self.out / STAGING, ignore_errors=True)
            (self.out / STAGING).mkdir(mode=0o700)
            self.objects.mkdir()
            self._result.mkdir()
            yield

    def take(self, name: str, key: str, new_sop_uid: str) -> str:
        """Give a cleaned object its place; return its path relative to OUT.

        A second object of the same SOP Instance UID gets `-2` before `.dcm`: a folder may hold several, and none is dropped.
        """
        self._times[new_sop_uid] += 1
        times = self._times[new_sop_uid]
        place = key if times == 1 else f"{key.removesuffix('.dcm')}-{times}.dcm"
        target = self._result / place
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(self.objects / name, target)
        return f"{DICOM}/{place}"

    def exchange(self) -> None:
        """The new result in place of the old one."""
        old = self.out / STAGING / "old"
        if (self.out / DICOM).exists():
            os.rename(self.out / DICOM, old)
        if self._times:
            os.rename(self._result, self.out / DICOM)
        if self.reports.exists():
            os.replace(self.reports, self.out / REPORTS)
        else:
            (self.out / REPORTS).unlink(missing_ok=True)


@contextmanager
def only_here(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock on a folder.  Raises `FolderError` if another process has it; it ends with the process at the latest."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderError(f"{name}: another run is writing there; wait for its end") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def private_folder(crosswalk: Path) -> Iterator[Path]:
    """A folder of mode 0700 beside FILE for what workers say of identified data; emptied before and gone afterwards.

    Not in OUT, which is handed on, and not in the machine's folder for temporary files, which may be shared or small.
    """
    folder = crosswalk.resolve().with_name(f".{crosswalk.name[:200]}.working")
    folder.mkdir(mode=0o700, exist_ok=True)
    with only_here(folder, "--crosswalk"):
        for entry in os.scandir(folder):
            os.unlink(entry.path)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _files_below(folder: Path) -> Iterator[str]:
    for above, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(above, name), folder)
