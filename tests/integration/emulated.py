"""Google's client for an emulator that knows neither parameters in scripts nor the partitions of hospitals.

Belongs here: what bqemulator 1.4.0 can't, said in other words.  Parameters of a script stand in it as literals, and its
temporary tables have names of their own; a result for `table$N` is put in place by a script in a transaction, and `table$N`
is deleted by its rows.  All else is sent as it is.
"""

import re
import secrets

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery


class EmulatedClient(bigquery.Client):
    """For tests against the emulator; production sends what `resources.bigquery_tables` asks for."""

    def __init__(self, project, endpoint):
        super().__init__(
            project, AnonymousCredentials(), client_options=ClientOptions(api_endpoint=endpoint), location="US"
        )

    def query(self, statement, job_config=None, **options):
        given = {one.name: one.value for one in job_config.query_parameters} if job_config else {}
        target = job_config.destination if job_config else None
        if target is not None and "$" in target.table_id:
            table_id, _, number = target.table_id.partition("$")
            table = f"`{target.project}.{target.dataset_id}.{table_id}`"
            columns = ", ".join(f"`{field.name}`" for field in self.get_table(table.strip("`")).schema)
            statement = (
                f"CREATE TEMP TABLE replacement AS {statement}; BEGIN TRANSACTION; "
                f"DELETE FROM {table} WHERE hospital_number = {number}; "
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM replacement; COMMIT TRANSACTION;"
            )
        if ";" in statement:
            # The emulator keeps a script's temporary tables for the next one.
            statement = re.sub(r"\breplacement\b", f"replacement_{secrets.token_hex(8)}", statement)
            statement = re.sub(r"@(\w+)", lambda found: literal(given[found[1]]), statement)
            job_config = bigquery.QueryJobConfig()
        return super().query(statement, job_config=job_config, **options)

    def delete_table(self, table, not_found_ok=False, **options):
        name, _, number = str(table).partition("$")
        if not number:
            return super().delete_table(table, not_found_ok=not_found_ok, **options)
        return self.query(f"DELETE FROM `{name}` WHERE hospital_number = {number}").result()


def literal(value):
    return str(value) if isinstance(value, int) else "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"
