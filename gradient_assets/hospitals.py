"""The reviewed registry: which hospitals there are, where their buckets lie, how their reports are written.

Belongs here: reading `hospitals.yaml`, refusing it with the line, the field and what was expected, and the record of one
hospital.  A hospital's id is its partition key and its number its integer partition in BigQuery: neither ever changes.
How a bucket is opened is `resources`' business, what a profile means `deid.headers`'.
"""

from __future__ import annotations

import codecs
import os
import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, cast, get_args

import yaml

from gradient_assets.store_settings import NEEDS_ROLE, NO_STORE_SETTINGS, STORE_FIELDS, StoreSettings, store_settings

REPORT_ROLES = (
    "report_id",
    "text",
    "accession_number",
    "study_instance_uid",
    "patient_id",
    "patient_name",
    "patient_birth_date",
    "study_date",
    "referring_physician_name",
    "reading_physician_name",
    "institution_name",
    "patient_address",
    "patient_phone",
)
"""What a column of a report file can hold; `report_id` and `text` are needed, the rest helps to link and to clean."""

DateOrder = Literal["mdy", "dmy", "ymd"]
DATE_ORDERS = get_args(DateOrder)
PROFILES = ("safe_harbor", "longitudinal")

ReportLanguage = Literal["en", "de", "es", "nl"]
ReportReplacement = Literal["tags", "surrogates"]
UndeclaredLanguage = Literal["pass", "quarantine"]

_HOSPITAL_ID = re.compile(r"[a-z][a-z0-9-]{1,39}")
_SECRET_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.+=@-]+(/(?!\.)[A-Za-z0-9_.+=@-]+)*")
_RELEASE_RULES = {"approvals": (0, 2), "smallest_class": (1, 1000), "smallest_cell": (1, 1000)}
"""Field of `releases` → the least and the most it may be."""
LOOK_EVERY_S = 60
"""So often a hospital's sensor looks at its buckets, unless the registry says less often."""
_LOOK_LIMITS = (LOOK_EVERY_S, 86_400)
_MAX_NUMBER = 3999  # BigQuery allows 4,000 partitions of one table to be touched by one job


class RegistryError(Exception):
    """The registry can't be used.  The message names the file, the line, the field and what was expected."""


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """How a hospital's reports are written and what becomes of what identifies in them.

    `detector`: a further detector beside the rules, blank for none: `presidio`, or `transformer:` and the folder of a model.
    `language` is the one that the reports (and the descriptions in headers) are written in; `undeclared_language` says what
    becomes of a report that looks like another one.  `quote` and `escape` are single characters of the CSV files; blank
    means none.
    """

    language: ReportLanguage = "en"
    replacement: ReportReplacement = "tags"
    undeclared_language: UndeclaredLanguage = "pass"
    detector: str = ""
    quote: str = '"'
    escape: str = ""

    @property
    def layout(self) -> str:
        """What decides how a file is read, as one part of a work token."""
        return f"{self.quote}\x1e{self.escape}"

    @property
    def cleaning(self) -> str:
        """What decides what becomes of a text, as one part of a work token."""
        return f"{self.language}\x1e{self.replacement}\x1e{self.undeclared_language}\x1e{self.detector}"


@dataclass(frozen=True, slots=True)
class PixelSettings:
    """Whether triage may leave frames of a hospital unseen, and the share (0 … 1) of these that is looked at all the same."""

    triage: bool = False
    audit_share: float = 0.02

    @property
    def looking(self) -> str:
        """What decides which frames are looked at, as one part of a work token."""
        return f"triage {self.audit_share}" if self.triage else ""


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital as it was registered."""

    id: str
    number: int
    dicoms_uri: str
    reports_uri: str
    report_columns: Mapping[str, str]
    delimiter: str
    encoding: str
    date_order: DateOrder
    timezone: str
    profile: str
    secret_name: str
    reports: ReportSettings = ReportSettings()
    pixels: PixelSettings = PixelSettings()
    store: StoreSettings = NO_STORE_SETTINGS
    look_every_s: int = LOOK_EVERY_S
    """Seconds between two looks of the hospital's sensor at its buckets."""


@dataclass(frozen=True, slots=True)
class ReleaseRules:
    """What a release has to meet before it may leave.

    `approvals`: names, none of them the author's, that have to approve it.  `smallest_class`: patients that must share age,
    sex and study year with each other; 1 asks for nothing.  `smallest_cell`: groups of fewer patients are not counted out in
    a report; 11 is the rule of the US Centers for Medicare & Medicaid Services (Cell Size Suppression Policy, 2020).
    `approvers`: names of those who may approve; empty for anybody.  `distinct_accounts`: whether those who ask for a release
    and those who approve it must each have an account of their own on the system.  `unread_pixels`: whether a release may
    leave whose pictures nobody has read after writing (`GRADIENT_VERIFYING_READER=none`).
    """

    approvals: int = 1
    smallest_class: int = 1
    smallest_cell: int = 11
    approvers: tuple[str, ...] = ()
    distinct_accounts: bool = False
    unread_pixels: bool = False


@dataclass(frozen=True, slots=True)
class Registry:
    """All registered hospitals, in the order of the file, and the rules for releases."""

    hospitals: tuple[Hospital, ...]
    releases: ReleaseRules = ReleaseRules()

    @property
    def ids(self) -> list[str]:
        """Partition keys."""
        return [hospital.id for hospital in self.hospitals]

    def get(self, hospital_id: str) -> Hospital:
        """The hospital of that id.  Raises `RegistryError` when it is not registered."""
        for hospital in self.hospitals:
            if hospital.id == hospital_id:
                return hospital
        raise RegistryError(
            f"hospital '{hospital_id}' is not registered; registered are: {', '.join(self.ids) or 'none'}."
        )

    def __iter__(self) -> Iterator[Hospital]:
        return iter(self.hospitals)


def home_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that holds everything of the embedded default: `GRADIENT_HOME`, else `./gradient_home`."""
    return Path(environ.get("GRADIENT_HOME") or "gradient_home").absolute()


def registry_path(environ: Mapping[str, str] = os.environ) -> Path:
    """`GRADIENT_HOSPITALS`, else `hospitals.yaml` in the home folder, else in the working directory."""
    if named := environ.get("GRADIENT_HOSPITALS"):
        return Path(named).absolute()
    at_home = home_path(environ) / "hospitals.yaml"
    return at_home if at_home.exists() else Path("hospitals.yaml").absolute()


def load_registry(path: Path, *, home: Path | None = None) -> Registry:
    """Read and check the registry.

    Relative bucket paths are taken under `home` and become `file://` URIs.  Raises `RegistryError` at the first field
    that is missing, unknown or wrong; nothing is read from any bucket before the whole file has been accepted.
    """
    try:
        document = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise RegistryError(
            f"{path} does not exist. Point GRADIENT_HOSPITALS at your registry, or run `gradient demo` for a sample."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{path} can't be read ({type(error).__name__}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise RegistryError(f"{path.name}{line}: no valid YAML ({getattr(error, 'problem', 'unreadable')}).") from None
    return _RegistryReader(path.name, home or home_path()).read(document)


class _RegistryReader:
    """Walks the YAML nodes, so that each complaint knows its line."""

    def __init__(self, file: str, home: Path) -> None:
        self._file = file
        self._home = home

    def read(self, document: yaml.Node | None) -> Registry:
        if not isinstance(document, yaml.MappingNode):
            self._refuse(document, "", "hospitals", "a mapping with the key `hospitals`")
        top = self._fields(document, "", ("hospitals",), ("releases",))
        entries = top["hospitals"]
        if not isinstance(entries, yaml.SequenceNode) or not entries.value:
            self._refuse(entries, "", "hospitals", "a list with at least one hospital")
        hospitals: list[Hospital] = []
        for entry in entries.value:
            hospital = self._hospital(entry)
            for other in hospitals:
                for field in ("id", "number"):
                    if getattr(other, field) == getattr(hospital, field):
                        self._refuse(entry, hospital.id, field, f"a value of its own; '{other.id}' has the same")
                for field, mine in _buckets(hospital):
                    for _, theirs in _buckets(other):
                        if _overlap(mine, theirs):
                            self._refuse(
                                entry, hospital.id, field, f"a bucket of its own; it overlaps one of '{other.id}'"
                            )
            for field, mine in _buckets(hospital):
                for zone in ("identified", "deidentified", "public", "dagster"):
                    if _overlap(mine, (self._home / zone).resolve().as_uri()):
                        self._refuse(
                            entry, hospital.id, field, f"a bucket outside of the platform's own folder `{zone}`"
                        )
            hospitals.append(hospital)
        return Registry(tuple(hospitals), self._release_rules(top.get("releases")))

    def _release_rules(self, node: yaml.Node | None) -> ReleaseRules:
        if node is None:
            return ReleaseRules()
        further = ("approvers", "distinct_accounts", "unread_pixels")
        fields = self._fields(node, "", (), (*_RELEASE_RULES, *further), parent="releases.")
        numbers = {
            name: self._whole(fields[name], f"releases.{name}", *limits)
            for name, limits in _RELEASE_RULES.items()
            if name in fields
        }
        approvers: tuple[str, ...] = ()
        if "approvers" in fields:
            approvers = self._names(fields["approvers"], "releases.approvers")
        return ReleaseRules(
            **numbers,
            approvers=approvers,
            distinct_accounts=self._is_true(fields, "distinct_accounts"),
            unread_pixels=self._is_true(fields, "unread_pixels"),
        )

    def _is_true(self, rules: Mapping[str, yaml.Node], name: str) -> bool:
        """Whether a rule for releases says `true`; false without it."""
        if name not in rules:
            return False
        said = self._text(rules[name], "", f"releases.{name}", ("true", "false").__contains__, "true or false")
        return said == "true"

    def _names(self, node: yaml.Node, field: str) -> tuple[str, ...]:
        expected = "a list of names, each of 1 to 60 characters on one line"
        # An empty list would say "nobody", and be taken for "anybody".
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._refuse(node, "", field, expected)
        return tuple(self._text(one, "", field, _is_name, expected) for one in node.value)

    def _whole(self, node: yaml.Node, field: str, low: int, high: int, hospital: str = "") -> int:
        def within(value: str) -> bool:
            return re.fullmatch(r"[0-9]{1,6}", value) is not None and low <= int(value) <= high

        return int(self._text(node, hospital, field, within, f"a whole number from {low} to {high}"))

    def _hospital(self, entry: yaml.Node) -> Hospital:
        if not isinstance(entry, yaml.MappingNode):
            self._refuse(entry, "", "hospitals", "a mapping of fields for each hospital")
        needed = ("id", "number", "buckets", "report_columns", "date_order", "timezone", "profile", "secret_name")
        further = ("delimiter", "encoding", "reports", "pixels", "store", "look_every_s")
        fields = self._fields(entry, "", needed, further)
        hospital_id = self._text(
            fields["id"], "", "id", _HOSPITAL_ID.fullmatch, "2–40 of a–z, 0–9 and -, a letter first"
        )
        buckets = self._fields(fields["buckets"], hospital_id, ("dicoms", "reports"), (), parent="buckets.")
        columns = self._columns(fields["report_columns"], hospital_id)

        def text(field: str, check: Callable[[str], Any], expected: str, default: str | None = None) -> str:
            if field not in fields and default is not None:
                return default
            return self._text(fields[field], hospital_id, field, check, expected)

        return Hospital(
            id=hospital_id,
            number=self._number(fields["number"], hospital_id),
            dicoms_uri=self._bucket(buckets["dicoms"], hospital_id, "buckets.dicoms"),
            reports_uri=self._bucket(buckets["reports"], hospital_id, "buckets.reports"),
            report_columns=columns,
            delimiter=text("delimiter", _is_delimiter, "a single character (or up to 4), or auto", default=","),
            encoding=text("encoding", _is_encoding, "an encoding Python knows, or auto", default="auto"),
            date_order=cast(
                DateOrder, text("date_order", DATE_ORDERS.__contains__, f"one of {', '.join(DATE_ORDERS)}")
            ),
            timezone=text("timezone", _is_timezone, "a time zone of the IANA database, like Europe/Berlin"),
            profile=text("profile", self._is_profile, f"one of {', '.join(PROFILES)}, or the path of a profile file"),
            secret_name=text(
                "secret_name",
                _SECRET_NAME.fullmatch,
                "segments of letters, digits and _ . + = @ - between slashes, none of them beginning with a dot",
            ),
            reports=self._report_settings(fields.get("reports"), hospital_id),
            pixels=self._pixel_settings(fields.get("pixels"), hospital_id),
            store=self._store_settings(fields.get("store"), hospital_id),
            look_every_s=(
                self._whole(fields["look_every_s"], "look_every_s", *_LOOK_LIMITS, hospital_id)
                if "look_every_s" in fields
                else LOOK_EVERY_S
            ),
        )

    def _store_settings(self, node: yaml.Node | None, hospital: str) -> StoreSettings:
        if node is None:
            return NO_STORE_SETTINGS
        fields = self._fields(node, hospital, (), tuple(STORE_FIELDS), parent="store.")
        settings = store_settings(
            {name: self._text(value, hospital, f"store.{name}", *STORE_FIELDS[name]) for name, value in fields.items()}
        )
        for name in NEEDS_ROLE:
            if name in fields and not settings.credentials.startswith("role:"):
                self._refuse(fields[name], hospital, f"store.{name}", "credentials of the form role:ARN beside it")
        return settings

    def _pixel_settings(self, node: yaml.Node | None, hospital: str) -> PixelSettings:
        if node is None:
            return PixelSettings()
        fields = self._fields(node, hospital, (), ("triage", "audit_share"), parent="pixels.")
        default = PixelSettings()
        triage, share = default.triage, default.audit_share
        if "triage" in fields:
            triage = (
                self._text(fields["triage"], hospital, "pixels.triage", ("true", "false").__contains__, "true or false")
                == "true"
            )
        if "audit_share" in fields:
            share = float(
                self._text(
                    fields["audit_share"],
                    hospital,
                    "pixels.audit_share",
                    _is_audit_share,
                    "a number from 0.001 to 1, like 0.02",
                )
            )
        return PixelSettings(triage, share)

    def _report_settings(self, node: yaml.Node | None, hospital: str) -> ReportSettings:
        if node is None:
            return ReportSettings()
        expected: dict[str, tuple[Callable[[str], Any], str]] = {
            **{
                name: (choices.__contains__, f"one of {', '.join(choices)}")
                for name, choices in (
                    ("language", get_args(ReportLanguage)),
                    ("replacement", get_args(ReportReplacement)),
                    ("undeclared_language", get_args(UndeclaredLanguage)),
                )
            },
            "detector": (_is_detector, "presidio, or transformer: and the absolute path of a model's folder"),
            "quote": (_is_sign, "a single character, or nothing"),
            "escape": (_is_sign, "a single character, or nothing"),
        }
        fields = self._fields(node, hospital, (), tuple(expected), parent="reports.")
        return ReportSettings(
            **{  # type: ignore[arg-type]  # each was compared with its choices
                name: self._text(value, hospital, f"reports.{name}", *expected[name]) for name, value in fields.items()
            }
        )

    def _fields(
        self, node: yaml.Node, hospital: str, needed: tuple[str, ...], optional: tuple[str, ...], *, parent: str = ""
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, hospital, parent.rstrip("."), f"a mapping with {', '.join(needed or optional)}")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "(no name)"
            if name not in needed and name not in optional:
                self._refuse(key, hospital, parent + name, f"one of {', '.join((*needed, *optional))}")
            if name in fields:
                self._refuse(key, hospital, parent + name, "each field once")
            fields[name] = value
        for name in needed:
            if name not in fields:
                self._refuse(node, hospital, parent + name, "this field, which is missing")
        return fields

    def _columns(self, node: yaml.Node, hospital: str) -> dict[str, str]:
        fields = self._fields(node, hospital, ("report_id", "text"), REPORT_ROLES[2:], parent="report_columns.")
        columns = {
            role: self._text(value, hospital, f"report_columns.{role}", bool, "the name of a column")
            for role, value in fields.items()
        }
        if len(set(columns.values())) < len(columns):
            self._refuse(node, hospital, "report_columns", "a column of its own for each role")
        return columns

    def _text(self, node: yaml.Node, hospital: str, field: str, check: Callable[[str], Any], expected: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not check(str(node.value)):
            self._refuse(node, hospital, field, expected)
        return str(node.value)

    def _number(self, node: yaml.Node, hospital: str) -> int:
        if not isinstance(node, yaml.ScalarNode) or not str(node.value).isdecimal():
            self._refuse(node, hospital, "number", f"a whole number from 1 to {_MAX_NUMBER}")
        number = int(node.value)
        if not 1 <= number <= _MAX_NUMBER:
            self._refuse(node, hospital, "number", f"a whole number from 1 to {_MAX_NUMBER}")
        return number

    def _bucket(self, node: yaml.Node, hospital: str, field: str) -> str:
        value = self._text(node, hospital, field, bool, "a URI (s3://, gs://, file://) or a folder under GRADIENT_HOME")
        scheme, separator, rest = value.partition("://")
        if not separator:
            return (self._home / value).resolve().as_uri()
        if scheme not in ("s3", "gs", "file") or not rest:
            self._refuse(node, hospital, field, "a URI (s3://, gs://, file://) or a folder under GRADIENT_HOME")
        return value.rstrip("/")

    def _is_profile(self, value: str) -> bool:
        return value in PROFILES or (value.endswith((".yaml", ".yml")) and Path(value).is_file())

    def _refuse(self, node: yaml.Node | None, hospital: str, field: str, expected: str) -> NoReturn:
        line = f" line {node.start_mark.line + 1}" if node is not None and node.start_mark else ""
        whose = f"hospital '{hospital}': " if hospital else ""
        found = (
            f": {node.value}" if isinstance(node, yaml.ScalarNode) and str(node.value) != field.split(".")[-1] else ""
        )
        raise RegistryError(f"{whose}{self._file}{line}, `{field}{found}`: expected {expected}. Nothing was read.")


def _is_name(value: str) -> bool:
    return bool(value.strip()) and len(value) <= 60 and value.isprintable()


def _is_delimiter(value: str) -> bool:
    return value == "auto" or (1 <= len(value) <= 4 and not set(value) & set('"\r\n') and not value.isalnum())


def _is_detector(value: str) -> bool:
    return value in ("", "presidio") or value.startswith("transformer:/")


def _is_audit_share(value: str) -> bool:
    return re.fullmatch(r"[01](\.\d{1,4})?", value) is not None and 0.001 <= float(value) <= 1


def _is_sign(value: str) -> bool:
    return value in ("", "\\") or (len(value) == 1 and value.isprintable() and not value.isalnum())


def _is_encoding(value: str) -> bool:
    if value == "auto":
        return True
    try:
        codecs.lookup(value)
    except LookupError:
        return False
    return True


def _is_timezone(value: str) -> bool:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _buckets(hospital: Hospital) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("buckets.dicoms", hospital.dicoms_uri), ("buckets.reports", hospital.reports_uri)


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
