"""Requests to BigQuery: datasets, tables, load jobs, query jobs.

Belongs here: what is sent.  Which rows are to stand in a partition is `bigquery`'s business, what becomes of a job
`bigquery_jobs`', how a table that is there differs from its spec `bigquery_differences`'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gradient_assets.tables import TableSpec
from resources.credentials import Identity, google_credentials, serving
from resources.errors import WarehouseError
from resources.vault_contract import Vault
from resources.warehouses.bigquery_differences import differences, require_same
from resources.warehouses.bigquery_jobs import REQUEST_TIMEOUT_S, Jobs, Limits, fresh_ids, ids_of_work

LARGEST_NUMBER = 4000
"""BigQuery allows 4,000 partitions of a table to be touched by one job; the registry's numbers stay below."""

MAX_CLUSTERING = 4
MAX_DESCRIPTION = 1024
LABELS = {"platform": "gradient"}
DATASET_DESCRIPTIONS = {
    "identified": "What hospitals sent, with patients' data. Only the platform reads it.",
    "deidentified": "De-identified metadata and reports of all hospitals. Curators read it.",
    "public": "What external users may search, and what was delivered.",
}
UPDATE_ATTEMPTS = 5
TIME_TRAVEL_HOURS = 48
"""The least that BigQuery allows (its default is 168): so long a table can be read as it was before somebody withdrew."""
MAX_URIS = 10_000
"""Source URIs of one load job (BigQuery, Quotas and limits); a stage writes one for 256 new objects."""
MAX_POLICIES = 400
"""BigQuery's most for one table (Quotas and limits)."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A table that vanishes after a day: its name in a statement, and how many rows it holds."""

    name: str
    rows: int


def quoted(name: str) -> str:
    """A column's name in backquotes."""
    return f"`{name}`"


def table_schema(spec: TableSpec) -> list[Any]:
    """The table's columns as BigQuery's fields, with their descriptions."""
    from google.cloud.bigquery import SchemaField

    return [
        SchemaField(
            c.name,
            c.type,
            mode="REQUIRED" if c.required else "NULLABLE",
            description=c.description[:MAX_DESCRIPTION],
        )
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
        limits: Limits | None = None,
    ) -> None:
        self._project = project
        self._location = location
        self._prefix = prefix
        self._endpoint = endpoint
        self._given_client = client
        self._identities = dict(identities or {})
        self._vault = vault
        self._limits = limits or Limits()
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
        """Make the table if it is not there, bring one that is there up to the spec; returns its name in a statement.

        Raises `WarehouseError` for a table or dataset that is there and can't become what the spec says: other partitions,
        another type, another location.  Writing there would put rows elsewhere.
        """
        if spec.full_name in self._ensured:
            return self.name(spec)
        client = self._open(spec.zone)
        self._ensure_dataset(client, spec.zone)
        wanted = self._table(spec)
        found = client.create_table(wanted, exists_ok=True, retry=self._limits.retry(), timeout=REQUEST_TIMEOUT_S)
        self._bring_up_to_date(client, spec, wanted, found)
        self._ensured.add(spec.full_name)
        return self.name(spec)

    def _ensure_dataset(self, client: Any, zone: str) -> None:
        from google.api_core.exceptions import Forbidden
        from google.cloud import bigquery

        dataset = bigquery.Dataset(self._dataset(zone))
        dataset.location = self._location
        dataset.description = DATASET_DESCRIPTIONS[zone]
        dataset.labels = {**LABELS, "zone": zone}
        dataset.max_time_travel_hours = TIME_TRAVEL_HOURS
        # An identity of one zone may not make datasets (`deploy/`); one that is missing is told when its table is made.
        with suppress(Forbidden):
            found = client.create_dataset(
                dataset, exists_ok=True, retry=self._limits.retry(), timeout=REQUEST_TIMEOUT_S
            )
            if found.location and found.location.upper() != self._location.upper():
                raise WarehouseError(
                    f"the dataset of the {zone} zone lies in another location than GRADIENT_BIGQUERY_LOCATION says"
                )

    def _table(self, spec: TableSpec) -> Any:
        from google.cloud import bigquery

        table = bigquery.Table(self.plain_name(spec), schema=table_schema(spec))
        table.description = spec.description
        table.labels = {**LABELS, "zone": spec.zone}
        if spec.partitioned_by == "hospital":
            table.range_partitioning = bigquery.RangePartitioning(
                range_=bigquery.PartitionRange(start=0, end=LARGEST_NUMBER, interval=1), field="hospital_number"
            )
        table.clustering_fields = list(spec.cluster_by[:MAX_CLUSTERING]) or None
        return table

    def _bring_up_to_date(self, client: Any, spec: TableSpec, wanted: Any, found: Any) -> None:
        """Add columns, descriptions and labels that the table has not; somebody else may be doing the same."""
        from google.api_core.exceptions import PreconditionFailed

        for _ in range(UPDATE_ATTEMPTS):
            require_same(spec, wanted, found)
            changed = differences(wanted, found)
            if not changed:
                return
            try:
                client.update_table(found, changed, retry=self._limits.retry(), timeout=REQUEST_TIMEOUT_S)
                return
            except PreconditionFailed:  # the table was changed since it was read
                found = client.get_table(self.plain_name(spec), retry=self._limits.retry(), timeout=REQUEST_TIMEOUT_S)
        raise WarehouseError(f"{spec.full_name} was changed by somebody else each time that it was to be")

    def state(self, specs: Sequence[TableSpec]) -> str:
        """The tables' etags: they change with every write."""
        return ",".join(
            f"{spec.full_name}={self._open(spec.zone).get_table(self.plain_name(spec), retry=self._limits.retry()).etag}"
            for spec in specs
        )

    def delete(self, spec: TableSpec, partition: str) -> None:
        """Delete the partition `$N`; one that is not there is no error."""
        self._open(spec.zone).delete_table(
            f"{self.plain_name(spec)}{partition}", not_found_ok=True, retry=self._limits.retry()
        )

    def load(self, zone: str, table: str, uris: Sequence[str], schema: list[Any]) -> Staged:
        """Load Parquet objects into a table that vanishes after a day.

        Raises `WarehouseError` when the table holds another number of rows than the job loaded.
        """
        from google.cloud import bigquery

        client = self._open(zone)
        name = f"{self._dataset(zone)}.{table}"
        staged = bigquery.Table(name, schema=schema)
        staged.expires = datetime.now(UTC) + timedelta(days=1)
        staged.labels = {**LABELS, "zone": zone, "kind": "staging"}
        found = client.create_table(staged, exists_ok=True, retry=self._limits.retry(), timeout=REQUEST_TIMEOUT_S)
        if found.created is None:
            raise WarehouseError("BigQuery does not say when a staged table was made")
        # BigQuery keeps a job's id for half a year, the table lives for a day: without its birth in the id, the job that filled
        # an earlier table of that name would count for an empty one.
        birth = str(round(found.created.timestamp() * 1000))
        loaded = 0
        for number, start in enumerate(range(0, len(uris), MAX_URIS)):
            part = uris[start : start + MAX_URIS]
            digest = hashlib.sha256("\x1f".join(part).encode()).hexdigest()[:32]
            job_ids = ids_of_work("load", table, birth, *([str(number)] if number else []), digest)
            loaded += self._load_part(client, zone, name, part, schema, job_ids, first=not number)
        held = client.get_table(name, retry=self._limits.retry(), timeout=REQUEST_TIMEOUT_S).num_rows or 0
        if held != loaded:
            raise WarehouseError(f"BigQuery: a staged table holds {held} rows, {loaded} were loaded")
        return Staged(f"`{name}`", held)

    def _load_part(
        self,
        client: Any,
        zone: str,
        name: str,
        uris: Sequence[str],
        schema: list[Any],
        job_ids: Iterator[str],
        *,
        first: bool,
    ) -> int:
        """Load what one job takes; the first of a table's jobs empties it.  Returns the number of rows."""
        from google.cloud import bigquery

        disposition = bigquery.WriteDisposition
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=schema,
            write_disposition=disposition.WRITE_TRUNCATE if first else disposition.WRITE_APPEND,
            # One that vanished meanwhile would be made anew, and stay.
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            labels=_job_labels(zone, "load"),
            job_timeout_ms=self._job_timeout_ms,
        )

        def start(job_id: str) -> Any:
            return client.load_table_from_uri(
                list(uris),
                name,
                job_id=job_id,
                location=self._location,
                job_config=config,
                retry=self._limits.retry(),
                timeout=REQUEST_TIMEOUT_S,
            )

        return int(self._jobs(client).finished(start, job_ids).output_rows or 0)

    def replace_partition(
        self,
        spec: TableSpec,
        partition: str,
        select: str,
        given: Mapping[str, str | int],
        job_ids: Iterator[str],
    ) -> None:
        """Put the result of `select` in place of the partition `$N`, in one step.

        `WRITE_TRUNCATE_DATA` and not `WRITE_TRUNCATE`: the latter takes the schema of the query's result, in which no column is
        required or described, and may drop the table's row access policies (BigQuery, WriteDisposition).
        """
        from google.cloud import bigquery

        config = self._query_config(spec.zone, "replace", given)
        config.destination = bigquery.TableReference.from_string(f"{self.plain_name(spec)}{partition}")
        config.write_disposition = bigquery.WriteDisposition.WRITE_TRUNCATE_DATA
        config.create_disposition = bigquery.CreateDisposition.CREATE_NEVER
        self._query(spec.zone, select, config, job_ids)

    def run(
        self,
        statement: str,
        given: Mapping[str, str | int],
        *,
        zone: str,
        operation: str = "read",
        page_size: int | None = None,
        job_ids: Iterator[str] | None = None,
    ) -> Any:
        """Run a statement or script with the zone's credentials; returns its rows."""
        config = self._query_config(zone, operation, given)
        return self._query(zone, statement, config, job_ids or fresh_ids(operation), page_size=page_size)

    def dry_run(self, statement: str, given: Mapping[str, str | int], *, zone: str) -> int:
        """Bytes that the statement would read; BigQuery resolves names, types and rights, and runs nothing."""
        config = self._query_config(zone, "dry-run", given)
        config.dry_run = True
        config.use_query_cache = False
        client = self._open(zone)
        job = client.query(
            statement,
            job_config=config,
            location=self._location,
            retry=self._limits.retry(),
            timeout=REQUEST_TIMEOUT_S,
            job_retry=None,
        )
        return int(job.total_bytes_processed or 0)

    def row_policies(self, spec: TableSpec) -> dict[str, str]:
        """The row access policies of a table: name → filter."""
        client = self._open(spec.zone)
        project, dataset, table = self.plain_name(spec).split(".")
        path = f"/projects/{project}/datasets/{dataset}/tables/{table}/rowAccessPolicies"
        # google-cloud-bigquery 3.47 has no method for it.
        request = self._limits.retry()(client._connection.api_request)
        listed = request(method="GET", path=path, query_params={"pageSize": MAX_POLICIES})
        return {
            one["rowAccessPolicyReference"]["policyId"]: one.get("filterPredicate", "")
            for one in listed.get("rowAccessPolicies", [])
        }

    def _query_config(self, zone: str, operation: str, given: Mapping[str, str | int]) -> Any:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=_parameters(given),
            labels=_job_labels(zone, operation),
            job_timeout_ms=self._job_timeout_ms,
        )
        if self._limits.bytes_billed is not None:
            config.maximum_bytes_billed = self._limits.bytes_billed
        return config

    @property
    def _job_timeout_ms(self) -> int:
        return int(self._limits.job_deadline_s * 1000)

    def _query(self, zone: str, statement: str, config: Any, job_ids: Iterator[str], **result: Any) -> Any:
        client = self._open(zone)

        def start(job_id: str) -> Any:
            return client.query(
                statement,
                job_config=config,
                job_id=job_id,
                location=self._location,
                retry=self._limits.retry(),
                timeout=REQUEST_TIMEOUT_S,
                job_retry=None,
            )

        return self._jobs(client).finished(start, job_ids, job_retry=None, **result)

    def _jobs(self, client: Any) -> Jobs:
        return Jobs(client, self._location, self._limits)

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


def _job_labels(zone: str, operation: str) -> dict[str, str]:
    """So that costs can be told apart by zone and kind of work (BigQuery, Labels: lower case letters, digits, `_`, `-`)."""
    return {**LABELS, "zone": zone, "operation": operation}


def _parameters(given: Mapping[str, str | int]) -> list[Any]:
    from google.cloud.bigquery import ScalarQueryParameter

    return [
        ScalarQueryParameter(name, "INT64" if isinstance(value, int) else "STRING", value)
        for name, value in given.items()
    ]
