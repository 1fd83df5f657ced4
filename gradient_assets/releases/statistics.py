"""Counting the people in a release without pointing at one of them.

Belongs here: age groups, groups with small cells hidden, and equivalence classes.  Patients are counted, not objects: a
patient with 2,000 slices is one.  What the counts are shown as is `report`'s business.

Hiding: a cell under the floor is hidden (11: Cell Size Suppression Policy of the US Centers for Medicare & Medicaid
Services), and further ones with it, the smallest first, until at least two are hidden and together they hold at least as
many patients as the floor.  So what is hidden can't be had from the total (complementary suppression; Hundepool and others,
Statistical Disclosure Control, 2012, chapter 4.2).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
AGE_GROUPS = ((17, "0–17"), (29, "18–29"), (44, "30–44"), (59, "45–59"), (74, "60–74"), (89, "75–89"))
OLDEST = "90 and over"
"""HIPAA pools all ages over 89 (45 CFR 164.514(b)(2)(i)(C))."""

CLASS_SIZES = ((1, "1"), (2, "2"), (4, "3–4"), (10, "5–10"), (20, "11–20"))
LARGEST_CLASS = "21 and more"

Fact = Mapping[str, Any]
"""A row of `release_facts`: one instance."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One group.  The numbers of a hidden one are not to be shown."""

    name: str
    patients: int
    studies: int
    objects: int
    hidden: bool


@dataclass(frozen=True)
class Classes:
    """Sizes of the groups of patients whom nothing tells apart: same sex, same ages, same study years."""

    sizes: tuple[int, ...]

    @property
    def smallest(self) -> int:
        """Patients of the smallest class; 0 without any patient."""
        return min(self.sizes, default=0)

    def too_small(self, floor: int) -> int:
        """Number of classes of fewer patients than the floor."""
        return sum(size < floor for size in self.sizes)

    @property
    def distribution(self) -> list[tuple[str, int, int]]:
        """Sizes, number of classes of that size, patients in them."""
        found = Counter({name: 0 for _, name in CLASS_SIZES} | {LARGEST_CLASS: 0})
        patients: Counter[str] = Counter()
        for size in self.sizes:
            name = next((name for most, name in CLASS_SIZES if size <= most), LARGEST_CLASS)
            found[name] += 1
            patients[name] += size
        return [(name, count, patients[name]) for name, count in found.items()]


def age_group(age: str | None) -> str:
    """The group of a DICOM age (`063Y`, `011M`, PS3.5 section 6.2, AS)."""
    if not age or len(age) != 4 or not age[:3].isdigit() or age[3] not in "DWMY":
        return UNKNOWN
    years = int(age[:3]) if age[3] == "Y" else int(age[:3]) // {"D": 365, "W": 52, "M": 12}[age[3]]
    return next((name for most, name in AGE_GROUPS if years <= most), OLDEST)


def hidden_cells(counts: Mapping[str, int], floor: int) -> set[str]:
    """Names of the cells that must not be shown, so that none under the floor can be had from the others and the total."""
    ordered = sorted(counts, key=lambda name: (counts[name], name))
    small = [name for name in ordered if counts[name] < floor]
    if not small:
        return set()
    hidden = set(small)
    for name in ordered[len(small) :]:
        if len(hidden) > 1 and sum(counts[one] for one in hidden) >= floor:
            break
        hidden.add(name)
    return hidden


def cells(facts: Iterable[Fact], group_of: Callable[[Fact], str], floor: int) -> list[Cell]:
    """Patients, studies and objects by group, in the order of the names: the order by size would tell of hidden ones."""
    patients: dict[str, set[str]] = defaultdict(set)
    studies: dict[str, set[str]] = defaultdict(set)
    objects: Counter[str] = Counter()
    for fact in facts:
        group = group_of(fact)
        patients[group].add(fact["patient_pseudonym"])
        studies[group].add(fact["study_instance_uid"])
        objects[group] += 1
    hidden = hidden_cells({name: len(found) for name, found in patients.items()}, floor)
    return [
        Cell(name, len(patients[name]), len(studies[name]), objects[name], name in hidden) for name in sorted(patients)
    ]


def classes_of(facts: Iterable[Fact], *, with_year: Callable[[Fact], bool] = lambda fact: True) -> Classes:
    """Equivalence classes over age, sex and study year.

    A recipient sees which studies are one patient's, so a patient is told apart by all their ages and years together, not by
    each study's alone.  A missing value is a value.  A place is not among them: Table E.1-1 removes address, region and
    country of residence, and no option retains them; an address or postal code in a header's text is tagged or made up
    whole, for each patient alone (`text.surrogates`).
    """
    seen: dict[str, set[tuple[str, str, int | None]]] = defaultdict(set)
    for fact in facts:
        year = fact["study_year"] if with_year(fact) else None
        seen[fact["patient_pseudonym"]].add((fact["patient_sex"] or "", fact["patient_age"] or "", year))
    return Classes(tuple(sorted(Counter(frozenset(told) for told in seen.values()).values())))
