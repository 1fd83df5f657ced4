"""One heavy stage over one partition: what is new, run it, check that nothing is missing, commit in one step.

Belongs here: comparing what should be there with what is, running the Beam pipeline over the difference, and replacing
the partition.  Each input is named by a work token: equal token, nothing to redo; a token no longer expected, its rows go.
A stage that fails leaves what was there before; started again it comes to the same bytes as an undisturbed one.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.diagnostics import Diagnostics
from gradient_assets.hospitals import Hospital
from gradient_assets.integrity import given
from gradient_assets.integrity.recorded import committing
from gradient_assets.pipelines import beam_stage, whole
from gradient_assets.pipelines.attaching import Writes, outliving, work_named
from gradient_assets.pipelines.flex_template import StageGraph
from gradient_assets.pipelines.progress import Progress, counted, listening, watching
from gradient_assets.pipelines.shards import GroupResult, ShardWriter, StagingPlace
from gradient_assets.pipelines.steps import TRANSIENT, Step, WorkItem, refusal_row
from gradient_assets.pipelines.worklist import Worklist, write_everyone
from gradient_assets.tables import TableSpec
from resources.buckets.object_store import Bucket
from resources.buckets.staging import Staging, fresh_staging
from resources.engines.beam import BeamEngine
from resources.engines.waiting import PipelineFailed
from resources.warehouses.warehouse import Warehouse

STAGING = "_staging"
"""Prefix of a bucket under which a stage's objects wait until they are committed."""


class StageError(Exception):
    """A stage can't vouch for its result: work items without an outcome, rows that were lost.  Nothing was committed."""


@dataclass(frozen=True)
class StageCounts:
    """How a stage ended, in numbers.  `objects_in` = those with rows + those refused as a whole."""

    objects_in: int
    processed: int
    reused: int
    removed: int
    rows_out: int
    quarantined: int
    quarantined_by_reason: dict[str, int]
    seconds: float
    withdrawn: int = 0
    counters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ObjectCommit:
    """Objects that a stage writes besides rows.  They wait under `_staging/` and are moved just before the rows appear.

    `prefix` is the partition's part of the bucket, `keys` tells which objects the committed rows name: any other object
    under the prefix is left over from a deleted input or a broken run, and is deleted.
    """

    bucket: Bucket
    prefix: str
    keys: Callable[[], set[str]]

    def staging(self, name: str) -> Staging:
        """Where a stage's objects wait."""
        return fresh_staging(self.bucket.under(STAGING), name)

    def publish(self, staged: Staging) -> None:
        """Move what is staged to where it belongs; the same again after a broken run."""
        prefix = staged.uri.removeprefix(self.bucket.uri).strip("/")
        for stat in list(staged.bucket.listing()):
            self.bucket.move(f"{prefix}/{stat.key}", stat.key)

    def remove_orphans(self) -> set[str]:
        """Delete what no row names; returns what rows name and is not there."""
        # Objects first, then rows: what another run lays down between the two is not judged.
        found = {stat.key for stat in self.bucket.listing(self.prefix)}
        wanted = self.keys()
        self.bucket.delete(sorted(key for key in found - wanted if not key.startswith(f"{STAGING}/")))
        return {key for key in wanted - found if not self.bucket.exists(key)}


@dataclass
class StageRun:
    """The stores and the engine that a stage works with, for one partition."""

    warehouse: Warehouse
    beam: BeamEngine
    partition: str
    run_id: str
    hospitals: dict[str, Hospital]
    say: Callable[[str], None] = lambda message: None
    diagnostics: Diagnostics | None = None
    """Where the texts of errors are sealed; without it they are lost."""
    decided: Callable[[Iterable[WorkItem]], Iterable[WorkItem]] = lambda items: items
    """What people decided about quarantined items, applied to the work list."""
    settle: Callable[[tuple[TableSpec, ...]], None] = lambda specs: None
    """Called with the tables that were just committed: a patient may have been withdrawn while the stage ran."""

    def run(
        self,
        step: Step,
        work: Iterable[WorkItem],
        objects: ObjectCommit | None = None,
        everyone: Iterable[KnownIdentifiers] | None = None,
        inputs: Callable[[], int] | None = None,
    ) -> StageCounts:
        """Bring the partition of the step's tables to exactly what `work` asks for.

        `everyone`: the identifiers of all patients, for a step that searches its rows for them.  `inputs`: how many inputs
        there were, for a stage that is not given the rows of a table; asked when `work` has been read to its end.

        Raises `StageError` when an item has no outcome or a row is lost; errors of the stores and of Beam pass through.
        """
        started = time.monotonic()
        after = given.run_before(self.warehouse, self.partition, step.stage)
        before = given.standing(self.warehouse, self.partition, step.stage)
        known = self._known(step)
        zone = step.output.zone
        name = f"{step.stage}-{self.partition}-{self.run_id}"
        with ExitStack() as ending:
            private = ending.enter_context(self.warehouse.staging("identified", name))
            visible = ending.enter_context(self.warehouse.staging(zone, name))
            places: dict[str, StagingPlace] = {
                zone: StagingPlace(visible.bucket, visible.uri),
                "identified": StagingPlace(private.bucket, private.uri),
            }
            if self.diagnostics is not None:
                left = private.bucket.under("diagnostics")
                places["diagnostics"] = StagingPlace(left, left.uri)
                ending.callback(self.diagnostics.take, left)
            if objects is not None:
                staged = ending.enter_context(objects.staging(name))
                places["objects"] = StagingPlace(staged.bucket, staged.uri)
            if everyone is not None:
                write_everyone(places["identified"], everyone)
            expected, worklist = self._plan(work, known, places["identified"])
            tokens = work_named(step.stage, step.version, expected - known)
            fresh = {zone: visible, "identified": private} | ({} if objects is None else {"objects": staged})
            writes = ending.enter_context(
                outliving(self.beam if worklist.items else None, self._job_name(step), tokens, fresh)
            )
            places |= {place: StagingPlace(staging.bucket, staging.uri) for place, staging in writes.stagings.items()}
            if self.diagnostics is not None and writes.stagings is not fresh:
                ending.callback(self.diagnostics.take, places["identified"].bucket.under("diagnostics"))
            result = self._process(step, worklist, places, writes)
            self._check(step, expected - known, result, places)
            with committing(self.warehouse, step.made, self.partition):
                if objects is not None:
                    objects.publish(writes.stagings["objects"])
                self._commit(step, result, gone=self._there(step) - expected, todo=expected - known)
                self.settle(_settled(step))
                self._tidy(step, objects)
                counted_inputs = inputs() if inputs else None
                given.note(self.warehouse, self.partition, step.stage, counted_inputs, after, before)
        return self._counts(step, expected, known, result, time.monotonic() - started)

    def isolate(
        self,
        step: Step,
        findings: Mapping[str, str],
        counts: StageCounts,
        objects: ObjectCommit | None = None,
    ) -> StageCounts:
        """Take rows and objects in which the verification found something out of what was committed, and refuse them.

        `findings`: work token → what was found, without a value.  The rows go first: killed in between, the stage does these
        items again and the verification looks again.  What another run or a withdrawal has taken away since is not there to be
        put aside.  Raises `StageError` for a row that stands and that no row of origin names.
        """
        if not findings:
            return counts
        name = f"{step.stage}-{self.partition}-{self.run_id}-found"
        with (
            self.warehouse.staging("identified", name) as private,
            committing(self.warehouse, step.made, self.partition),
        ):
            refused = self._found_rows(step, findings)
            nameless = findings.keys() - {row["work_token"] for row in refused}
            if nameless and (missing := nameless & self.warehouse.tokens(step.output, self.partition)):
                raise StageError(
                    f"Stage {step.stage} of '{self.partition}': {len(missing)} findings of the verification belong to no item. "
                    "The partition can't be vouched for; run it again."
                )
            writer = ShardWriter({"identified": StagingPlace(private.bucket, private.uri)})
            for row in refused:
                writer.add(step.refusals, row)
                writer.keep()
            shards = writer.close().get(step.refusals.full_name, [])
            for spec in (step.output, *step.beside, *_origins(step)):
                self.warehouse.replace(spec, self.partition, shards=[], drop_tokens=findings.keys())
            self._tidy(step, objects)
            self.warehouse.replace(step.refusals, self.partition, shards=shards)
            self.settle(_settled(step))
        self.say(
            f"{step.stage}: {len(refused)} put aside, because the verification found something in what was written"
        )
        reasons = self._reasons(step)
        withdrawn = reasons.pop(Reason.WITHDRAWN.value, 0)
        return replace(
            counts,
            withdrawn=withdrawn,
            rows_out=self.warehouse.count(step.output, self.partition),
            quarantined=reasons.total(),
            quarantined_by_reason=dict(sorted(reasons.items())),
        )

    def _tidy(self, step: Step, objects: ObjectCommit | None) -> None:
        """Delete objects that no row names.  Raises `StageError` for rows that name what is not there, and takes them out: on a
        store without locks another run with an older listing may have deleted it before its row stood."""
        gone = objects.remove_orphans() if objects is not None else set()
        if not gone or step.made is None:
            return
        batches = self.warehouse.scan(step.made, self.partition, columns=("work_token", "objects_json"))
        origins = (row for batch in batches for row in batch.to_pylist())
        tokens = {row["work_token"] for row in origins if gone & json.loads(row["objects_json"]).keys()}
        for spec in (step.output, *step.beside, *_origins(step)):
            self.warehouse.replace(spec, self.partition, shards=[], drop_tokens=tokens)
        raise StageError(
            f"Stage {step.stage} of '{self.partition}': {len(gone)} objects were gone as soon as their rows stood. The rows "
            "were taken out again; run it again."
        )

    def _found_rows(self, step: Step, findings: Mapping[str, str]) -> list[dict[str, Any]]:
        if step.made is None:
            return []
        rows: list[dict[str, Any]] = []
        for batch in self.warehouse.scan(step.made, self.partition):
            for origin in batch.to_pylist():
                if (detail := findings.get(origin["work_token"])) is not None:
                    hospital = self.hospitals[origin["hospital_id"]]
                    item = WorkItem(
                        work_token=origin["work_token"],
                        object_key=origin["object_key"],
                        object_pseudonym=origin["object_pseudonym"],
                        row_number=origin["row_number"],
                        run_id=self.run_id,
                    )
                    rows.append(refusal_row(step, hospital, item, Refused(Reason.FOUND_BY_VERIFICATION, detail)))
        return rows

    def _known(self, step: Step) -> set[str]:
        """Tokens with nothing left to do: rows with an origin, or refusals of an item that has none.

        Both conditions are of the order in `_commit`: an item may have rows and refusals (a file of reports with one bad
        row), so that its refusals alone say nothing of its rows.
        """
        refused: set[str] = set()
        retried: set[str] = set()
        transient = {reason.value for reason in TRANSIENT}
        for batch in self.warehouse.scan(step.refusals, self.partition, columns=("work_token", "reason")):
            for token, reason in zip(batch["work_token"].to_pylist(), batch["reason"].to_pylist(), strict=True):
                (retried if reason in transient else refused).add(token)
        rows = self.warehouse.tokens(step.output, self.partition)
        if step.made is None:
            return (rows | refused) - retried
        origins = self.warehouse.tokens(step.made, self.partition)
        return ((rows & origins) | (refused - origins - rows)) - retried

    def _there(self, step: Step) -> set[str]:
        """Every token that any table of the stage names: what a killed run left, and what vanished before it was read."""
        specs = (step.output, step.refusals, *step.beside, *_origins(step))
        return {token for spec in specs for token in self.warehouse.tokens(spec, self.partition)}

    def _plan(self, work: Iterable[WorkItem], known: set[str], place: StagingPlace) -> tuple[set[str], Worklist]:
        worklist = Worklist(place)
        expected: set[str] = set()
        for item in self.decided(work):
            token = item["work_token"]
            if token in expected:
                raise StageError("Two work items have the same token: the listing names an object twice. Run again.")
            expected.add(token)
            if token not in known:
                item["run_id"] = self.run_id
                worklist.add(item)
        worklist.close()
        return expected, worklist

    def _job_name(self, step: Step) -> str:
        return f"{step.stage.replace('_', '-')}-{self.partition}"

    def _process(self, step: Step, worklist: Worklist, places: dict[str, StagingPlace], writes: Writes) -> GroupResult:
        if not worklist.items:
            return GroupResult()
        if writes.done:
            self.say(f"{step.stage}: the job that an earlier run started is done")
            return beam_stage.read_manifest(places["identified"])
        elsewhere = self.beam.runner != "embedded"
        plan = beam_stage.StagePlan(step, self.hospitals, places, beam_stage.default_processes(), tells=elsewhere)
        place = places["identified"]
        progress = Progress(step.stage, worklist.items, self.say)
        try:
            with watching(place, progress) if elsewhere else listening(progress):
                # The plan is placed when a job is built: one that is waited for reads the plan that it was started with.
                counters = self.beam.run(
                    StageGraph(plan, worklist.chunks),
                    name=self._job_name(step),
                    on_progress=self.say,
                    attach=writes.attach,
                )
        except PipelineFailed as failed:
            failure = beam_stage.read_failure(place)
            if failure is None:
                raise
            raise StageError(failure) from failed
        if elsewhere:
            self.say(counted(step.stage, counters))
        return beam_stage.read_manifest(place)

    def _check(self, step: Step, todo: set[str], result: GroupResult, places: dict[str, StagingPlace]) -> None:
        if wrongs := whole.wrongs(step, todo, result, places):
            raise StageError(
                f"Stage {step.stage} of '{self.partition}': {'; '.join(wrongs)}. Nothing was committed; run it again."
            )

    def _commit(self, step: Step, result: GroupResult, gone: set[str], todo: set[str]) -> None:
        # A run may be killed between any two of these.  `_known` finds what is whole by this order: an item counts as done
        # when the last of its tables has it, and the output keeps what is gone until all others have let it go.  An item of
        # which all was refused has no output: its refusals come last, and go first.
        if gone and step.beside:
            for spec in (*_origins(step), step.refusals):
                self.warehouse.replace(spec, self.partition, shards=[], drop_tokens=gone)
        for spec in (*_origins(step), *step.beside, step.refusals, step.output):
            shards = result.shards.get(spec.full_name, [])
            # Tokens of this run are dropped too: another run of the same partition may have committed them meanwhile.
            self.warehouse.replace(spec, self.partition, shards=shards, drop_tokens=gone | todo)

    def _counts(
        self, step: Step, expected: set[str], known: set[str], result: GroupResult, seconds: float
    ) -> StageCounts:
        reasons = self._reasons(step)
        withdrawn = reasons.pop(Reason.WITHDRAWN.value, 0)
        counts = StageCounts(
            objects_in=len(expected),
            processed=len(expected - known),
            reused=len(expected & known),
            removed=len(known - expected),
            rows_out=self.warehouse.count(step.output, self.partition),
            quarantined=reasons.total(),
            withdrawn=withdrawn,
            quarantined_by_reason=dict(sorted(reasons.items())),
            seconds=round(seconds, 1),
            counters=dict(result.counts),
        )
        self.say(
            f"{step.stage}: {counts.objects_in} in ({counts.processed} new, {counts.reused} as before, {counts.removed} gone), "
            f"{counts.rows_out} rows out, {counts.quarantined} quarantined"
        )
        return counts

    def _reasons(self, step: Step) -> Counter[str]:
        reasons: Counter[str] = Counter()
        for batch in self.warehouse.scan(step.refusals, self.partition, columns=("reason",)):
            reasons.update(batch["reason"].to_pylist())
        return reasons


def _origins(step: Step) -> tuple[TableSpec, ...]:
    """The table of the step's origins, if it has one."""
    return () if step.made is None else (step.made,)


def _settled(step: Step) -> tuple[TableSpec, ...]:
    """The tables that withdrawn patients' rows may have been committed to.

    A refusal goes too where the row that it was made from goes; what was left out of a bucket or a cohort stays counted.
    """
    refusals = (step.refusals,) if step.stage in given.STAGE_BEFORE else ()
    return (*_origins(step), *step.beside, *refusals, step.output)
