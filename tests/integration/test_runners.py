"""A pipeline on every runner: counters, and failures that say no element.  The graph's stages are test_engines_equal's."""

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics

from resources.engines.beam import BeamEngine
from resources.engines.waiting import PipelineFailed
from resources.errors import withheld_text

# A runner that ends a job hangs up on the worker's threads in this process.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

RUNNERS = ["prism", "flink_local", "flink_cluster"]


class Refuse(beam.DoFn):
    """Counts what it sees; fails at a name."""

    def process(self, element):
        Metrics.counter("stage", "seen").inc()
        if element == "DOE^JANE":
            raise ValueError(element)
        yield len(element), element


def pipeline_over(*elements):
    def build(pipeline):
        _ = (
            pipeline
            | beam.Create(list(elements))
            | beam.Reshuffle()
            | beam.ParDo(Refuse())
            | beam.GroupByKey()
            | "counted" >> beam.Map(counted)
        )

    return build


def counted(group):
    Metrics.counter("stage", "grouped").inc(len(list(group[1])))


@pytest.fixture
def engine(request):
    part = request.getfixturevalue(request.param)
    return BeamEngine(part.runner, part.options, progress_s=0.5)


on_every_runner = pytest.mark.parametrize("engine", RUNNERS, indirect=True)


@on_every_runner
def test_a_pipeline_with_a_shuffle_ends_with_its_counters(engine):
    said = []
    counts = engine.run(pipeline_over("a", "bb", "cc"), name="count", on_progress=said.append)
    assert counts["seen"] == 3
    assert counts["grouped"] == 3
    assert any("accepted by" in line for line in said)
    assert said[-1].endswith("done")


@on_every_runner
def test_a_pipeline_that_fails_says_its_state_and_no_element(engine, caplog, capfd):
    """Workers are threads of this process; what they and the runner say of the element is kept for the diagnostics."""
    said = []
    with pytest.raises(PipelineFailed, match="ended as failed") as caught:
        engine.run(pipeline_over("a", "DOE" + "^JANE"), name="refuse", on_progress=said.append)
    assert caught.value.__context__ is None
    assert "DOE^JANE" in withheld_text(caught.value)
    assert "DOE" not in str(caught.value)
    assert "DOE" not in "".join(said)
    assert "DOE" not in caplog.text
    assert "DOE" not in "".join(capfd.readouterr())
