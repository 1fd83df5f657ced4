"""The graph as it is put together: every asset of the diagram, with all that its page shows."""

import os
import re
import subprocess
import sys

import dagster as dg
import pytest
import yaml

from gradient_assets.assets.catalogue import ENTRIES
from gradient_assets.assets.passed import BLOCKING_CHECKS
from gradient_assets.automation.jobs import HOSPITAL_ASSETS
from gradient_assets.boundary import ASSET_METADATA, RUN_TAGS
from gradient_assets.cli.run import with_their_twins
from gradient_assets.definitions import build_defs
from gradient_assets.instance import DAGSTER_YAML
from tests.graph.conftest import ROOT

REGISTRY = {
    "hospitals": [
        {
            "id": name,
            "number": number,
            "buckets": {"dicoms": f"landing/{name}/dicoms", "reports": f"landing/{name}/reports"},
            "report_columns": {"report_id": "id", "text": "text"},
            "date_order": "mdy",
            "timezone": "UTC",
            "profile": "longitudinal",
            "secret_name": f"hospital/{name}",
        }
        for number, name in enumerate(("st-mary", "lakeside"), start=1)
    ]
}

LINEAGE = {
    "hospital_dicoms": set(),
    "hospital_reports": set(),
    "dicom_metadata": {"hospital_dicoms"},
    "identified_reports": {"hospital_reports"},
    "crosswalk": {"dicom_metadata", "identified_reports"},
    "deidentified_metadata": {"dicom_metadata", "identified_reports"},
    "deidentified_reports": {"dicom_metadata", "identified_reports"},
    "thumbnails": {"hospital_dicoms", "dicom_metadata", "deidentified_metadata"},
    "pixel_text": {"hospital_dicoms", "dicom_metadata", "deidentified_metadata"},
    "quarantine": {
        "dicom_metadata",
        "identified_reports",
        "deidentified_metadata",
        "deidentified_reports",
        "thumbnails",
    },
    "final_table": {"deidentified_metadata", "deidentified_reports", "thumbnails", "pixel_text"},
    "prod": {"final_table"},
    "public_table": {"prod"},
    "release_dicoms": {"hospital_dicoms", "prod"},
    "release_manifest": {"hospital_dicoms", "prod"},
    "release_report": {"release_dicoms", "release_manifest"},
    "release_delivery": {"release_report"},
}


@pytest.fixture(scope="module")
def defs(tmp_path_factory) -> dg.Definitions:
    home = tmp_path_factory.mktemp("home")
    (home / "hospitals.yaml").write_text(yaml.safe_dump(REGISTRY))
    return build_defs({"GRADIENT_HOME": str(home)})


@pytest.fixture(scope="module")
def graph(defs):
    dg.Definitions.validate_loadable(defs)
    return defs.resolve_asset_graph()


@pytest.fixture(scope="module")
def nodes(graph):
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def test_the_lineage_is_the_diagram(nodes):
    assert {name: {key.to_user_string() for key in node.parent_keys} for name, node in nodes.items()} == LINEAGE


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.key for entry in ENTRIES])
def test_an_assets_page_shows_what_the_catalogue_says(nodes, entry):
    node = nodes[entry.key]
    assert node.group_name == entry.group
    assert node.tags["zone"] == entry.zone
    assert node.kinds == entry.kinds
    assert list(node.owners) == list(entry.owners)
    for heading in ("One row or object", "Who may read it", "How to repair it"):
        assert heading in node.description
    assert node.metadata["dagster/uri"]
    assert set(node.metadata) <= set(ASSET_METADATA)
    if entry.table is not None:
        schema = node.metadata["dagster/column_schema"]
        assert [(c.name, c.type) for c in schema.columns] == [(c.name, c.type) for c in entry.table.columns]


def test_landing_assets_are_external_and_all_others_have_code_versions(nodes):
    external = {name for name, node in nodes.items() if not node.is_materializable}
    assert external == {"hospital_dicoms", "hospital_reports"}
    assert {name for name, node in nodes.items() if not node.code_version} == external


def test_partitions_are_hospitals_and_releases(nodes):
    for name, node in nodes.items():
        if name.startswith("release_"):
            assert isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
        else:
            assert node.partitions_def.get_partition_keys() == ["st-mary", "lakeside"]


def test_every_asset_behind_the_boundary_has_a_blocking_check(graph, defs):
    behind = {entry.key for entry in ENTRIES if entry.zone != "identified"}
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys if key.name == "no_known_identifier"}
    assert checked == behind
    blocking = {
        spec.asset_key.to_user_string() for checks in defs.asset_checks for spec in checks.check_specs if spec.blocking
    }
    assert blocking == behind


@pytest.mark.parametrize("asset", HOSPITAL_ASSETS)
def test_whatever_is_selected_alone_comes_with_what_the_same_step_makes(graph, asset):
    together = graph.get(dg.AssetKey(asset)).execution_set_asset_keys
    assert with_their_twins([asset]) == sorted(key.to_user_string() for key in together)


def test_sql_assets_show_column_lineage(nodes):
    for name in ("quarantine", "final_table", "prod", "public_table"):
        lineage = nodes[name].metadata["dagster/column_lineage"]
        assert lineage.deps_by_column
        assert "| column | made of |" in nodes[name].metadata["gradient/column_lineage"].value
    final = nodes["final_table"].metadata["dagster/column_lineage"].deps_by_column
    assert {dep.asset_key.to_user_string() for dep in final["report_text"]} == {"deidentified_reports"}


def test_each_hospital_has_its_sensor_and_one_makes_again_what_follows_a_change(defs):
    assert {sensor.name for sensor in defs.sensors} == {"arrival_st_mary", "arrival_lakeside", "remaking"}
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in defs.sensors)
    assert all(sensor.description for sensor in defs.sensors)


def test_what_is_made_again_by_itself_is_put_together_from_cleaned_tables_alone(nodes):
    by_itself = {name for name, node in nodes.items() if node.automation_condition is not None}
    assert by_itself == {"final_table", "prod", "public_table"}


def test_what_stops_an_asset_that_is_made_alone_are_the_graphs_blocking_checks(graph):
    blocking: dict[str, set[str]] = {}
    for key in graph.asset_check_keys:
        if graph.get(key).blocking:
            blocking.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    asked = {asset: set(names) for asset, names in BLOCKING_CHECKS.items()}
    assert asked == {asset: blocking[asset] for asset in LINEAGE["final_table"] | {"final_table", "prod"}}


def test_dagster_loads_the_workspace(tmp_path):
    (tmp_path / "hospitals.yaml").write_text(yaml.safe_dump(REGISTRY))
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")]
    environ = {**os.environ, "GRADIENT_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr


def test_dagster_yaml_at_the_top_is_the_one_that_the_command_writes():
    assert (ROOT / "dagster.yaml").read_text() == DAGSTER_YAML


def test_the_platforms_run_tags_are_on_the_boundarys_list():
    sources = [ROOT / f"gradient_assets/{name}.py" for name in ("automation/arrival", "deployment/launching")]
    assert {tag for path in sources for tag in re.findall(r'"(gradient/[a-z_]+)"', path.read_text())} == set(RUN_TAGS)
