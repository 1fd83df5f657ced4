"""A job for Dataflow whose graph and package go to a real GCS server, as Beam uploads them; the service is a REST server.

The rest of Dataflow needs nothing but Python: `tests/unit/resources/test_dataflow.py` and, for whole stages,
`tests/unit/pipelines/test_dataflow_stage.py`.
"""

import pytest

from resources.engines.dataflow import DataflowEngine, DataflowSite
from resources.engines.waiting import PipelineFailed
from tests.fakes.dataflow_rest import DataflowRest, options_sent, run_graph
from tests.unit.resources.test_dataflow import NAME, pipeline_over

BUCKET = "gradient-staging"


@pytest.fixture(scope="module")
def staging(gcs):
    gcs.bucket(BUCKET)
    return gcs.buckets / BUCKET


@pytest.fixture
def service():
    with DataflowRest() as running:
        yield running


@pytest.fixture
def site(gcs, service, tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
    package = tmp_path / "gradient_assets-1.0-py3-none-any.whl"
    package.write_bytes(b"PK of the package")
    uri = f"gs://{BUCKET}/dataflow"
    return DataflowSite("project-x", "europe-west3", uri, "worker:1", package=str(package), endpoint=service.endpoint)


def test_graph_and_package_are_staged_in_the_bucket_and_the_graph_runs_from_there(staging, service, site):
    def work(job):
        address = options_sent(job)["pipelineUrl"]
        assert address.startswith(f"gs://{BUCKET}/dataflow/staging/{NAME}.")
        run_graph(job, (staging / address.removeprefix(f"gs://{BUCKET}/")).read_bytes())

    service.made = work
    assert DataflowEngine(site=site, progress_s=0.05).run(pipeline_over("a", "bb"), name=NAME) == {"seen": 2}
    staged = {path.name: path.read_bytes() for path in staging.rglob("*") if path.is_file()}
    assert staged["gradient_assets-1.0-py3-none-any.whl"] == b"PK of the package"
    assert "pipeline.pb" in staged
    (job,) = service.jobs.values()
    (pool,) = job.body["environment"]["workerPools"]
    assert all(one["location"].startswith(f"storage.googleapis.com/{BUCKET}/") for one in pool["packages"])


def test_a_bucket_that_is_not_there_is_told_before_a_job_is_made(service, site):
    from dataclasses import replace

    elsewhere = replace(site, staging="gs://nowhere/dataflow")
    with pytest.raises(PipelineFailed, match="not accepted by Dataflow") as caught:
        DataflowEngine(site=elsewhere, progress_s=0.05).run(pipeline_over("a"), name=NAME)
    assert caught.value.__context__ is None
    assert service.kinds["create"] == 0
