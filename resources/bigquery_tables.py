"""Requests to BigQuery: datasets, tables, load jobs, query jobs, each job under an id that is known beforehand.

Belongs here: what is sent, and what happens when a job of that id is there already.  Which rows are to stand in a partition
is `bigquery`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from gradient_assets.tables import TableSpec
from resources.credentials import Identity, google_credentials, serving
from resources.errors import WarehouseError
from resources.vault import Vault

JOB_DEADLINE_S = 3600.0
LARGEST_NUMBER = 4000
"""BigQuery allows 4,000 partitions of a table to be touched by one job; the registry's numbers stay below."""


def quoted(name: str) -> str:
    """A column's name in backquotes."""
    return f"`{name}`"


def table_schema(spec: TableSpec) -> list[Any]:
    """The table's columns as BigQuery's fields, with their descriptions."""
    from google.cloud.bigquery import SchemaField

    return [
        SchemaField(c.name, c.type, mode="REQUIRED" if c.required else "NULLABLE", description=c.description[:1024])
        for c in spec.columns
    ]


class BigQueryTables:
    """The tables of one project.  Picklable: a zone's client is opened at first use in each process."""

    def __init__(
        self,
        project: str,
        location: str,
        prefix: str,
        endpoint: str | None,
        client: Any = None,
        *,
        identities: Mapping[str, tuple[Identity, ...]] | None = None,
        vault: Vault | None = None,
    ) -> None:
        self._project = project
        self._location = location
        self._prefix = prefix
        self._endpoint = endpoint
        self._given_client = client
        self._identities = dict(identities or {})
        self._vault = vault
        self._clients: dict[str, Any] = {}
        self._ensured: set[str] = set()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_clients": {}, "_ensured": set()}

    def plain_name(self, spec: TableSpec) -> str:
        """`project.dataset.table`."""
        return f"{self._dataset(spec.zone)}.{spec.name}"

    def name(self, spec: TableSpec) -> str:
        """The table's name in a statement."""
        return f"`{self.plain_name(spec)}`"

    def ensure(self, spec: TableSpec) -> str:
        """Make the table if it is not there, add columns that it has not; returns its name in a statement."""
        if spec.full_name in self._ensured:
            return self.name(spec)
        from google.api_core.exceptions import Forbidden
        from google.cloud import bigquery

        client = self._open(spec.zone)
        dataset = bigquery.Dataset(self._dataset(spec.zone))
        dataset.location = self._location
        # An identity of one zone may not make datasets (`deploy/`); one that is missing is told when its table is made.
        with suppress(Forbidden):
            client.create_dataset(dataset, exists_ok=True)
        table = bigquery.Table(self.plain_name(spec), schema=table_schema(spec))
        table.description = spec.description
        if spec.partitioned_by == "hospital":
            table.range_partitioning = bigquery.RangePartitioning(
                range_=bigquery.PartitionRange(start=0, end=LARGEST_NUMBER, interval=1), field="hospital_number"
            )
        # BigQuery takes four columns to cluster by.
        table.clustering_fields = list(spec.cluster_by[:4]) or None
        found = client.create_table(table, exists_ok=True)
        held = {field.name for field in found.schema}
        # A column that came later can't be required: the old rows have no value in it.
        added = [bigquery.SchemaField(f.name, f.field_type) for f in table.schema if f.name not in held]
        if added:
            found.schema = [*found.schema, *added]
            client.update_table(found, ["schema"])
        self._ensured.add(spec.full_name)
        return self.name(spec)

    def state(self, specs: Sequence[TableSpec]) -> str:
        """The etags of those tables that this object has used: they change with every write."""
        used = [spec for spec in specs if spec.full_name in self._ensured]
        return ",".join(
            f"{spec.full_name}={self._open(spec.zone).get_table(self.plain_name(spec)).etag}" for spec in used
        )

    def delete(self, spec: TableSpec, partition: str) -> None:
        """Delete the partition `$N`; one that is not there is no error."""
        self._open(spec.zone).delete_table(f"{self.plain_name(spec)}{partition}", not_found_ok=True)

    def load(self, zone: str, table: str, uris: Sequence[str], schema: list[Any], job_ids: Sequence[str]) -> str:
        """Load Parquet objects into a table that vanishes after a day; returns its name in a statement."""
        from google.cloud import bigquery

        client = self._open(zone)
        name = f"{self._dataset(zone)}.{table}"
        staged = bigquery.Table(name, schema=schema)
        staged.expires = datetime.now(UTC) + timedelta(days=1)
        client.create_table(staged, exists_ok=True)
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=schema,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        )

        def start(job_id: str) -> Any:
            return client.load_table_from_uri(
                list(uris), name, job_id=job_id, location=self._location, job_config=config
            )

        self._finished(client, start, job_ids)
        return f"`{name}`"

    def replace_partition(
        self,
        spec: TableSpec,
        partition: str,
        select: str,
        given: Mapping[str, str | int],
        job_ids: Sequence[str],
    ) -> None:
        """Put the result of `select` in place of the partition `$N`, in one step."""
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            destination=f"{self.plain_name(spec)}{partition}",
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            query_parameters=_parameters(given),
        )
        self._query(spec.zone, select, config, job_ids)

    def run(
        self,
        statement: str,
        given: Mapping[str, str | int],
        *,
        zone: str,
        page_size: int | None = None,
        job_ids: Sequence[str] | None = None,
    ) -> Any:
        """Run a statement or script with the zone's credentials; returns its rows."""
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(query_parameters=_parameters(given))
        if job_ids is None:
            client = self._open(zone)
            return client.query(statement, job_config=config, location=self._location).result(
                timeout=JOB_DEADLINE_S, page_size=page_size
            )
        return self._query(zone, statement, config, job_ids)

    def _query(self, zone: str, statement: str, config: Any, job_ids: Sequence[str]) -> Any:
        client = self._open(zone)

        def start(job_id: str) -> Any:
            return client.query(statement, job_config=config, job_id=job_id, location=self._location)

        return self._finished(client, start, job_ids)

    def _finished(self, client: Any, start: Any, job_ids: Sequence[str]) -> Any:
        """Start the job under the first id that no failed job has, or wait for the one that runs under it."""
        from google.api_core.exceptions import Conflict

        for job_id in job_ids:
            try:
                job = start(job_id)
            except Conflict:
                job = client.get_job(job_id, location=self._location)
                if job.done() and job.error_result:
                    continue
            return job.result(timeout=JOB_DEADLINE_S)
        raise WarehouseError(f"BigQuery: {len(job_ids)} jobs for the same work failed; the last one is {job_ids[-1]}")

    def _dataset(self, zone: str) -> str:
        return f"{self._project}.{self._prefix}{zone}"

    def _open(self, zone: str) -> Any:
        """The client of a zone.  Raises `CredentialsError` when the zone's identities are for other stores only."""
        if self._given_client is not None:
            return self._given_client
        if zone not in self._clients:
            self._clients[zone] = self._opened(zone)
        return self._clients[zone]

    def _opened(self, zone: str) -> Any:
        from google.cloud import bigquery

        if self._endpoint:
            from google.api_core.client_options import ClientOptions
            from google.auth.credentials import AnonymousCredentials

            # An emulator or a private address; a real one of Google's needs no endpoint.
            return bigquery.Client(
                project=self._project,
                location=self._location,
                credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # google.auth is untyped here
                client_options=ClientOptions(api_endpoint=self._endpoint),
            )
        identity = serving(self._identities.get(zone, ()), "gs")
        if identity is not None:
            credentials = google_credentials(identity, self._vault)
            return bigquery.Client(project=self._project, location=self._location, credentials=credentials)
        from dagster_gcp import BigQueryResource

        with BigQueryResource(project=self._project, location=self._location).get_client() as client:
            return client


def _parameters(given: Mapping[str, str | int]) -> list[Any]:
    from google.cloud.bigquery import ScalarQueryParameter

    return [
        ScalarQueryParameter(name, "INT64" if isinstance(value, int) else "STRING", value)
        for name, value in given.items()
    ]
