"""Everything that the report of a release says, gathered from tables, checks and decisions.

Belongs here: reading and adding up.  Nothing is judged except that what is added up belongs together, and that no class of
patients is smaller than the registry allows.  How it looks is `report`'s business.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradient_assets.audit_sample import Audit, audit_of, upper_bound
from gradient_assets.cohort import CODES, CohortError, cohort_condition, condition_columns, shown_condition
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.reasons import Reason
from gradient_assets.hospitals import Hospital, Registry, ReleaseRules
from gradient_assets.integrity.balance import Balance, of_release
from gradient_assets.pipelines.release import finders_in
from gradient_assets.pipelines.thumbnails import stage_version
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.releases.manifest import as_csv, digest_of, manifest_rows
from gradient_assets.releases.requests import Release, ReleaseError
from gradient_assets.releases.revision import code_revision, package_version
from gradient_assets.releases.statistics import Classes, classes_of
from gradient_assets.releases.verification import BEFORE_REPORT, PIXELS, CheckOutcome, outcomes_of
from gradient_assets.review.decisions import Decision, decisions_of
from gradient_assets.review.listing import carried_over
from gradient_assets.tables import PROD, REFUSED_RELEASE, RELEASE_AUDIT, RELEASE_FACTS, TableSpec
from resources.environment import Resources
from resources.errors import WarehouseError

DATES = {
    "keep": "kept as they were",
    "shift": "moved, all of a patient by the same secret number of days",
    "year": "cut to the year",
    "remove": "removed from headers, cut to the year in texts",
}
"""What a profile does to dates (`Profile.dates`), for people."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Instances of the release that people looked at as they are now, and those to which they added a box.

    `drawn` and `drawn_hits` are those of them that the sample drew.  What people choose to look at says nothing of the rest.
    """

    looked: int
    hits: int
    drawn: int
    drawn_hits: int

    @property
    def most_missed(self) -> float:
        """Upper 95 % bound (Clopper and Pearson, one-sided) of the share of instances with text that is still to be seen.

        From instances that were drawn by chance alone; 1 without one.
        """
        return upper_bound(self.drawn_hits, self.drawn)


@dataclass(frozen=True)
class Evidence:
    """What is known of a release.  `tags`: tag → action → elements; `triage` and `refusals` as counted over hospitals;
    `balance`: the cohort's instances, delivered and left out; `profiles`, `dates` (what became of dates, in words) and
    `engines` → objects; `finders`: models that looked at an object while it was cleaned, at least; `reader`: who read what
    was written, by its description, blank where nobody did."""

    release: Release
    rule: str
    rules: ReleaseRules
    manifest: str
    rows: list[dict[str, Any]]
    facts: list[dict[str, Any]]
    refusals: Mapping[str, int]
    balance: Balance
    tags: Mapping[str, Mapping[str, int]]
    kinds: Mapping[str, int]
    boxes: Mapping[str, int]
    outcomes: list[CheckOutcome]
    reviewed: Reviewed
    triage: Audit
    profiles: Mapping[str, int]
    dates: Mapping[str, int]
    engines: Mapping[str, int]
    finders: int
    reader: str
    version: str
    revision: str

    @property
    def classes(self) -> Classes:
        """Groups of patients whom nothing that leaves tells apart."""
        return classes_of(self.facts)


def gather_evidence(resources: Resources, registry: Registry, release: Release) -> Evidence:
    """All of it.  Raises `ReleaseError` when checks have not run over what the release holds now, or tables disagree."""
    warehouse = resources.warehouse
    rows = manifest_rows(warehouse, release.name)
    if not rows:
        raise ReleaseError(f"Release '{release.name}' holds nothing. Every object of its cohort was refused.")
    facts, audits = list(_rows(resources, RELEASE_FACTS, release)), list(_rows(resources, RELEASE_AUDIT, release))
    tokens = {row["work_token"] for row in rows}
    if any({row["work_token"] for row in others} != tokens for others in (facts, audits)):
        raise ReleaseError(
            f"What is known of release '{release.name}' does not belong to what it holds. Run `gradient release` again."
        )
    manifest, balance = digest_of(as_csv(rows)), of_release(resources, release.name)
    if not balance.holds:
        raise ReleaseError(
            f"Release '{release.name}' does not add up: {balance.line}. Nothing is verified; run `gradient release` again."
        )
    hospitals = [registry.get(hospital_id) for hospital_id in sorted({row["hospital_id"] for row in audits})]
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    kinds: Counter[str] = Counter()
    for row in audits:
        for action, counted in json.loads(row["actions_json"]).items():
            for tag, count in counted.items():
                tags[tag][action] += count
        kinds.update(json.loads(row["removed_by_kind_json"]))
    outcomes = outcomes_of(
        resources, release.name, manifest, BEFORE_REPORT, unread_pixels=registry.releases.unread_pixels
    )
    return Evidence(
        release=release,
        rule=_rule(resources, release),
        rules=registry.releases,
        manifest=manifest,
        rows=rows,
        facts=facts,
        refusals=_refusals(resources, release),
        balance=balance,
        tags=tags,
        kinds=kinds,
        boxes=sum((Counter(json.loads(row["boxes_json"])) for row in facts), Counter()),
        outcomes=outcomes,
        reviewed=_reviewed(resources, hospitals, audits),
        triage=_triage(resources, hospitals),
        profiles=Counter(f"{row['profile']}, PS3.15 {row['standard_edition']}" for row in rows),
        dates=Counter(_date_rule(registry.get(row["hospital_id"])) for row in audits),
        engines=Counter(row["engine_version"] for row in rows),
        finders=min(len(finders_in(row["engine_version"])) for row in rows),
        reader=_reader(release, outcomes, rows),
        version=package_version(),
        revision=code_revision(),
    )


def refuse_small_classes(release: Release, classes: Classes, floor: int) -> None:
    """Raise `ReleaseError` if a class of patients is smaller than the registry allows."""
    if count := classes.too_small(floor):
        raise ReleaseError(
            f"Release '{release.name}' can't be verified: {count} of {len(classes.sizes)} classes of patients with the same "
            f"sex, ages and study years have fewer than {floor} patients (`releases.smallest_class`). Choose a wider cohort."
        )


def cohort_classes(resources: Resources, registry: Registry, release: Release) -> Classes:
    """The classes of the cohort as it stands in `prod`, before anything is made.

    Raises `CohortError` for a condition that can't be run.  Years that the recipient gets shifted by another number of days
    are left out: that makes classes larger than they will be, never smaller, so none is refused that would have passed.
    """
    shifting = {h.id for h in registry if Profile.of(h.profile).dates == "shift"}
    columns = "hospital_id, patient_pseudonym, patient_sex, patient_age, study_year"
    sql = f"SELECT {columns} FROM {PROD.full_name} WHERE {cohort_condition(release.condition)}"  # noqa: S608  rebuilt from a checked tree
    try:
        rows = resources.warehouse.query(sql).to_pylist()
    except WarehouseError:
        rows = None
    if rows is None:
        raise CohortError(
            "The cohort's condition can't be run: compare texts with texts, numbers with numbers, dates with dates."
        )
    return classes_of(rows, with_year=lambda row: row["hospital_id"] not in shifting)


def cohort_hospitals(resources: Resources, release: Release) -> list[str]:
    """The hospitals that the cohort is from, as it stands in `prod`; for a condition that `cohort_classes` has run."""
    sql = f"SELECT DISTINCT hospital_id FROM {PROD.full_name} WHERE {cohort_condition(release.condition)}"  # noqa: S608  rebuilt from a checked tree
    return sorted(row["hospital_id"] for row in resources.warehouse.query(sql).to_pylist())


def _rows(resources: Resources, spec: TableSpec, release: Release) -> Iterator[dict[str, Any]]:
    for batch in resources.warehouse.scan(spec, release.name):
        yield from batch.to_pylist()


def _refusals(resources: Resources, release: Release) -> dict[str, int]:
    reasons = Counter(row["reason"] for row in _rows(resources, REFUSED_RELEASE, release))
    del reasons[Reason.WITHDRAWN.value]  # left out, not refused
    return dict(reasons.most_common())


def _reader(release: Release, outcomes: Iterable[CheckOutcome], rows: Iterable[Mapping[str, Any]]) -> str:
    """Raises `ReleaseError` for a nameless one, or one that cleaned an object of the release: it can't prove itself."""
    looked = next(one for one in outcomes if (one.asset, one.check) == PIXELS)
    if not looked.searched:
        return ""
    reader = looked.reader
    if not reader:
        raise ReleaseError(f"Nobody knows who read release '{release.name}'. Run `gradient release` again.")
    if any(reader in finders_in(row["engine_version"]) for row in rows):
        raise ReleaseError(
            f"Release '{release.name}' was cleaned by {reader}, which read it afterwards (GRADIENT_VERIFYING_READER): what "
            "cleaned can't prove itself. Run `gradient release` again."
        )
    return reader


def _date_rule(hospital: Hospital) -> str:
    profile = Profile.of(hospital.profile)
    return DATES["remove" if profile.removes_dates else profile.dates]


def _rule(resources: Resources, release: Release) -> str:
    codes = {}
    for column in set(condition_columns(release.condition)) & set(CODES):
        sql = f"SELECT DISTINCT {column} FROM {PROD.full_name}"  # noqa: S608  a column of our own table
        codes[column] = {row[column] for row in resources.warehouse.query(sql).to_pylist()}
    return shown_condition(release.condition, codes)


def _reviewed(resources: Resources, hospitals: Iterable[Hospital], audits: list[dict[str, Any]]) -> Reviewed:
    looks: list[Decision] = []
    for hospital in hospitals:
        if decisions := decisions_of(resources, hospital.id):
            in_release = {(row["object_key"], row["etag"]) for row in audits if row["hospital_id"] == hospital.id}
            looks += _looks(resources, hospital, decisions, in_release)
    drawn = [look for look in looks if look.drawn_by_chance]
    return Reviewed(len(looks), _with_box(looks), len(drawn), _with_box(drawn))


def _looks(
    resources: Resources, hospital: Hospital, decisions: Mapping[str, Decision], in_release: set[tuple[str, str]]
) -> Iterator[Decision]:
    """Decisions about what the release holds, as far as they are said of what the thumbnails' stage would show now."""
    identity = Pseudonymizer(resources.key(hospital.secret_name), hospital.id)
    former = tuple(Pseudonymizer(key, hospital.id) for key in resources.former_keys(hospital.secret_name))
    source = WorkSource(hospital, resources.warehouse, identity, former)
    version = stage_version(resources.text_finder, Profile.of(hospital.profile))
    # As the stages: what was decided before a rotation of the key holds on, under the object's name of then.
    decisions, _ = carried_over(source, version, decisions)
    for item in source.pixels(version):
        decision = decisions.get(item["object_pseudonym"])
        if decision is None or decision.verdict == "quarantine" or not decision.holds_for(item["work_token"]):
            continue
        # A release holds the object of its own time: nobody who looked at another one has looked at it.
        if (item["object_key"], item["etag"]) in in_release:
            yield decision


def _with_box(looks: Iterable[Decision]) -> int:
    return sum(look.verdict == "box" for look in looks)


def _triage(resources: Resources, hospitals: Iterable[Hospital]) -> Audit:
    audits = [audit_of(resources.warehouse, hospital.id) for hospital in hospitals]
    return Audit(*(sum(getattr(one, name) for one in audits) for name in ("skipped", "audited", "hits")))
