"""The list of identifiers that were planted, and where.

Belongs here: the record of one planted identifier, collecting and storing the list.  The list is identified data: it lies
under `identified/` and is read by tests only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

PLANTED_FILE = Path("identified/planted.json")
"""Where the list lies under GRADIENT_HOME."""

DISTINCT_BYTES = 6
"""A value of fewer bytes in UTF-8 may stand in an output by chance; such a one is never searched for in raw bytes."""


@dataclass(frozen=True, slots=True, order=True)
class Planted:
    """One identifier in one place.

    `kind` is NAME, PHYSICIAN, RELATIVE, ID, ACCESSION, UID, BIRTH_DATE, STUDY_DATE, PHONE, EMAIL, URL, ADDRESS, AGE (over
    89), DEVICE or INSTITUTION.
    `where` names the place: an element keyword, `burned_in frame=0 box=left,top,width,height`, `column:<role>`, `report_text`,
    `object_key`.  `object_key` is relative to the hospital's landing folder (`dicoms/…` or `reports/…`).
    `ambiguous` values may also occur innocently (the name May, a bare date, seven digits): look for them as whole
    words in text about this patient, not in bytes.  All others are leaks wherever they are found.
    """

    hospital: str
    kind: str
    value: str
    where: str
    object_key: str
    ambiguous: bool = False


@dataclass
class PlantedList:
    """Collects what one hospital's objects hold."""

    hospital: str
    found: set[Planted] = field(default_factory=set)

    def add(self, kind: str, value: str, where: str, object_key: str, *, ambiguous: bool = False) -> None:
        """Note one value; blank ones are left out, short ones are ambiguous by themselves."""
        if value.strip():
            short = len(value.strip().encode()) < DISTINCT_BYTES
            self.found.add(Planted(self.hospital, kind, value, where, object_key, ambiguous or short))

    def sorted(self) -> list[Planted]:
        """All of it in one order, the same each time."""
        return sorted(self.found)


def write_planted(home: Path, planted: list[Planted]) -> Path:
    """Write the list under `home`, sorted; returns its path."""
    path = home / PLANTED_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps([asdict(one) for one in sorted(planted)], ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )
    return path


def read_planted(home: Path) -> list[Planted]:
    """The list that `build_samples` and `grow` left under `home`."""
    return [Planted(**one) for one in json.loads((home / PLANTED_FILE).read_text(encoding="utf-8"))]
