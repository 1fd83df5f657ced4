"""What a run really leaves behind the boundary: Dagster's events, tags and metadata, object keys; nothing is off the lists.

The lists themselves are compared with the code in `tests/unit/core/test_crossing.py`.
"""

from collections.abc import Iterator

import dagster as dg
import pytest

from gradient_assets import boundary
from gradient_assets.tables import BY_NAME
from tests.graph.outputs import IDENTIFIED

pytestmark = pytest.mark.xdist_group("platform")

PLACES = {
    "deidentified/thumbnails": "thumbnails",
    "deidentified/warehouse": "warehouse",
    "public/releases": "releases",
    "public/warehouse": "warehouse",
}
"""Folder of the home → the place whose forms its keys have."""

BESIDE_THE_ZONES = ("dagster", "hospitals.yaml", "sample-hospitals")
"""What a home holds beside its zones: Dagster's storage (looked at below), the registry, the demonstration's recipe."""


def events(instance: dg.DagsterInstance) -> Iterator[dg.DagsterEvent]:
    for run in instance.get_runs():
        for entry in instance.all_logs(run.run_id):
            if entry.dagster_event is not None:
                yield entry.dagster_event


def off(names, *lists) -> set[str]:
    """Names that none of the lists has, whole or by a beginning that ends in `/`."""
    listed = {one for each in lists for one in each}
    return {
        name for name in names if name not in listed and not name.startswith(tuple(o for o in listed if o[-1] == "/"))
    }


def metadata_of(event: dg.DagsterEvent) -> dict[str, object]:
    """Of a materialization, an observation or the outcome of a check."""
    kept = event.event_specific_data
    if event.event_type_value == "ASSET_CHECK_EVALUATION":
        return dict(kept.metadata)
    of_asset = getattr(kept, "materialization", None) or getattr(kept, "asset_observation", None)
    return dict(of_asset.metadata) if of_asset is not None else {}


def texts_of(value: object) -> str:
    """What a metadata value holds, whatever its kind."""
    return str(getattr(value, "value", value))


@pytest.fixture(scope="module")
def instance(demo):
    with dg.DagsterInstance.from_config(str(demo.path / "dagster")) as opened:
        yield opened


def test_metadata_of_assets_and_checks_has_listed_names(instance):
    seen = [name for event in events(instance) for name in metadata_of(event)]
    assert len(set(seen)) > 20
    assert off(seen, boundary.ASSET_METADATA) == set()


def test_tags_of_runs_and_events_have_listed_names(instance):
    tags = [tag for run in instance.get_runs() for tag in run.tags]
    assert tags
    assert off(tags, boundary.RUN_TAGS, boundary.DAGSTER_RUN_TAGS) == set()
    of_assets = [
        tag
        for event in events(instance)
        for asset in [getattr(event.event_specific_data, "materialization", None)]
        for tag in (asset.tags if asset is not None else None) or {}
    ]
    assert of_assets
    assert off(of_assets, boundary.ASSET_TAGS) == set()


def test_the_event_log_holds_addresses_of_pictures_and_no_picture(demo, instance):
    kept = [(name, texts_of(value)) for event in events(instance) for name, value in metadata_of(event).items()]
    assert not [name for name, text in kept if "data:image" in text or "base64" in text]
    sheets = {text for name, text in kept if name == "gradient/contact_sheet"}
    there = demo.resources.thumbnails.listing("contact_sheets/")
    assert sheets == {f"{demo.resources.thumbnails.uri}/{sheet.key}" for sheet in there}


def test_keys_of_objects_have_listed_forms(demo):
    seen = 0
    for folder, place in PLACES.items():
        forms = [form for form in boundary.OBJECT_KEYS if form.place == place]
        for path in (demo.path / folder).rglob("*"):
            key = str(path.relative_to(demo.path / folder))
            seen += path.is_file()
            assert path.is_dir() or any(form.fits(key) for form in forms), f"{folder}: a key of no listed form"
    assert seen > 60


def test_each_form_of_a_key_that_the_demonstration_can_have_occurs(demo):
    keys = {str(path.relative_to(demo.path / folder)) for folder in PLACES for path in (demo.path / folder).rglob("*")}
    without = {form.what for form in boundary.OBJECT_KEYS if not any(form.fits(key) for key in keys)}
    assert without <= {"an object that waits for approval", "what approvers read"}, "delivered, so that nothing waits"


def test_a_home_holds_zones_and_nothing_else(demo):
    found = {path.name for path in demo.path.iterdir()}
    assert found - {*IDENTIFIED, "deidentified", "public", *BESIDE_THE_ZONES} == set()
    for zone in ("deidentified", "public"):
        places = {f"{zone}/{path.name}" for path in (demo.path / zone).iterdir()}
        assert places - set(PLACES) <= {f"{zone}/staging"}
        assert not [path for path in (demo.path / zone / "staging").rglob("*") if path.is_file()]


def test_tables_behind_the_boundary_are_those_of_the_specifications(demo):
    tables = {
        f"{zone}.{path.name}"
        for zone in ("deidentified", "public")
        for path in (demo.path / zone / "warehouse").iterdir()
    }
    assert tables <= {name for name, spec in BY_NAME.items() if spec.zone != "identified"}


def test_dagster_keeps_no_output_of_a_step(demo):
    """Steps hand on nothing through Dagster's storage: what they made lies in the zones."""
    kept = [path for path in (demo.path / "dagster/storage").rglob("*") if path.is_file()]
    assert all(path.suffix in (".err", ".out", ".complete") and path.stat().st_size < 1_000 for path in kept)
