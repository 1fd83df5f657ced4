"""Requests to BigQuery: datasets, tables, load jobs, query jobs.

Belongs here: what is sent.  Which rows are to stand in a partition is `bigquery`'s business, what becomes of a job
`bigquery_jobs`'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from gradient_assets.tables import TableSpec
from resources.credentials import Identity, google_credentials, serving
from resources.errors import WarehouseError
from resources.vault_contract import Vault
from resources.warehouses.bigquery_jobs import REQUEST_TIMEOUT_S, Jobs, Limits, fresh_ids

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
MAX_POLICIES = 400
"""BigQuery's most for one table (Quotas and limits)."""

_OLD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""What the service calls the types of a table that was made with today's names."""


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
            _require_same(spec, wanted, found)
            changed = _differences(wanted, found)
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

    def load(self, zone: str, table: str, uris: Sequence[str], schema: list[Any], job_ids: Iterator[str]) -> str:
        """Load Parquet objects into a table that vanishes after a day; returns its name in a statement."""
        from google.cloud import bigquery

        client = self._open(zone)
        name = f"{self._dataset(zone)}.{table}"
        staged = bigquery.Table(name, schema=schema)
        staged.expires = datetime.now(UTC) + timedelta(days=1)
        staged.labels = {**LABELS, "zone": zone, "kind": "staging"}
        client.create_table(staged, exists_ok=True, retry=self._limits.retry(), timeout=REQUEST_TIMEOUT_S)
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=schema,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
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

        self._jobs(client).finished(start, job_ids)
        return f"`{name}`"

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


def _require_same(spec: TableSpec, wanted: Any, found: Any) -> None:
    """Raise `WarehouseError` for what can't be changed in a table that is there."""
    if _partitions(wanted) != _partitions(found):
        raise WarehouseError(
            f"{spec.full_name} is there with other partitions than one for each hospital's number; move it away first"
        )
    held = {field.name: _type(field) for field in found.schema}
    if other := sorted(f.name for f in wanted.schema if held.get(f.name, _type(f)) != _type(f)):
        raise WarehouseError(f"{spec.full_name} is there with another type of {', '.join(other)}; move it away first")


def _differences(wanted: Any, found: Any) -> list[str]:
    """The properties that have to be sent, put into `found`."""
    from google.cloud.bigquery import SchemaField

    changed = []
    fields = {field.name: field for field in wanted.schema}
    schema = [
        SchemaField(f.name, f.field_type, mode=f.mode, description=fields[f.name].description)
        if f.name in fields
        else f
        for f in found.schema
    ]
    held = {field.name for field in found.schema}
    # A column that came later can't be required: the old rows have no value in it.
    schema += [
        SchemaField(f.name, f.field_type, description=f.description) for f in wanted.schema if f.name not in held
    ]
    if [(f.name, f.description) for f in schema] != [(f.name, f.description) for f in found.schema]:
        found.schema = schema
        changed.append("schema")
    if (found.description or "") != (wanted.description or ""):
        found.description = wanted.description
        changed.append("description")
    labels = dict(found.labels or {})
    if not wanted.labels.items() <= labels.items():
        found.labels = {**labels, **wanted.labels}
        changed.append("labels")
    return changed


def _partitions(table: Any) -> tuple[str, int, int, int] | None:
    found = table.range_partitioning
    return found and (
        found.field,
        int(found.range_.start or 0),
        int(found.range_.end or 0),
        int(found.range_.interval or 0),
    )


def _type(field: Any) -> str:
    return str(_OLD_NAMES.get(field.field_type, field.field_type))


def _job_labels(zone: str, operation: str) -> dict[str, str]:
    """So that costs can be told apart by zone and kind of work (BigQuery, Labels: lower case letters, digits, `_`, `-`)."""
    return {**LABELS, "zone": zone, "operation": operation}


def _parameters(given: Mapping[str, str | int]) -> list[Any]:
    from google.cloud.bigquery import ScalarQueryParameter

    return [
        ScalarQueryParameter(name, "INT64" if isinstance(value, int) else "STRING", value)
        for name, value in given.items()
    ]
