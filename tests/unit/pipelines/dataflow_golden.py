"""What a stage's job on Dataflow consists of, as it is sent: the golden file `dataflow_job.json`, and how it is made.

`python -m tests.unit.pipelines.dataflow_golden` writes it anew; look at the difference before it is committed.  Left out
are ids, times, this machine's paths, pickled code (which differs between builds) and options that have Beam's defaults.
"""

import json
import re
import tempfile
from pathlib import Path

from gradient_assets.deid.headers import Profile
from gradient_assets.pipelines import beam_stage
from gradient_assets.pipelines.metadata import CleanHeaders
from gradient_assets.pipelines.shards import StagingPlace
from resources.buckets.object_store import Bucket, BucketAddress
from resources.engines.dataflow import DataflowEngine, DataflowSite
from tests.fakes.dataflow_rest import DataflowRest, options_sent, staged_graph
from tests.fakes.small_home import SmallHome

GOLDEN = Path(__file__).with_name("dataflow_job.json")
_UNNUMBERED = re.compile(r"^\d+")
_IDS = re.compile(r"[0-9a-f]{16,}")


def sent(folder: Path):
    """The job of a stage over a small hospital, as the service gets it, and the home that it is of."""
    home = SmallHome.build(folder / "home", with_thumbnails=False)
    bucket = Bucket(BucketAddress(str(folder / "place")))
    place = StagingPlace(bucket, bucket.uri)
    step = CleanHeaders(home.hospital, Profile.named("longitudinal"), home.identity)
    plan = beam_stage.StagePlan(step, {"st-mary": home.hospital}, {"identified": place}, processes=1, tells=True)
    for name in ("staging", "temp"):
        (folder / name).mkdir()
    with DataflowRest() as service:
        service.made = lambda job: setattr(job, "states", ["DONE"])
        site = DataflowSite(
            "project-x",
            "europe-west3",
            str(folder),
            "europe-docker.pkg.dev/project-x/gradient/worker:1",
            subnetwork="regions/europe-west3/subnetworks/workers",
            service_account="workers@project-x.iam.gserviceaccount.com",
            labels=("team=imaging",),
            endpoint=service.endpoint,
        )
        engine = DataflowEngine(site=site, progress_s=0.01)
        engine.run(
            beam_stage.build(plan, ["work-000000.jsonl", "work-000001.jsonl"]),
            name=f"{step.stage.replace('_', '-')}-st-mary",
            attach="the same work",
        )
        (job,) = service.jobs.values()
        return home, job, service


def normal(job, folder: Path):
    """The job without what differs from one submission to the next."""
    environment = job.body["environment"]
    pool = environment["workerPools"][0]
    pool = {name: value for name, value in pool.items() if name not in ("taskrunnerSettings", "packages", "kind")}
    for image in pool["sdkHarnessContainerImages"]:
        image["capabilities"] = "left out"
    plain = {
        "name": job.name,
        "labels": job.labels,
        "type": job.body["type"],
        "serviceAccountEmail": environment["serviceAccountEmail"],
        "experiments": environment["experiments"],
        "workerPool": pool,
        "packages": [one["name"] for one in environment["workerPools"][0].get("packages", [])],
        "options": _own_options(options_sent(job)),
        "graph": _graph(staged_graph(job)),
    }
    text = json.dumps(plain, indent=1, sort_keys=True).replace(str(folder), "STAGING")
    return json.loads(re.sub(r"localhost:\d+", "localhost:PORT", _IDS.sub("ID", text)))


def _own_options(options):
    from apache_beam.options.pipeline_options import PipelineOptions

    usual = PipelineOptions([]).get_all_options()
    left_out = ("pipelineUrl", "pipelineProtoHash", "beam_plugins", "experiments", "gcp_oauth_scopes", "display_data")
    return {name: value for name, value in options.items() if name not in left_out and value != usual.get(name)}


def _graph(graph):
    parts = graph.components
    return {
        "roots": [parts.transforms[name].unique_name for name in graph.root_transform_ids],
        "transforms": {
            one.unique_name: {
                "urn": one.spec.urn,
                "takes": sorted(
                    _UNNUMBERED.sub("", parts.pcollections[name].unique_name) for name in one.inputs.values()
                ),
                "gives": sorted(
                    _UNNUMBERED.sub("", parts.pcollections[name].unique_name) for name in one.outputs.values()
                ),
                "shown": sorted(data.urn for data in one.display_data),
            }
            for one in parts.transforms.values()
        },
        "coders": sorted({one.spec.urn for one in parts.coders.values()}),
        "requirements": sorted(graph.requirements),
    }


def main():
    with tempfile.TemporaryDirectory() as folder:
        _, job, _ = sent(Path(folder))
        GOLDEN.write_text(json.dumps(normal(job, Path(folder)), indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
