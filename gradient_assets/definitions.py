"""The one place where the graph is put together.

Belongs here: `build_defs`, which joins the registry, the resources and all assets, checks, jobs and sensors; tests pass
overrides instead of patching.  `defs` is what `workspace.yaml` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import dagster as dg

from gradient_assets.assets import deidentified, identified, landing, public
from gradient_assets.assets.catalogue import Entry, attach
from gradient_assets.automation.arrival import arrival_sensors
from gradient_assets.automation.jobs import all_jobs
from gradient_assets.automation.remaking import remaking, remaking_sensor
from gradient_assets.checks import all_checks
from gradient_assets.hospitals import Registry, home_path, load_registry, registry_path
from gradient_assets.silence import fall_silent
from resources import Resources, Settings, resources_for

ASSETS = (
    landing.hospital_dicoms,
    landing.hospital_reports,
    identified.dicom_metadata,
    identified.identified_reports,
    identified.crosswalk,
    identified.quarantine,
    deidentified.deidentified_metadata,
    deidentified.deidentified_reports,
    deidentified.thumbnails,
    deidentified.final_table,
    deidentified.prod,
    public.public_table,
    public.release_dicoms,
    public.release_report,
    public.release_delivery,
)
"""Every asset, in the order of the diagram."""


def build_defs(
    environ: Mapping[str, str] = os.environ,
    *,
    registry: Registry | None = None,
    resource_overrides: Mapping[str, object] | None = None,
) -> dg.Definitions:
    """The whole graph for one environment.

    Raises `RegistryError` when the registry can't be used.  Nothing is opened here: buckets, warehouse and keys are
    reached when a run needs them.
    """
    registry = registry or load_registry(registry_path(environ), home=home_path(environ))
    resources = resources_for(Settings.from_environment(environ))
    hospitals = dg.StaticPartitionsDefinition(registry.ids)
    described = dg.map_asset_specs(attach(hospitals, lambda entry: uri_of(entry, resources)), ASSETS)
    return dg.Definitions(
        assets=list(dg.map_asset_specs(remaking, described)),
        asset_checks=all_checks(hospitals),
        jobs=all_jobs(),
        sensors=[*arrival_sensors(registry), remaking_sensor()],
        resources={"registry": registry, "resources": resources, **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


def uri_of(entry: Entry, resources: Resources) -> str:
    """Where an asset lies, for `dagster/uri`.  A landing bucket's address differs by hospital: the registry names it."""
    if entry.table is not None:
        return resources.warehouse.location(entry.table)
    match entry.bucket:
        case "thumbnails":
            return resources.thumbnails.uri
        case "releases":
            return resources.releases.uri
        case _:
            return f"hospitals.yaml#buckets.{entry.bucket}"


@dg.definitions
def defs() -> dg.Definitions:
    """The graph of this process's environment; put together when Dagster asks, not when this module is imported."""
    fall_silent(home_path())
    return build_defs()
