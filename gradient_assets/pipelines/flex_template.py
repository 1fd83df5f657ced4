"""What the Flex template's container runs: builds a stage's graph from the plan that lies in its staging, and hands it in.

Belongs here: the template's parameters, from both sides.  With a template the process that runs Dagster sends four words
instead of a graph, and the graph is built in the workers' own image, by the same Python and the same package.  The parameters
stand in Google's console: they name a place, and say nothing of what lies there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from gradient_assets.pipelines.beam_stage import PlacedPlan, StagePlan, build, graph
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.worklist import chunk_name
from resources.buckets.object_store import Bucket, BucketAddress
from resources.engines.waiting import silence_beam

PARAMETERS = {
    "place": "The staging of the stage's run, where its plan and its work list lie.",
    "stage": "The stage.",
    "opener": "Opens the plan, which is sealed; of no use without it. No other plan is run.",
    "chunks": "How many pieces the work list has.",
}


@dataclass(frozen=True)
class StageGraph:
    """A stage's graph, for a process that builds it and for one that has it built.  The plan is placed when it is asked for."""

    plan: StagePlan
    chunks: list[str]

    def __call__(self, pipeline: beam.Pipeline) -> None:
        """Put the transforms into the pipeline."""
        build(self.plan, self.chunks)(pipeline)

    def template_parameters(self) -> dict[str, str]:
        """What the template's container needs to know."""
        placed = PlacedPlan.of(self.plan)
        return {
            "place": placed.place.uri,
            "stage": placed.stage,
            "opener": placed.opener.hex(),
            "chunks": str(len(self.chunks)),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the graph and hand it in; Google's launcher adds the options that say how."""
    parser = argparse.ArgumentParser(prog="python -m gradient_assets.pipelines.flex_template", allow_abbrev=False)
    for name, meaning in PARAMETERS.items():
        parser.add_argument(f"--{name}", required=True, help=meaning)
    given, options = parser.parse_known_args(sys.argv[1:] if arguments is None else list(arguments))
    silence_beam()
    own = ["--no_save_main_session", "--experiments=disable_logging_submission_environment"]
    pipeline = beam.Pipeline(options=PipelineOptions([*options, *own]))
    # Opened as the account of the template's machine; the plan says as whom the other buckets are.
    place = StagingPlace(Bucket(BucketAddress(given.place)), given.place)
    placed = PlacedPlan(place, given.stage, bytes.fromhex(given.opener))
    graph(placed, [chunk_name(number) for number in range(int(given.chunks))])(pipeline)
    pipeline.run()  # not waited for: the launcher starts the job from what was staged


if __name__ == "__main__":
    main()
