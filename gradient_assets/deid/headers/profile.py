"""A profile: which options of PS3.15 Annex E are asked for, and what becomes of dates.

Belongs here: reading and refusing profile files.  The two named profiles are files in `profiles/` like any user's.
What an option means for a tag is the table's business (`rules`).  PS3.15 E.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, cast, get_args

import yaml

from gradient_assets.deid.headers.dates import DateMode

EDITION = "2026a"
NAMED = ("safe_harbor", "longitudinal")
OPTIONS: Mapping[str, tuple[str, str]] = {
    # option: code and meaning of PS3.16 CID 7050
    "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
    "clean_recognizable_visual_features": ("113102", "Clean Recognizable Visual Features Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "retain_longitudinal_full": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain_longitudinal_modified": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
}
NOT_BUILT = frozenset({"clean_recognizable_visual_features"})
BirthDate = Literal["empty", "shift", "year"]
EncapsulatedDocuments = Literal["quarantine", "images"]
ScannedForms = Literal["quarantine", "clean"]
BurnedInText = Literal["remove", "keep_marks"]
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "dates": ("keep", "shift", "year", "remove"),
    "birth_date": get_args(BirthDate),
}
_CHOICES_WITH_DEFAULT: Mapping[str, tuple[str, ...]] = {
    # the first one is taken unless the file says otherwise
    "encapsulated_documents": get_args(EncapsulatedDocuments),
    "scanned_forms": get_args(ScannedForms),
    "burned_in_text": get_args(BurnedInText),
}
_FIELDS = frozenset({"name", "edition", "options", *_CHOICES, *_CHOICES_WITH_DEFAULT})


class ProfileError(ValueError):
    """A profile file is wrong; the message names the field and what was expected."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile.  `digest` names its content: outputs record it, and a change of it re-processes.

    `dates` says how a date is written where one stands.  With `removes_dates` (`dates: remove` in the file, which is the
    basic profile without a longitudinal option) the header's dates get the basic profile's codes; what stands elsewhere,
    in columns and texts, is cut to the year.

    `clean_pixel_data` is a claim, no switch: pixels are always cleaned before they are shown or delivered.  The header
    engine never states its code 113101; whoever cleaned the pixels of an instance adds it (`methods.add_method_codes`).

    `encapsulated_documents`: PDFs are quarantined, or drawn and cleaned as pictures.  `scanned_forms`: so are scanned
    papers, which are mostly handwriting, or cleaned like other pictures.  `burned_in_text`: all of it goes, or marks and
    measures stay (`pixels.keep`).
    """

    name: str
    edition: str
    options: frozenset[str]
    dates: DateMode
    birth_date: BirthDate
    digest: str
    removes_dates: bool = False
    encapsulated_documents: EncapsulatedDocuments = "quarantine"
    scanned_forms: ScannedForms = "quarantine"
    burned_in_text: BurnedInText = "remove"

    @classmethod
    def of(cls, name_or_path: str) -> Profile:
        """The named profile, or that of a file.  Raises `ProfileError`."""
        is_file = name_or_path not in NAMED and Path(name_or_path).exists()
        return cls.load(name_or_path) if is_file else cls.named(name_or_path)

    @classmethod
    def named(cls, name: str) -> Profile:
        """`safe_harbor` or `longitudinal`.  Raises `ProfileError` for any other name."""
        if name not in NAMED:
            raise ProfileError(f"profile {name!r}: expected one of {', '.join(NAMED)}, or the path of a profile file")
        text = resources.files(__package__).joinpath("profiles", f"{name}.yaml").read_text("utf-8")
        return cls._parse(text, name)

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """The profile of a file.  Raises `ProfileError` if it is missing or wrong."""
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"profile file {path}: can't be read ({type(error).__name__})") from None
        return cls._parse(text, str(path))

    @classmethod
    def _parse(cls, text: str, where: str) -> Profile:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise ProfileError(f"{where}: line {mark.line + 1 if mark else '?'} is no YAML") from None
        if not isinstance(found, dict):
            raise ProfileError(f"{where}: expected the fields {', '.join(sorted(_FIELDS))}")
        if unknown := set(found) - _FIELDS:
            raise ProfileError(f"{where}: unknown field {sorted(map(str, unknown))[0]!r}; expected {sorted(_FIELDS)}")
        options = _options(found.get("options", []), where)
        chosen = {field: _choice(found, field, allowed, where) for field, allowed in _CHOICES.items()}
        for field, allowed in _CHOICES_WITH_DEFAULT.items():
            chosen[field] = _choice({field: allowed[0], **found}, field, allowed, where)
        dates = chosen.pop("dates")
        if found.get("edition") != EDITION:
            raise ProfileError(f"{where}: `edition` is not {EDITION}, the only one whose table is here")
        name = str(found.get("name") or "")
        if not name.replace("_", "").replace("-", "").isalnum():
            raise ProfileError(f"{where}: `name` needs letters, digits, `_` or `-`")
        if dates == "keep":
            options |= {"retain_longitudinal_full"}
        elif dates == "shift":
            options |= {"retain_longitudinal_modified"}
        canonical = "\n".join(
            [name, EDITION, *sorted(options), dates, *(f"{k}={v}" for k, v in sorted(chosen.items()))]
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        removes = dates == "remove"
        mode = cast(DateMode, "year" if removes else dates)
        return cls(
            name=name,
            edition=EDITION,
            options=frozenset(options),
            dates=mode,
            digest=digest,
            removes_dates=removes,
            **chosen,  # type: ignore[arg-type]  # each was compared with its choices
        )


def _options(found: object, where: str) -> set[str]:
    if not isinstance(found, list):
        raise ProfileError(f"{where}: `options` is no list")
    for option in found:
        if option not in OPTIONS:
            raise ProfileError(f"{where}: unknown option {option!r}; expected some of {', '.join(OPTIONS)}")
        if option in NOT_BUILT:
            raise ProfileError(f"{where}: option {option!r} is not built; nothing would do it")
        if option.startswith("retain_longitudinal"):
            raise ProfileError(f"{where}: say `dates: keep` or `dates: shift` instead of the option {option!r}")
    return set(found)


def _choice(found: Mapping[str, object], field: str, allowed: tuple[str, ...], where: str) -> str:
    value = found.get(field)
    if value not in allowed:
        raise ProfileError(f"{where}: `{field}` is {value!r}; expected one of {', '.join(allowed)}")
    return str(value)
