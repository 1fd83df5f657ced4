"""Prove that withdrawn patients are nowhere: read everything again and look for every name they had.

Belongs here: what is read, how a name is looked for, the counts.  Rows are judged twice: by the columns that `sweep` goes by,
and by looking for each name in the whole text of each row, since a rule that removes can't prove that it removed enough.

Not read: the hospital's own buckets (they are not ours), lists of what recipients have to delete, the logs of people's
decisions (object pseudonyms only), sealed error texts (they end by their age), Dagster's event log (pages of checks that found
something name objects by pseudonym).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick

from gradient_assets.hospitals import Hospital
from gradient_assets.quarantine.decisions import PREFIX as QUARANTINE_LOG
from gradient_assets.releases.manifest import REVOKED
from gradient_assets.tables import ALL_TABLES, TableSpec
from gradient_assets.withdrawals.deliveries import WITHDRAWN_OBJECTS
from gradient_assets.withdrawals.register import PREFIX as OWN_RECORDS
from gradient_assets.withdrawals.sweep import Withdrawn, decisions_about, partitions_of, thumbnails_of
from gradient_assets.withdrawals.tombstones import PATIENT
from gradient_assets.withdrawals.withdraw import unfinished_work
from resources import Resources
from resources.buckets.object_store import Bucket
from resources.warehouses.warehouse import Warehouse

SHORTEST_IN_TEXT = 4
"""Signs of an id below which it is compared with columns of ids alone: `12` stands in every date."""

_TEXTS = (".csv", ".html", ".json")
_SIGN = re.compile(r"[^\W_]")


@dataclass
class Absence:
    """What was found, by place, and how much was read.  `runs`: whose unfinished work waits, blank for no run's."""

    found: Counter[str] = field(default_factory=Counter)
    runs: frozenset[str] = frozenset()
    names: int = 0
    rows: int = 0
    objects: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.found.total()


class Names:
    """Finds any of the names in a text, in one pass; a name within a longer one does not count."""

    def __init__(self, names: Iterable[str]) -> None:
        folded = sorted({name.casefold() for name in names} - {""})
        self.count = len(folded)
        self._automaton = AhoCorasick(folded, store_patterns=False)

    def stand_in(self, text: str) -> bool:
        """Whether any of them does."""
        folded = text.casefold()
        matches = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        return any(self._is_whole(folded, start, end) for _, start, end in matches)

    @staticmethod
    def _is_whole(text: str, start: int, end: int) -> bool:
        before, after = text[start - 1 : start], text[end : end + 1]
        return not _SIGN.match(before) and not _SIGN.match(after)


def prove_absence(resources: Resources, hospital: Hospital, originals: Iterable[str] = ()) -> Absence:
    """Look for everybody who was withdrawn from the hospital; `originals` are their ids, given once more.

    An id that was never withdrawn is a finding too.  Raises `WithdrawalError` and what the stores raise.
    """
    withdrawn, given = Withdrawn.of(resources, hospital), tuple(originals)
    absence = Absence()
    absence.found.update(
        "ids that were never withdrawn" for one in given if not withdrawn.register.tombstones.covers(PATIENT, one)
    )
    names = Names({*withdrawn.pseudonyms, *(one for one in given if len(_SIGN.findall(one)) >= SHORTEST_IN_TEXT)})
    absence.names = names.count
    if withdrawn.register or given:
        for spec in ALL_TABLES:
            _read_table(withdrawn, resources.warehouse, spec, names, absence)
        _read_objects(withdrawn, resources, names, absence)
        unfinished = unfinished_work(resources)
        # Nobody can say of it what it will become.
        absence.found["unfinished work in staging"] += sum(len(one.keys) for one in unfinished)
        absence.runs = frozenset(one.run_id for one in unfinished)
    absence.found = +absence.found
    return absence


def _read_table(withdrawn: Withdrawn, warehouse: Warehouse, spec: TableSpec, names: Names, absence: Absence) -> None:
    judged = withdrawn.columns(spec)
    texts = [column.name for column in spec.columns if column.type == "STRING"]
    for partition in partitions_of(warehouse, spec, withdrawn.hospital):
        for batch in warehouse.scan(spec, partition, columns=list(dict.fromkeys((*judged, *texts)))):
            for row in batch.to_pylist():
                absence.rows += 1
                text = "\x1f".join(row[name] for name in texts if row[name])
                if names.stand_in(text) or withdrawn.owns(spec, {name: row[name] for name in judged}):
                    absence.found[spec.full_name] += 1


def _read_objects(withdrawn: Withdrawn, resources: Resources, names: Names, absence: Absence) -> None:
    absence.found["thumbnails"] += len(thumbnails_of(withdrawn, resources.thumbnails))
    absence.found["review decisions"] += decisions_about(withdrawn, resources)
    spared = (f"{OWN_RECORDS}/", f"{QUARANTINE_LOG}/")
    for place, bucket in (
        ("releases", resources.releases),
        ("requests", resources.release_requests),
        ("records of partitions", resources.partition_records),
    ):
        for key, text in _texts(bucket):
            if key.startswith(spared) or key.rpartition("/")[2] in (WITHDRAWN_OBJECTS, REVOKED):
                continue
            absence.objects += 1
            absence.found[place] += names.stand_in(key) or names.stand_in(text)


def _texts(bucket: Bucket) -> Iterator[tuple[str, str]]:
    """Key and text of each object; no text of those that are none."""
    for stat in bucket.listing():
        yield stat.key, bucket.get(stat.key).decode("utf-8", "replace") if stat.key.endswith(_TEXTS) else ""
