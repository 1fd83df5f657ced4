"""Running a Beam pipeline: in this process, on Prism, on Flink, on Dataflow.

Belongs here: the runner's options, waiting, cancelling, and the counters at the end.  What a pipeline does is
`gradient_assets.pipelines`' business.  The runner is always named: Beam's `DirectRunner` begins with a download.

Errors: a failed pipeline's text may quote an element (a row, a key), so `PipelineFailed` carries its kind only.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from resources.errors import holding_back

if TYPE_CHECKING:
    import apache_beam as beam  # importing it takes 2 s, which a worker that only reads a bucket should not pay

Runner = Literal["embedded", "prism", "flink", "dataflow"]
RUNNERS: tuple[Runner, ...] = ("embedded", "prism", "flink", "dataflow")

POLL_S = 5.0
"""Between two questions to a remote runner; a Dataflow job takes minutes to start."""

_BUILT_IN = {
    "prism": ("--runner=PortableRunner", "--environment_type=LOOPBACK"),
    "flink": ("--runner=PortableRunner", "--environment_type=LOOPBACK"),
}


class PipelineFailed(Exception):  # noqa: N818  the name says what happened
    """A pipeline did not end well.  The message holds the runner, the state and the job id, never an element."""


@dataclass(frozen=True)
class BeamEngine:
    """Runs pipelines on one runner.  `options` are Beam's own, such as `--job_endpoint=localhost:8099`.

    `progress_s` is how often `on_progress` hears of a remote job's state.
    """

    runner: Runner = "embedded"
    options: tuple[str, ...] = ()
    progress_s: float = field(default=POLL_S)

    def run(
        self,
        build: Callable[[beam.Pipeline], None],
        *,
        name: str,
        on_progress: Callable[[str], None] | None = None,
        attach: str | None = None,
    ) -> dict[str, int]:
        """Build the pipeline, run it to its end, return its counters by name (summed over their namespaces).

        When this call is interrupted, a remote job is cancelled.  A Dataflow job of this name that a dead process left
        running is waited for if it was started with the same `attach`, and cancelled if not: a caller that gives `attach`
        promises that the old job writes to where the new one would.  Raises `PipelineFailed`.
        """
        say = on_progress or (lambda message: None)
        if self.runner == "embedded":
            return self._run_embedded(build, name)
        if self.runner == "dataflow":
            from resources.dataflow import run_on_dataflow

            return run_on_dataflow(build, name, attach, self.options, say, self.progress_s)
        return self._run_portable(build, name, say)

    def _run_embedded(self, build: Callable[[beam.Pipeline], None], name: str) -> dict[str, int]:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner
        from apache_beam.runners.runner import PipelineState

        # An empty list: Beam would read the program's own command line otherwise.
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([*self.options]))
        build(pipeline)
        failure = None
        try:
            with _silent_beam():
                result = pipeline.run()
                state = result.wait_until_finish()
        except Exception as error:
            failure = holding_back(PipelineFailed(f"pipeline {name}: {kind_of(error)}"), error)
        if failure is not None:
            raise failure
        if state not in (PipelineState.DONE, None):
            raise PipelineFailed(f"pipeline {name}: ended as {state}")
        return counters(result)

    def _run_portable(
        self, build: Callable[[beam.Pipeline], None], name: str, say: Callable[[str], None]
    ) -> dict[str, int]:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        options = PipelineOptions([*_BUILT_IN[self.runner], f"--job_name={job_name(name)}", *self.options])
        pipeline = beam.Pipeline(options=options)
        build(pipeline)
        failure = None
        try:
            result = pipeline.run()
        except Exception as error:
            failure = holding_back(
                PipelineFailed(f"pipeline {name}: not accepted by {self.runner}: {kind_of(error)}"), error
            )
        if failure is not None:
            raise failure
        say(f"{name}: accepted by {self.runner}")
        wait(result, f"pipeline {name} on {self.runner}", say, self.progress_s)
        return counters(result)


@contextmanager
def _silent_beam() -> Iterator[None]:
    """Keep Beam's own log lines back: when a DoFn raises, it logs the error's text, and that may quote an element."""
    logger = logging.getLogger("apache_beam")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def wait(result: Any, what: str, say: Callable[[str], None], poll_s: float) -> None:
    """Wait until the job has ended; cancel it when this wait is interrupted.  Raises `PipelineFailed`."""
    from apache_beam.runners.runner import PipelineState

    last = ""
    failure = None
    try:
        while True:
            state = str(result.state)
            if state != last:
                say(f"{what}: {state.lower()}")
                last = state
            if PipelineState.is_terminal(state):
                break
            time.sleep(poll_s)
    except Exception as error:
        _cancel(result)
        failure = PipelineFailed(f"{what}: {kind_of(error)}")
    except BaseException:
        # Dagster ends a run by an exception that is none of Exception; a job nobody waits for would go on and cost.
        _cancel(result)
        raise
    if failure is not None:
        raise failure
    if last != PipelineState.DONE:
        raise PipelineFailed(f"{what}: ended as {last.lower()}")


def _cancel(result: Any) -> None:
    try:
        result.cancel()
    except Exception:  # the interruption is what has to be told; a job that ended meanwhile can't be cancelled
        return


def counters(result: Any) -> dict[str, int]:
    """Committed counters by name; attempted ones where the runner commits none."""
    found: dict[str, int] = {}
    metrics = result.metrics()
    if metrics is None:
        return found
    for counter in metrics.query()["counters"]:
        value = counter.committed if counter.committed is not None else counter.attempted
        found[counter.key.metric.name] = found.get(counter.key.metric.name, 0) + int(value or 0)
    return dict(sorted(found.items()))


def kind_of(error: BaseException) -> str:
    """The type's name: Beam adds the worker's whole traceback, with the element, to an error's text."""
    return type(error).__name__


def job_name(name: str) -> str:
    """A name that Dataflow accepts: lower case letters, digits and '-', beginning with a letter, 63 at most."""
    cleaned = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:60].rstrip("-")
    return cleaned if re.match(r"[a-z]", cleaned) else f"g-{cleaned}"
