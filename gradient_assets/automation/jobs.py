"""What is started together: everything of one hospital, everything of one release up to its report, and a delivery.

Belongs here: job names and their selections.
"""

from __future__ import annotations

import dagster as dg

from gradient_assets.assets.catalogue import ENTRIES

HOSPITAL_JOB = "hospital"
RELEASE_JOB = "release"
DELIVERY_JOB = "deliver"

LANDING_ASSETS = tuple(entry.key for entry in ENTRIES if entry.group == "landing")
DELIVERY_ASSETS = ("release_delivery",)
RELEASE_ASSETS = tuple(
    entry.key for entry in ENTRIES if entry.key.startswith("release_") and entry.key not in DELIVERY_ASSETS
)
HOSPITAL_ASSETS = tuple(
    entry.key for entry in ENTRIES if entry.key not in (*RELEASE_ASSETS, *DELIVERY_ASSETS, *LANDING_ASSETS)
)

MADE_TOGETHER = frozenset({"thumbnails", "pixel_text"})
"""One step makes both; Dagster refuses a run of one of them."""


def all_jobs() -> list[dg.UnresolvedAssetJobDefinition]:
    """The three jobs.  Blocking checks run with their assets."""
    in_process = dg.in_process_executor
    return [
        dg.define_asset_job(
            HOSPITAL_JOB,
            selection=dg.AssetSelection.assets(*HOSPITAL_ASSETS),
            executor_def=in_process,
            description="All assets of one hospital, from its buckets to its rows of public_table.",
        ),
        dg.define_asset_job(
            RELEASE_JOB,
            selection=dg.AssetSelection.assets(*RELEASE_ASSETS),
            executor_def=in_process,
            description="One release: clean the cohort's originals for the recipient, check, report. Nothing is delivered.",
        ),
        dg.define_asset_job(
            DELIVERY_JOB,
            selection=dg.AssetSelection.assets(*DELIVERY_ASSETS),
            executor_def=in_process,
            description="Deliver one release that was approved as it is.",
        ),
    ]
