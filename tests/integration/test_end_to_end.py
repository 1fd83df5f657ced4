"""Three hospitals on S3, tables in BigQuery, Flink as the engine, keys in a secret manager: the same as on one machine.

The commands are run as a user would type them, with what `gradient dev up` says to export.  What they leave is compared with
a run of the embedded default under the same keys.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google
from PIL import Image

from gradient_assets.cli.demo import APPROVER, AUTHOR, DEMO_RELEASE
from gradient_assets.deid.headers import read_dataset
from gradient_assets.deid.pixels import decode_frames
from gradient_assets.dev.network import OWN_BUCKETS, SECRET_PREFIX, Network
from gradient_assets.dev.stand import merged
from gradient_assets.samples import read_planted
from gradient_assets.tables import ALL_TABLES, RELEASE_MANIFEST
from resources import Settings, resources_for
from resources.buckets.object_store import AccessDenied, Bucket, BucketAddress
from tests.graph.outputs import found
from tests.integration.both_ways import Renaming, rows_of

pytestmark = pytest.mark.timeout(3600)

ROOT = Path(__file__).parents[2]
HOSPITALS = ("st-mary", "lakeside", "harbor-clinic")
STAGES = ("dicom-metadata", "identified-reports", "deidentified-metadata", "deidentified-reports", "thumbnails")
RECIPIENT = "recipient/demo-university"
DELIVERED = f"{DEMO_RELEASE.recipient}/{DEMO_RELEASE.name}"
OF_THE_PLATFORM = ("GRADIENT_", "DAGSTER_", "AWS_", "GOOGLE_")


@dataclass(frozen=True)
class Run:
    """One way of running the platform, as its environment says."""

    exports: dict[str, str]

    def gradient(self, *arguments):
        """Run the command as a user would; returns what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_PLATFORM)}
        done = subprocess.run(
            [sys.executable, "-m", "gradient_assets", *arguments],
            env={**kept, **self.exports, "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def home(self):
        return Path(self.exports["GRADIENT_HOME"])

    @cached_property
    def resources(self):
        return resources_for(Settings.from_environment(self.exports))

    @cached_property
    def tables(self):
        """The rows of every table."""
        return {spec.full_name: rows_of(self.resources.warehouse, spec) for spec in ALL_TABLES}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """The home that `gradient demo` leaves."""
    run = Run({"GRADIENT_HOME": str(tmp_path_factory.mktemp("embedded"))})
    run.gradient("demo")
    return run


@dataclass(frozen=True)
class Networked(Run):
    """The run on real parts, with them, and what its commands printed."""

    network: Network
    parts: tuple
    printed: str
    begun: float
    """Seconds since the epoch."""

    @property
    def client(self):
        """Google's own client, to see what the platform's own does not show."""
        options = ClientOptions(api_endpoint=self.exports["GRADIENT_BIGQUERY_ENDPOINT"])
        return google.Client(self.exports["GRADIENT_GCP_PROJECT"], AnonymousCredentials(), client_options=options)


@pytest.fixture(scope="module")
def networked(embedded, s3, amazon, bigquery, flink_cluster, tmp_path_factory):
    """From landing to a delivered release, on the stand, under the keys of the embedded run."""
    network = Network(s3, amazon, tmp_path_factory.mktemp("network"))
    network.furnish()
    for name in (*(f"hospital/{hospital}" for hospital in HOSPITALS), RECIPIENT):
        key = embedded.resources.vault.key(name).to_text()
        amazon.client("secretsmanager").create_secret(Name=SECRET_PREFIX + name, SecretString=key)
    parts = (s3, amazon, bigquery, flink_cluster, network)
    told = {part.name: {"version": "", "folder": "", "exports": part.exports()} for part in parts}
    # The emulator is shared with other tests.
    run = Run({**merged(told), "GRADIENT_DATASET_PREFIX": "network_"})
    begun = time.time()
    release, condition = DEMO_RELEASE.name, DEMO_RELEASE.condition
    printed = [
        run.gradient("doctor", "--mend"),
        run.gradient("run"),
        run.gradient("release", release, "--recipient", DEMO_RELEASE.recipient, "--where", condition, "--by", AUTHOR),
        run.gradient("approve", release, "--by", APPROVER),
        run.gradient("deliver", release),
    ]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in run.exports.items():
            if name.startswith("AWS_"):  # what opens the secret manager is no setting of the platform's
                environment.setenv(name, value)
        yield Networked(run.exports, network, parts, "\n".join(printed), begun)


def test_every_table_has_the_same_rows(embedded, networked):
    renaming = Renaming()
    pairs = {name: (embedded.tables[name], networked.tables[name]) for name in embedded.tables}
    for first, second in pairs.values():
        renaming.learn(first, second)
    assert renaming.is_one_to_one
    different = {name: renaming.differences(*pair) for name, pair in pairs.items()}
    assert {name: list(rows)[:4] for name, rows in different.items() if rows} == {}
    assert sum(len(first) for first, _ in pairs.values()) > 1000, "there was something to compare"


def objects_in(bucket):
    return {stat.key: bucket.get(stat.key) for stat in bucket.listing()}


def pixels(content):
    with Image.open(io.BytesIO(content)) as picture:
        return picture.mode, picture.size, hashlib.sha256(picture.tobytes()).hexdigest()


def frames(content):
    dataset = read_dataset(content)
    if "PixelData" not in dataset:
        return []
    return [hashlib.sha256(np.asarray(frame).tobytes()).hexdigest() for frame in decode_frames(dataset)]


def test_every_thumbnail_has_the_same_pixels(embedded, networked):
    ours, theirs = (objects_in(run.resources.thumbnails) for run in (embedded, networked))
    assert {key: pixels(content) for key, content in theirs.items()} == {
        key: pixels(content) for key, content in ours.items()
    }
    assert {key.partition("/")[0] for key in ours} == {*HOSPITALS, "contact_sheets"}


def test_every_delivered_object_is_the_same(embedded, networked):
    ours, theirs = (objects_in(run.resources.releases.under(DELIVERED)) for run in (embedded, networked))
    assert ours.keys() == theirs.keys()
    dicoms = [key for key in ours if key.startswith("dicom/")]
    assert len(dicoms) == len(embedded.tables[RELEASE_MANIFEST.full_name]) > 10
    assert sum(bool(frames(ours[key])) for key in dicoms) > 10, "there were pixels to compare"
    for key in dicoms:
        assert frames(theirs[key]) == frames(ours[key]), key
        assert theirs[key] == ours[key], key
    assert theirs["manifest.csv"] == ours["manifest.csv"]


def test_nothing_waits_in_the_network_that_does_not_wait_on_one_machine(embedded, networked):
    ours, theirs = ({stat.key for stat in run.resources.releases.listing()} for run in (embedded, networked))
    assert theirs == ours
    staging = Path(networked.exports["GRADIENT_STAGING_URI"].removeprefix("file://"))
    assert [path for path in staging.rglob("*") if path.is_file()] == []


def test_flink_did_every_stage_of_every_hospital(networked):
    flink = next(part for part in networked.parts if part.name == "flink-cluster")
    with urllib.request.urlopen(f"http://{flink.master}/jobs/overview", timeout=10) as answer:
        jobs = json.load(answer)["jobs"]
    # The cluster is shared with tests that end jobs otherwise.
    own = {job["name"]: job["state"] for job in jobs if job["start-time"] >= networked.begun * 1000}
    expected = {f"{stage}-{hospital}" for stage in STAGES for hospital in HOSPITALS} | {
        f"release-dicoms-{DEMO_RELEASE.name}"
    }
    assert own == dict.fromkeys(expected, "FINISHED")


def planted(networked):
    return {one.value for one in read_planted(networked.network.samples) if not one.ambiguous}


def rows_in(networked, *zones):
    """Every table of the zones' datasets as text, also those that only passed through."""
    texts = {}
    for zone in zones:
        for table in networked.client.list_tables(f"network_{zone}"):
            rows = networked.client.list_rows(table.reference)
            texts[f"{zone}.{table.table_id}"] = "\n".join(str(value) for row in rows for value in row).encode()
    return texts


def test_planted_identifiers_occur_nowhere_outside_the_identified_zone(networked, tmp_path):
    flink = next(part for part in networked.parts if part.name == "flink-cluster")
    looked_at = {"what was printed": networked.printed.encode()}
    looked_at |= rows_in(networked, "deidentified", "public")
    for bucket in (networked.resources.thumbnails, networked.resources.releases):
        for key, content in objects_in(bucket).items():
            looked_at |= {f"{bucket.uri} key": key.encode(), f"{bucket.uri}/{key}": content}
    logs = {path.name: path.read_bytes() for path in flink.folder.glob("*.log")}
    assert {"job-manager.log", "task-manager-1.log", "task-manager-2.log", "job-server.log"} <= logs.keys()
    assert found(networked.home, planted(networked), looked_at | logs) == {}


def test_the_search_sees_planted_identifiers_where_they_may_be(networked, tmp_path):
    hits = found(tmp_path, planted(networked), rows_in(networked, "identified"))
    assert {"identified.dicom_metadata", "identified.identified_reports"} <= hits.keys()


def test_keys_come_from_the_secret_manager_alone(networked):
    assert list(networked.home.rglob("*.key")) == []
    assert not (networked.home / "identified" / "secrets").exists()


@pytest.mark.parametrize("zone", ["deidentified", "public"])
def test_a_zones_identity_does_not_reach_behind_it(networked, zone):
    exports = networked.exports
    identities = Settings.from_environment(exports).identities(zone)

    def opened(uri):
        where = {"endpoint": exports["GRADIENT_S3_ENDPOINT"], "region": exports["GRADIENT_AWS_REGION"]}
        return Bucket(BucketAddress(uri, identities=identities, **where), networked.resources.vault)

    for behind in (*(f"s3://{hospital}-landing" for hospital in HOSPITALS), "s3://gradient-identified"):
        with pytest.raises(AccessDenied):
            opened(behind).get("x")
    own = next(name for name, (owner, _) in OWN_BUCKETS.items() if owner == zone)
    assert list(opened(exports[own]).listing())
