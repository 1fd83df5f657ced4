"""What is known to identify one patient: gathered from DICOM headers and report columns, handed to every engine.

Belongs here: the record of known identifiers and how records of the same patient are joined.  How headers and columns
are read into it is the business of `headers` and of the CSV reader; how it is searched, of `text`, `pixels` and `verify`.
This record is identified data: it never leaves the identified zone and its repr shows counts only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

_PADDING = re.compile(r"(?<=[^\W\d_])0+(?=\d)")


@dataclass(frozen=True, slots=True, repr=False)
class KnownIdentifiers:
    """Identifiers of one patient as they were found, duplicates removed, order of finding kept.

    Names are in DICOM form (`FAMILY^GIVEN^MIDDLE`, component groups separated by `=`) or as free text; dates are
    DICOM DA (`YYYYMMDD`); everything else is verbatim.
    """

    patient_names: tuple[str, ...] = ()
    patient_ids: tuple[str, ...] = ()
    accession_numbers: tuple[str, ...] = ()
    birth_dates: tuple[str, ...] = ()
    study_dates: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    relatives: tuple[str, ...] = ()
    physicians: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    other_ids: tuple[str, ...] = ()

    def merge(self, *others: KnownIdentifiers) -> KnownIdentifiers:
        """Everything known in this record and the others, each value once."""
        return KnownIdentifiers(
            **{f.name: unique(value for one in (self, *others) for value in getattr(one, f.name)) for f in fields(self)}
        )

    def as_dict(self) -> dict[str, list[str]]:
        """Plain lists for JSON; `from_dict` reads it back."""
        return {f.name: list(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, list[str]]) -> KnownIdentifiers:
        """The record that `as_dict` wrote; unknown kinds are an error (`TypeError`)."""
        return cls(**{kind: unique(found) for kind, found in values.items()})

    def fingerprint(self) -> bytes:
        """Digest of the content for comparing two records inside a keyed token; not to be stored by itself."""
        digest = hashlib.sha256()
        for f in fields(self):
            for value in sorted(getattr(self, f.name)):
                digest.update(f"{f.name}\x1f{value}\x1e".encode())
        return digest.digest()

    def __repr__(self) -> str:
        return f"KnownIdentifiers({', '.join(f'{f.name}: {len(getattr(self, f.name))}' for f in fields(self))})"


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Non-blank values, stripped, each once, in order of first sight."""
    return tuple(dict.fromkeys(stripped for value in values if (stripped := str(value).strip())))


def joined_patient_id(patient_id: str | None) -> str:
    """The id as records are joined by it: without letter case, separators, padding and leading zeros; blank for none.

    A header's `00471-12` and a column's `47112` are then one patient to the engines, and so are `QX-004711` and `QX4711`.
    Joined too widely, two patients' names are looked for in each other's texts, which costs a word; joined too narrowly, a
    name stays.  Pseudonyms are not joined so: `00471` and `471` may be two people, and stay two.
    """
    folded = (patient_id or "").strip().rstrip("\0").casefold()
    # `QX-004711` of a header is `QX4711` of a column: padding stands behind letters as well.
    signs = _PADDING.sub("", "".join(sign for sign in folded if sign.isalnum()))
    return signs.lstrip("0") or signs or folded
