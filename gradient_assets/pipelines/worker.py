"""A worker process: takes groups of items from its parent, applies the step, answers with rows, shard URIs and counts.

Belongs here: the loop around a step inside one process.  Started by `pool` as `python -m gradient_assets.pipelines.worker FD`,
so that nothing is forked (the parent has threads of Beam, Dagster and onnxruntime) and Beam is not imported (6 s each).
A worker says nothing on stdout or stderr: native libraries may print what they read.
"""

from __future__ import annotations

import gc
import hashlib
import resource
import signal
import sys
from multiprocessing.connection import Connection

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.diagnostics import LeftBehind
from gradient_assets.hospitals import Hospital
from gradient_assets.pipelines.shards import GroupResult, ShardWriter, StagingPlace
from gradient_assets.pipelines.steps import (
    Emitted,
    EmittedObject,
    RefusedRecord,
    SearchesForEveryone,
    Step,
    WorkItem,
    foreseen,
    made_row,
    refusal_row,
)
from gradient_assets.pipelines.worklist import read_everyone
from gradient_assets.tables import TableSpec

MEMORY_LIMIT_BYTES = 6 * 1024**3
"""Address space of one worker: an object that wants more ends as `worker_died`, and takes nobody with it."""


class StepRunner:
    """Applies one step to groups of items; opens the step at its first group."""

    def __init__(self, step: Step, hospitals: dict[str, Hospital], places: dict[str, StagingPlace]) -> None:
        self._step = step
        self._hospitals = hospitals
        self._places = places
        self._opened = False
        left = places.get("diagnostics")
        self._diagnostics = LeftBehind(left.bucket if left else None)

    def run(self, items: list[WorkItem], died: Reason | None = None, *, hand_over: bool = False) -> GroupResult:
        """Apply the step to each item.  With `died`, refuse the items with that reason instead (they killed a worker).

        With `hand_over` the last rows of each table are in the result; else they are in a shard too.
        """
        if not self._opened and died is None:
            self._step.open()
            if isinstance(self._step, SearchesForEveryone):
                self._step.meet(read_everyone(self._places["identified"]))
            self._opened = True
        writer = ShardWriter(self._places)
        result = GroupResult()
        for item in items:
            try:
                if died is not None:
                    raise Refused(died)
                if refuse := item.get("refuse"):
                    raise Refused(Reason(refuse))
                counts, objects = self._apply(item, writer)
                # Without a row or an object there is nothing that has an origin, and its refusals say that the item is done
                # (`StageRun`).
                if self._step.made is not None and (objects or "rows" in counts):
                    hospital = self._hospitals[item["hospital_id"]]
                    writer.add(self._step.made, made_row(self._step, hospital, item, objects))
                writer.keep()
                result.counts.update(counts)
            except Exception as error:
                writer.forget()
                refused = self._diagnostics.told(
                    error, foreseen(error), self._step.stage, item["object_pseudonym"], item["work_token"]
                )
                writer.add(
                    self._step.refusals, refusal_row(self._step, self._hospitals[item["hospital_id"]], item, refused)
                )
                writer.keep()
                result.counts[f"refused/{refused.reason.value}"] += 1
            result.items += 1
        result.written = writer.written
        if hand_over:
            result.shards, result.rows = writer.hand_over()
        else:
            result.shards = writer.close()
        return result

    def told(self, error: Exception) -> Refused:
        """An error that is none of one item: engines that don't open, a shard that can't be written."""
        return self._diagnostics.told(error, foreseen(error), self._step.stage, "a worker", "")

    def _apply(self, item: WorkItem, writer: ShardWriter) -> tuple[dict[str, int], dict[str, str]]:
        """What was counted, and the SHA-256 of each object that was put."""
        counts: dict[str, int] = {}
        objects: dict[str, str] = {}
        hospital = self._hospitals[item["hospital_id"]]
        for emitted in self._step.apply(item):
            match emitted:
                case Emitted(row, None):
                    writer.add(self._step.output, row)
                    counts["rows"] = counts.get("rows", 0) + 1
                case Emitted(row, TableSpec() as table):
                    writer.add(table, row)
                case RefusedRecord(row_number, reason, detail):
                    row = refusal_row(self._step, hospital, item, Refused(reason, detail), row_number)
                    writer.add(self._step.refusals, row)
                    counts[f"refused/{reason.value}"] = counts.get(f"refused/{reason.value}", 0) + 1
                case EmittedObject(key, content):
                    self._places["objects"].bucket.put(key, content)
                    objects[key] = hashlib.sha256(content).hexdigest()
        return counts, objects


def main() -> None:
    """Serve the parent on the file descriptor given as the only argument, until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes the connection
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold identified data
    connection = Connection(int(sys.argv[1]))
    runner: StepRunner | None = None
    while True:
        try:
            request, *arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            if request == "step":
                runner = StepRunner(*arguments)
                gc.collect()
                gc.freeze()  # what was imported is not looked through again: a tenth of the time of headers
                answer: tuple[str, object] = ("ready", None)
            else:
                assert runner is not None, "the step comes before its items"
                answer = ("done", runner.run(*arguments, hand_over=True))
        except Exception as error:
            refused = runner.told(error) if runner is not None else foreseen(error)
            answer = ("failed", refused.detail or type(error).__name__)
        connection.send(answer)


if __name__ == "__main__":
    main()
