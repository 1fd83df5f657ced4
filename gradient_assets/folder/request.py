"""What is asked of the folder tool, and what is refused before anything is read.

Belongs here: the places (IN, OUT, FILE, the key) and their relation to each other, the roles of report columns.  A message
names the argument that is wrong, never a path or a heading: both can hold a patient's name.
"""

from __future__ import annotations

import codecs
import csv
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gradient_assets.folder.crosswalk import COLUMNS as CROSSWALK_COLUMNS
from gradient_assets.hospitals import REPORT_ROLES, DateOrder, ReportLanguage, UndeclaredLanguage

OUTPUT_COLUMNS = ("report_id", "accession_number")
"""The first two columns of OUT/reports.csv; the third is the text column under its own name."""

Replacement = Literal["tags", "surrogates"]


class FolderError(Exception):
    """The request can't be carried out; the message is one line for people and names no patient."""


@dataclass(frozen=True, slots=True)
class ReportsRequest:
    """A CSV of reports to be cleaned beside the images.

    `columns`: role → column name.  `identifiers`: a second CSV whose columns bear the roles' names, joined by report_id.
    `delimiter`, `encoding` and `date_order` hold for both files, as in `deid.text.ReportLayout`.
    """

    path: Path
    columns: Mapping[str, str]
    identifiers: Path | None = None
    replace: Replacement = "tags"
    keep_report_id: bool = False
    delimiter: str = "auto"
    encoding: str = "utf-8"
    date_order: DateOrder = "mdy"
    language: ReportLanguage = "en"
    undeclared_language: UndeclaredLanguage = "pass"

    def check(self) -> None:
        """Raises `FolderError` for a file that is not there, a delimiter or an encoding that is none."""
        regular_file(self.path, "--reports")
        if self.identifiers is not None:
            regular_file(self.identifiers, "--identifiers")
        if self.delimiter != "auto" and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise FolderError("--delimiter: expected one character, `tab`, or `auto`")
        if self.encoding.lower() == "auto":
            return
        try:
            codecs.lookup(self.encoding)
        except (LookupError, ValueError):
            raise FolderError("--encoding: unknown; expected a name such as utf-8 or cp1252, or `auto`") from None


@dataclass(frozen=True, slots=True)
class FolderRequest:
    """Everything one run needs to know.  Paths are as given; `check` makes sure that they do not touch each other."""

    source: Path
    out: Path
    key_file: Path = field(repr=False)
    crosswalk: Path
    profile: str = "safe_harbor"
    jobs: int = 1
    reports: ReportsRequest | None = None

    def check(self) -> None:
        """Raises `FolderError` if a place is missing or lies where it must not."""
        if not self.source.is_dir():
            raise FolderError("IN: no such folder")
        if self.out.exists() and not self.out.is_dir():
            raise FolderError("OUT: expected a folder, this is a file")
        if lies_in(self.out, self.source):
            raise FolderError("OUT lies inside IN; choose a folder outside")
        if lies_in(self.source, self.out):
            raise FolderError("IN lies inside OUT; choose another OUT")
        if lies_in(self.crosswalk, self.out):
            raise FolderError("--crosswalk: FILE lies inside OUT, where it would be handed on; choose a place outside")
        for option, path in self.identified_files():
            if lies_in(path, self.out):
                raise FolderError(f"{option}: the file lies inside OUT, where it would be handed on")
            if same_file(path, self.crosswalk):
                raise FolderError(f"--crosswalk: FILE is the file of {option}")
        if self.reports is not None:
            self.reports.check()
        self._check_crosswalk()

    def identified_files(self) -> Iterator[tuple[str, Path]]:
        """The files that the arguments name, by option; they are no inputs even if they lie inside IN."""
        yield "--key-file", self.key_file
        if self.reports is not None:
            yield "--reports", self.reports.path
            if self.reports.identifiers is not None:
                yield "--identifiers", self.reports.identifiers

    def _check_crosswalk(self) -> None:
        if not self.crosswalk.parent.is_dir():
            raise FolderError("--crosswalk: the folder of FILE does not exist")
        if not (self.crosswalk.exists() or self.crosswalk.is_symlink()):
            return
        regular_file(self.crosswalk, "--crosswalk")
        with self.crosswalk.open("rb") as file:
            head = file.readline(4096)
        # Whatever else is there (an input, a key, somebody's thesis) is not ours to replace.
        if head.strip() and head.strip() != ",".join(CROSSWALK_COLUMNS).encode():
            raise FolderError("--crosswalk: FILE exists and is no crosswalk; it is not overwritten")


def parse_columns(texts: Sequence[str]) -> dict[str, str]:
    """`ROLE=COLUMN,…` as a mapping; a column whose name has a comma stands in double quotes: `"text=Report, final"`.

    Raises `FolderError` for an unknown or repeated role, a missing column name, or when `report_id` or `text` is missing.
    """
    found: dict[str, str] = {}
    for part in (part for row in csv.reader(texts, skipinitialspace=True) for part in row if part.strip()):
        role, equals, column = part.partition("=")
        role = role.strip()
        if not equals or not column.strip():
            raise FolderError("--columns: expected ROLE=COLUMN, separated by commas")
        if role not in REPORT_ROLES:
            raise FolderError(f"--columns: `{role}` is no role; expected one of {', '.join(REPORT_ROLES)}")
        if role in found:
            raise FolderError(f"--columns: the role {role} is given twice")
        found[role] = column.strip()
    for role in ("report_id", "text"):
        if role not in found:
            raise FolderError(f"--columns: the role {role} is missing, as in `{role}=NAME OF ITS COLUMN`")
    if found["text"] in OUTPUT_COLUMNS:
        raise FolderError("--columns: the text column's name is that of another column of OUT/reports.csv; rename it")
    return found


def regular_file(path: Path, option: str) -> None:
    """Raises `FolderError` naming the option if `path` is no file that can be read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FolderError(f"{option}: no such file") from None
    except OSError as error:
        raise FolderError(f"{option}: can't be read ({type(error).__name__})") from None
    if not stat.S_ISREG(mode):
        raise FolderError(f"{option}: expected a file")
    if not os.access(path, os.R_OK):
        raise FolderError(f"{option}: can't be read (no permission)")


def lies_in(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies below it, links resolved and other spellings of the same folder included."""
    resolved = path.resolve()
    return any(same_file(place, folder) for place in (resolved, *resolved.parents))


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file or folder; also decided for those that do not exist yet."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return one.resolve() == other.resolve()
