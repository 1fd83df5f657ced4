"""What became of a release: draft → verified → approved → delivered → revoked, as a log that is only appended to.

Belongs here: the log's entries, and what they come to.  Each entry is one JSON object in the identified zone, sealed by the
recipient's key over itself and the seal before it (`seals.SealedLog`): whoever can write the bucket but has no key can't make
an approval, change one, or take one out of the middle.  A log that can't be understood stands for nothing: the release is
neither approved nor delivered.  Cutting entries off the end brings back an earlier state; the one that would ask for less,
that before a revocation, is ruled out by an object of its own (`Revocation`), put down before the log's entry.

An approval is bound to the digest of the manifest and to the report that was read.  Made again with another content, the
release is verified, not approved.  Names are what people typed; beside them stands the account that ran the command.
"""

from __future__ import annotations

import getpass
import json
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.releases.requests import Release, ReleaseError
from gradient_assets.seals import SealBroken, SealedLog
from resources.buckets.object_store import Bucket, ObjectExists
from resources.environment import Resources

State = Literal["draft", "verified", "approved", "delivered", "revoked"]
Change = Literal["draft", "verified", "approval", "delivered", "reduced", "revoked"]

PREFIX = "_states"
"""Begins with what no release's name begins with."""

REVOKED_PREFIX = "_revoked"

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,60}")
_NOTE = re.compile(r"[^\x00-\x1f\x7f]{0,500}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BLANK_LETTERS = "\u034f\u115f\u1160\u3164\uffa0"
"""Signs that are letters or marks to Unicode and show nothing (Default_Ignorable_Code_Point, DerivedCoreProperties.txt)."""
_WRITTEN_TOGETHER = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"})
"""Japanese and Korean names mix these (Unicode Technical Standard 39, section 5.1)."""


class LogError(ReleaseError):
    """The log of a release can't be understood.  Nothing is approved, nothing is delivered."""


class Overtaken(LogError):  # noqa: N818  the name says what happened
    """Another change came first; this one was not written."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """That a release was revoked, apart from its log: whoever cuts the log's end off does not bring the release back.

    It has no seal.  That it lies there is all that counts, so making one up only stops a release; and a release whose key is
    lost, or whose log is broken, can be revoked too.
    """

    requests: Bucket
    release: str

    def exists(self) -> bool:
        """Whether the release was revoked.  Raises `StoreError` where nobody can say."""
        return self.requests.exists(self._key)

    def write_down(self, by: str, why: str) -> None:
        """Put it in place; the first one stays.  Raises `ReleaseError` for a name or reason that can't stand in it."""
        if not _NOTE.fullmatch(why.strip()):
            raise ReleaseError("A note or reason has up to 500 characters on one line.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"by": checked_name(by), "account": account_name(), "at": now, "why": why.strip()}
        with suppress(ObjectExists):
            self.requests.create(self._key, json.dumps(content, sort_keys=True, ensure_ascii=False).encode())

    @property
    def _key(self) -> str:
        return f"{REVOKED_PREFIX}/{self.release}.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: `by` is the name that was given, `account` who ran the command, `at` ISO 8601 in UTC.

    `manifest` and `report` are SHA-256 digests of what the change was said of; empty for a draft.  Those of `reduced` are of
    what lies with the recipient now; empty if nothing was delivered.
    """

    number: int
    change: Change
    by: str
    account: str
    at: str
    note: str = ""
    manifest: str = ""
    report: str = ""

    def __post_init__(self) -> None:
        texts = (self.change, self.by, self.account, self.at, self.note, self.manifest, self.report)
        if type(self.number) is not int or not all(type(text) is str for text in texts):
            raise ReleaseError("A change has a number and texts.")
        if self.change not in get_args(Change):
            raise ReleaseError(f"A change is one of {', '.join(get_args(Change))}.")
        checked_name(self.by)
        if not _NOTE.fullmatch(self.note):
            raise ReleaseError("A note or reason has up to 500 characters on one line.")
        named = (self.manifest, self.report)
        is_of_nothing = self.change == "draft" or (self.change == "reduced" and named == ("", ""))
        if not (self.change == "revoked" or is_of_nothing or all(map(_DIGEST.fullmatch, named))):
            raise ReleaseError("A change after the draft names the manifest and the report it is said of.")
        datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Standing:
    """What a log comes to.  `delivered` is the digest of the manifest that the recipient has; empty for none."""

    entries: tuple[Entry, ...] = ()
    authors: tuple[str, ...] = ()
    manifest: str = ""
    report: str = ""
    approvals: tuple[Entry, ...] = ()
    delivered: str = ""
    is_current_delivered: bool = field(default=False)
    revoked: bool = False

    def state(self, needed: int) -> State:
        """Where the release stands when so many approvals are needed."""
        if self.revoked:
            return "revoked"
        if not self.manifest:
            return "draft"
        if self.is_current_delivered:
            return "delivered"
        return "approved" if len(self.approved_by) >= needed else "verified"

    @property
    def is_closed(self) -> bool:
        """Whether the log itself says that the release was revoked."""
        return bool(self.entries) and self.entries[-1].change == "revoked"

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who approved what it holds now; an approval of somebody who asked for it, before or after, does not count."""
        authors = {folded(name) for name in self.authors}
        return tuple(entry.by for entry in self.approvals if folded(entry.by) not in authors)

    def after(self, entry: Entry) -> Standing:
        """The standing with one more change.  Raises `LogError` for one that can't follow."""
        if entry.number != len(self.entries) + 1 or self.revoked or (entry.change != "draft" and not self.authors):
            raise LogError("a change that can't follow")
        if self.entries and entry.at < self.entries[-1].at:
            raise LogError("a change before the one it follows")
        grown = replace(self, entries=(*self.entries, entry))
        is_of_now = (entry.manifest, entry.report) == (self.manifest, self.report)
        match entry.change:
            case "draft":
                return replace(grown, authors=(*self.authors, entry.by))
            case "verified":
                return replace(
                    grown, manifest=entry.manifest, report=entry.report, approvals=(), is_current_delivered=False
                )
            case "approval" if is_of_now:
                if folded(entry.by) in {folded(name) for name in (*self.authors, *(a.by for a in self.approvals))}:
                    raise LogError("an approval that does not count")
                return replace(grown, approvals=(*self.approvals, entry))
            case "delivered" if is_of_now:
                return replace(grown, delivered=entry.manifest, is_current_delivered=True)
            case "reduced" if bool(entry.manifest) == bool(self.delivered) and self.manifest:
                # Fewer objects of what was approved: what lay with the recipient stays delivered, what waited is a draft
                # again, and nobody has approved it.
                named = (entry.manifest, entry.report) if self.is_current_delivered else ("", "")
                grown = replace(grown, manifest=named[0], report=named[1], approvals=())
                return replace(grown, delivered=entry.manifest)
            case "revoked":
                return replace(grown, revoked=True)
        raise LogError("a change of something else")


@dataclass(frozen=True)
class ReleaseLog:
    """The log of one release."""

    requests: Bucket
    """The bucket of the requests; the log lies under a prefix of it."""
    release: str
    sealers: tuple[Pseudonymizer, ...]
    """Of the recipient's key in use, then of its former versions: a log outlives a rotation."""

    @classmethod
    def of(cls, resources: Resources, release: Release) -> ReleaseLog:
        """The log in the resources' bucket.  Raises what the vault raises: no key of the recipient, no log."""
        keys = (resources.key(release.secret_name), *resources.former_keys(release.secret_name))
        sealers = tuple(Pseudonymizer(key, "release log") for key in keys)
        return cls(resources.release_requests, release.name, sealers)

    @property
    def _log(self) -> SealedLog:
        return SealedLog(self.requests.under(f"{PREFIX}/{self.release}"), self.release, self.sealers)

    def standing(self) -> Standing:
        """What the log comes to.  Raises `LogError` if any entry of it is not as it was written."""
        standing, _ = self._checked()
        return replace(standing, revoked=standing.revoked or self.revocation.exists())

    @property
    def revocation(self) -> Revocation:
        """What lies beside the log once the release was revoked."""
        return Revocation(self.requests, self.release)

    def append(self, change: Change, by: str, *, note: str = "", manifest: str = "", report: str = "") -> Standing:
        """Add a change; of two at once one is refused.

        Raises `LogError`, and `ReleaseError` for a name or note that can't stand in it.
        """
        standing, seal = self._checked()
        if change != "revoked" and self.revocation.exists():
            raise ReleaseError(f"Release '{self.release}' was revoked. Nothing more can become of it.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Entry(
            len(standing.entries) + 1, change, by.strip(), account_name(), now, note.strip(), manifest, report
        )
        grown = standing.after(entry)
        if change == "revoked":
            self.revocation.write_down(by, note)
        try:
            self._log.append(entry.number, asdict(entry), seal)
        except ObjectExists:
            is_first = False
        else:
            is_first = True
        if not is_first:
            raise Overtaken(f"Somebody else changed release '{self.release}' just now. Look at it, and try again.")
        return grown

    def _checked(self) -> tuple[Standing, str]:
        """What the log comes to, and the seal of its last entry."""
        try:
            return self._read()
        except (LogError, SealBroken) as error:
            what = str(error)
        except (ReleaseError, ValueError, TypeError, KeyError):
            what = "an entry that is none"
        raise LogError(
            f"The log of release '{self.release}' can't be relied on ({what}). Nothing is approved or delivered. Restore the "
            f"log from a copy, or ask for the release under another name."
        )

    def _read(self) -> tuple[Standing, str]:
        standing, seal = Standing(), ""
        for one in self._log.read():
            if set(one.content) != {field.name for field in fields(Entry)}:
                raise LogError("an entry has other fields")
            standing, seal = standing.after(Entry(**one.content)), one.seal
        return standing, seal


def account_name() -> str:
    """Who runs this process, as the operating system says."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
    return name if _NAME.fullmatch(name) else "unknown"


def checked_name(name: str) -> str:
    """The name without blanks around it.  Raises `ReleaseError`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name.strip()):
        raise ReleaseError("A person's name has 1 to 60 characters on one line.")
    if len(_scripts(name)) > 1:
        raise ReleaseError("A person's name is written in one script: letters of two can look the same.")
    if not folded(name):
        raise ReleaseError("A person's name has letters or digits.")
    return name.strip()


def folded(name: str) -> str:
    """A name as it is compared: `Asker,  ADA` is `Ada Asker`, whatever signs, and signs that nobody sees, stand between."""
    return " ".join(sorted(re.findall(r"[^\W_]+", _seen(name).casefold())))


def is_author(name: str, authors: Iterable[str]) -> bool:
    """Whether it is one of those who asked for the release."""
    return folded(name) in {folded(author) for author in authors}


def _seen(name: str) -> str:
    """The name without what shows nothing; wide, narrow and joined letters as plain ones."""
    return "".join(
        sign
        for sign in unicodedata.normalize("NFKC", name)
        if not (unicodedata.category(sign) == "Cf" or sign in _BLANK_LETTERS or "\ufe00" <= sign <= "\ufe0f")
    )


def _scripts(name: str) -> set[str]:
    """The scripts of its letters, by the first word of their names; those that one language mixes count as one."""
    letters = (unicodedata.name(sign, "?") for sign in _seen(name) if sign.isalpha())
    first = {letter.split()[0].partition("-")[0] for letter in letters}
    return {"CJK" if script in _WRITTEN_TOGETHER else script for script in first}
