"""What the blocking checks leave out: findings that somebody accepted, in exactly the rows and objects they were accepted for.

Belongs here: from accepted work tokens to rows of every table and objects of a release behind them, and the number of hits that
was accepted there.  A check asks `in_row` or `in_object` for each thing it has hits in, and counts what it left out; the search
itself is the check's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradient_assets.deid.reasons import Reason
from gradient_assets.hospitals import Hospital
from gradient_assets.quarantine.decisions import decisions_of
from gradient_assets.tables import DEIDENTIFIED_METADATA, DEIDENTIFIED_REPORTS, RELEASE_MANIFEST, TableSpec
from resources import Resources

_FOUND = re.compile(r"(\d+) × ([a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)*)")
"""`2 × name`, in a list, and `2 × id, name` as a whole instance's search writes it."""

_NOTHING: Counter[str] = Counter()

_ByName = Mapping[str, Counter[str]]
"""A token, UID, text or key → how many hits of each kind were accepted there."""


@dataclass(frozen=True)
class Spared:
    """Accepted findings of one hospital, or of one release.

    Tables of stages are told by work token.  Tables that SQL makes of them have none: there an instance is told by its new
    UID, and a report by its text standing in the row's.
    """

    tokens: _ByName = field(default_factory=dict, repr=False)
    instances: _ByName = field(default_factory=dict, repr=False)
    reports: _ByName = field(default_factory=dict, repr=False)
    objects: _ByName = field(default_factory=dict, repr=False)
    findings: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict, repr=False)

    @classmethod
    def of_hospital(cls, resources: Resources, hospital: Hospital) -> Spared:
        """What was accepted in the stages of a hospital.  Raises what reading the log raises."""
        accepted = decisions_of(resources, hospital).accepted().items()
        findings = {token: found for token, (item, found) in accepted if not item.release}
        tokens = {token: _numbers(found) for token, found in findings.items()}
        return cls(
            tokens=tokens,
            instances=_named(resources, DEIDENTIFIED_METADATA, hospital.id, "sop_instance_uid", tokens),
            reports=_named(resources, DEIDENTIFIED_REPORTS, hospital.id, "report_text", tokens),
            findings=findings,
        )

    @classmethod
    def of_release(cls, resources: Resources, hospitals: Iterable[Hospital], release: str) -> Spared:
        """What was accepted for a release, of all hospitals."""
        findings = {
            token: found
            for hospital in hospitals
            for token, (item, found) in decisions_of(resources, hospital).accepted().items()
            if item.release == release
        }
        tokens = {token: _numbers(found) for token, found in findings.items()}
        objects = _named(resources, RELEASE_MANIFEST, release, "object_key", tokens)
        return cls(tokens=tokens, objects=objects, findings=findings)

    def in_row(self, row: Mapping[str, Any], kinds: Iterable[str]) -> frozenset[str]:
        """Which kinds of the hits in a row are accepted there; `kinds` has one entry for each hit.

        In a stage's own table one hit more than was accepted is none of them: nobody can say which is the new one.  Tables
        made by SQL repeat a text in several columns; their rows are compared by kind.
        """
        if "work_token" in row:
            return _within(self.tokens.get(row["work_token"], _NOTHING), kinds)
        text = row.get("report_text") or ""
        found = [self.instances.get(row.get("sop_instance_uid") or "", _NOTHING)]
        found += [accepted for report, accepted in self.reports.items() if report in text]
        return frozenset(kinds) & frozenset(kind for accepted in found for kind in accepted)

    def in_object(self, key: str, kinds: Iterable[str]) -> frozenset[str]:
        """Which kinds of the hits in an object of the release are accepted there, by its key below the release.

        `kinds` as for a row of a stage's own table, and as strict.  What is known of patients grows while the object and its
        token stay: a name that was learned since is one hit more.
        """
        return _within(self.objects.get(key, _NOTHING), kinds)

    def put_aside(self, work_token: str) -> Counter[str]:
        """How many findings of each kind were accepted of what the verification has put aside."""
        reason = Reason.FOUND_BY_VERIFICATION.value
        return _numbers({reason: self.findings.get(work_token, {}).get(reason, ())})

    def has(self, work_token: str, reason: str, detail: str) -> bool:
        """Whether this very finding was accepted for the item."""
        return detail in self.findings.get(work_token, {}).get(reason, ())


def _within(accepted: Counter[str], kinds: Iterable[str]) -> frozenset[str]:
    return frozenset(kind for kind, count in Counter(kinds).items() if count <= accepted[kind])


def _numbers(findings: Mapping[str, Iterable[str]]) -> Counter[str]:
    numbers: Counter[str] = Counter()
    for details in findings.values():
        for detail in details:
            for count, kinds in _FOUND.findall(detail):
                numbers.update(dict.fromkeys(kinds.split(", "), int(count)))
    return numbers


def _named(resources: Resources, spec: TableSpec, partition: str, column: str, tokens: _ByName) -> _ByName:
    if not tokens:
        return {}
    return {
        row[column]: tokens[row["work_token"]]
        for batch in resources.warehouse.scan(spec, partition, columns=("work_token", column))
        for row in batch.to_pylist()
        if row["work_token"] in tokens
    }
