"""A BigQuery emulator on this machine.

Belongs here: starting it, with `bigquery_front` before it, which says in other words what it does not understand.  It is
DuckDB and sqlglot inside, so that it says nothing about the dialect; that is for Google's own analyzer in the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gradient_assets.dev.part import Part
from gradient_assets.dev.recipes import PythonPrograms, Recipe
from gradient_assets.dev.server import Server, answers, free_port, from_this_checkout

EMULATOR = PythonPrograms(
    "bqemulator",
    (
        "bqemulator==1.4.0",
        "duckdb==1.5.5",
        "duckdb-extensions==1.5.5",
        "duckdb-extension-spatial==1.5.5",
        "numpy==2.4.6",
    ),
    # Without it the emulator's first start tries to download the extension.
    then="import duckdb_extensions; duckdb_extensions.import_extension('spatial')",
)
PROJECT = "gradient-stand"
START_DEADLINE_S = 120.0


class BigQuery(Part):
    """bqemulator: BigQuery's REST interface over DuckDB."""

    name: ClassVar[str] = "bigquery"
    recipes: ClassVar[Sequence[Recipe]] = (EMULATOR,)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.endpoint = ""
        """The emulator itself."""
        self.front = ""
        """What takes requests as BigQuery does."""
        self.buckets = self.folder / "buckets"
        """Where it finds `gs://` objects of load jobs: the folder of a `stores.Gcs`, or any other one."""

    def _start(self) -> None:
        rest, grpc, front = free_port(), free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{rest}"
        self.front = f"http://127.0.0.1:{front}"
        self.serve(
            Server(
                [EMULATOR.place() / "bin" / "python", "-m", "bqemulator", "start"],
                log=self.log("bigquery"),
                healthy=lambda: answers(f"{self.endpoint}/readyz"),
                deadline_s=START_DEADLINE_S,
                environment={
                    "BQEMU_REST_PORT": str(rest),
                    "BQEMU_GRPC_PORT": str(grpc),
                    "BQEMU_DEFAULT_PROJECT_ID": PROJECT,
                    "BQEMU_GCS_LOCAL_ROOT": str(self.buckets),
                },
            )
        )
        self.serve(
            Server(
                [sys.executable, "-m", "gradient_assets.dev.bigquery_front", str(front), str(rest)],
                log=self.log("front"),
                healthy=lambda: answers(f"{self.front}/readyz"),
                deadline_s=START_DEADLINE_S,
                environment=from_this_checkout(),
            )
        )

    def exports(self) -> dict[str, str]:
        return {
            "GRADIENT_WAREHOUSE": "bigquery",
            "GRADIENT_BIGQUERY_ENDPOINT": self.front,
            "GRADIENT_GCP_PROJECT": PROJECT,
            # A folder: the GCS server takes no object from the library that the platform writes with.
            "GRADIENT_STAGING_URI": (self.folder / "staging").as_uri(),
        }
