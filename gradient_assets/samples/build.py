"""The sample hospitals on disk: objects, CSV exports, the registry and the list of what was planted.

Belongs here: which file lies where.  What is in the files is made by the other modules.  For one seed every file has the
same bytes each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gradient_assets.deid.reasons import Reason
from gradient_assets.samples.broken import broken_objects, broken_rows, undecodable_export
from gradient_assets.samples.context import Hospital, Study
from gradient_assets.samples.people import table
from gradient_assets.samples.planted import Planted, read_planted, write_planted
from gradient_assets.samples.reports import encode_csv, report_row, to_csv, write_report
from gradient_assets.samples.studies import make_studies

EXAMS_WITHOUT_IMAGES = ("mr_brain", "chest_xray")
"""Per hospital, reported studies of which no image was sent."""
TEMPLATES_APART = 8
"""Each hospital starts this many templates after the one before it; with 11 reports each, every template is used."""
REFUSED_EXPORTS = {
    "reports/legacy_without_text.csv": Reason.MISSING_COLUMN,
    "reports/converted_twice.csv": Reason.UNDECODABLE_TEXT,
}
"""Exports that each hospital has and that can't be read."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What `build_samples` left on disk.

    `objects` counts the files under `dicoms` per hospital, the broken ones included.  `refusals` names, per hospital, the
    objects that must be refused and why (keys relative to `landing/<hospital>`; of two objects with one SOP Instance UID the
    one with the later key).  `reports` counts the CSV rows that can be read, `report_files` the CSV files, of which the two
    in `REFUSED_EXPORTS` are refused as a whole; in `reports/ris_export.csv` three rows are refused as well.
    """

    home: Path
    hospitals_yaml: Path
    objects: dict[str, int]
    refusals: dict[str, dict[str, Reason]]
    reports: dict[str, int]
    report_files: dict[str, int]
    planted: list[Planted] = field(repr=False)


def build_samples(home: Path, *, seed: int = 7, scale: int = 1) -> Samples:
    """Make three sample hospitals under `home`: `landing/<hospital>/{dicoms,reports}`, `hospitals.yaml`, the planted list.

    `scale` repeats the recipes with other people.  Files of an earlier build are overwritten where the names agree, none is
    deleted.  Raises `ValueError` for a scale under 1.
    """
    if scale < 1:
        raise ValueError(f"scale is {scale}; it counts repetitions and starts at 1")
    samples = Samples(home, home / "hospitals.yaml", {}, {}, {}, {}, [])
    for hospital_id in table("habits")["hospitals"]:
        hospital = Hospital.open(hospital_id, seed)
        _build_hospital(home, hospital, samples, scale)
        samples.planted.extend(hospital.planted.sorted())
    samples.hospitals_yaml.write_text(registry_text(), encoding="utf-8")
    samples.planted.sort()
    write_planted(home, samples.planted)
    return samples


def _build_hospital(home: Path, hospital: Hospital, samples: Samples, scale: int) -> None:
    """One hospital's objects and exports."""
    objects: dict[str, bytes] = {}
    reported: list[Study] = []
    for repetition in range(scale):
        for study, has_report, made in make_studies(hospital, table("recipes")[hospital.id], repetition):
            objects |= made
            if has_report:
                reported.append(study)
    stranger = Study.draw(hospital, hospital.population.patient(), "ct_chest")
    refused = broken_objects(stranger, first_number=900)
    reported += [Study.draw(hospital, hospital.population.patient(), exam) for exam in EXAMS_WITHOUT_IMAGES]
    exports, rows = _exports(hospital, reported)
    landing = home / "landing" / hospital.id
    for key, content in (objects | {key: content for key, (content, _) in refused.items()} | exports).items():
        _put(landing / key, content)
    samples.objects[hospital.id] = len(objects) + len(refused)
    samples.refusals[hospital.id] = {key: reason for key, (_, reason) in refused.items() if reason}
    samples.reports[hospital.id] = rows
    samples.report_files[hospital.id] = len(exports)


def _exports(hospital: Hospital, reported: list[Study]) -> tuple[dict[str, bytes], int]:
    """The CSV exports by key, and how many readable rows they hold.

    The last study's report comes in a file named after the patient.
    """
    habits = hospital.habits
    first = TEMPLATES_APART * (habits["number"] - 1)
    main_key, (lame_key, garbled_key) = "reports/ris_export.csv", REFUSED_EXPORTS
    last = reported[-1]
    plain = last.patient.name.plain
    named_key = f"reports/addenda/{plain.family}_{plain.given}.csv"
    for part in (plain.family, plain.given):
        hospital.planted.add("NAME", part, "object_key", named_key)
    rows: dict[str, list[dict[str, str]]] = {main_key: [], named_key: [], lame_key: [], garbled_key: []}
    for place, study in enumerate(reported):
        key = named_key if study is last else main_key
        rows[key].append(_row(hospital, study, f"{hospital.id[:2].upper()}R{place:05d}", first + place, key, place))
    rows[lame_key].append(report_row(reported[0], "LEGACY1", "", lame_key))
    rows[garbled_key].append(_row(hospital, reported[0], "GARBLED1", first, garbled_key, 1))
    twice = _row(
        hospital, reported[1], rows[main_key][0]["report_id"], first + len(reported), main_key, 1
    )  # duplicate_report
    encoding: str = habits["csv"]["encoding"]
    main = to_csv([*rows[main_key], twice], habits).decode(encoding)
    exports = {
        main_key: encode_csv(broken_rows(main, habits, ("RAGGED1", "EMPTY1")), habits),
        named_key: to_csv(rows[named_key], habits),
        lame_key: to_csv(rows[lame_key], habits, without=("text",)),
        garbled_key: undecodable_export(to_csv(rows[garbled_key], habits).decode(encoding), habits),
    }
    return exports, len(rows[main_key]) + len(rows[named_key])


def _row(hospital: Hospital, study: Study, report_id: str, template: int, key: str, place: int) -> dict[str, str]:
    """One report as a row.

    Where a hospital gives Study Instance UIDs, every other row has no accession number, and the others no UID; elsewhere
    every fourth row has none, so that only patient and date say which study it is about.
    """
    without = "accession_number" if place % 4 == 3 else ""
    if "study_instance_uid" in hospital.habits["report_columns"]:
        without = "accession_number" if place % 2 else "study_instance_uid"
    return report_row(study, report_id, write_report(study, template, key), key, without=without)


def grow(home: Path, hospital: str, *, seed: int = 7) -> list[str]:
    """One more study (two objects and a CSV with its report) arrives at a hospital; returns the new keys.

    Each call adds another one.  The planted list under `home` is extended.  Raises `FileNotFoundError` if `home` holds no
    samples, `KeyError` for a hospital that is none of the three.
    """
    planted = read_planted(home)
    landing = home / "landing" / hospital
    earlier = len(list((landing / "reports").glob("arrival_*.csv")))
    opened = Hospital.open(hospital, seed, arrival=earlier)
    files: dict[str, bytes] = {}
    for study, _, made in make_studies(opened, table("recipes")["grown"], repetition=50 + earlier):
        files |= made
        key = f"reports/arrival_{earlier:03d}.csv"
        text = write_report(study, earlier, key)
        row = report_row(study, f"{hospital[:2].upper()}A{earlier:05d}", text, key)
        files[key] = to_csv([row], opened.habits)
    for key, content in files.items():
        _put(landing / key, content)
    write_planted(home, sorted({*planted, *opened.planted.found}))
    return sorted(files)


def registry_text() -> str:
    """`hospitals.yaml` of the three sample hospitals."""
    return "# Made by gradient_assets.samples: three invented hospitals.\n" + yaml.safe_dump(
        {"hospitals": [_registry_entry(name, habits) for name, habits in table("habits")["hospitals"].items()]},
        sort_keys=False,
        allow_unicode=True,
    )


def _registry_entry(name: str, habits: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "number": habits["number"],
        "buckets": {kind: f"landing/{name}/{kind}" for kind in ("dicoms", "reports")},
        "report_columns": dict(habits["report_columns"]),
        "delimiter": habits["csv"]["delimiter"],
        "encoding": habits["csv"]["encoding"],
        "date_order": habits["date_order"],
        "timezone": habits["timezone"],
        "profile": habits["profile"],
        "secret_name": f"hospital/{name}",
    }


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
