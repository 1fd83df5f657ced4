"""Running a Beam pipeline: in this process, on Prism, on Flink, on Dataflow.

Belongs here: choosing the runner, and the embedded one.  What a pipeline does is `gradient_assets.pipelines`' business, jobs
of a job server `portable`'s, those of Google `dataflow`'s, waiting for either `waiting`'s.  The runner is always named:
Beam's `DirectRunner` begins with a download.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from resources.engines.waiting import PipelineFailed, counters, kind_of, silence_beam
from resources.errors import holding_back

if TYPE_CHECKING:
    import apache_beam as beam  # importing it takes 2 s, which a worker that only reads a bucket should not pay

Runner = Literal["embedded", "prism", "flink", "dataflow"]
RUNNERS: tuple[Runner, ...] = ("embedded", "prism", "flink", "dataflow")

POLL_S = 5.0
"""Between two questions to a remote runner, at most."""


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

        When this call is interrupted, a remote job is cancelled.  `attach` is for Dataflow, whose jobs outlive the process
        that started them (`resources.engines.dataflow.DataflowEngine`).  Raises `PipelineFailed`.
        """
        say = on_progress or (lambda message: None)
        if self.runner == "embedded":
            return self._run_embedded(build, name)
        if self.runner == "dataflow":
            raise PipelineFailed(
                f"pipeline {name}: Dataflow's jobs are run by `resources.engines.dataflow.DataflowEngine`"
            )
        from resources.engines.portable import run_on_job_server

        return run_on_job_server(self.runner, build, name, self.options, say, self.progress_s)

    def _run_embedded(self, build: Callable[[beam.Pipeline], None], name: str) -> dict[str, int]:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner
        from apache_beam.runners.runner import PipelineState

        silence_beam()
        # An empty list: Beam would read the program's own command line otherwise.
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([*self.options]))
        build(pipeline)
        failure = None
        try:
            result = pipeline.run()
            state = result.wait_until_finish()
        except Exception as error:
            failure = holding_back(PipelineFailed(f"pipeline {name}: {kind_of(error)}"), error)
        if failure is not None:
            raise failure
        if state not in (PipelineState.DONE, None):
            raise PipelineFailed(f"pipeline {name}: ended as {state}")
        return counters(result)
