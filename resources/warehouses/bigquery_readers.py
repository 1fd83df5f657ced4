"""Who sees which rows of a table on BigQuery: row access policies.

Belongs here: putting the policies in place, and seeing whether they stand as the registry says.  Who may read the table
at all is IAM's business (`deploy/gcp`); the text of the statements is `bigquery_statements`'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradient_assets.tables import TableSpec
from resources.errors import WarehouseError, holding_back
from resources.warehouses import bigquery_statements as statements
from resources.warehouses.bigquery_jobs import kind_and_reason

if TYPE_CHECKING:
    from resources.warehouses.bigquery_tables import BigQueryTables

READER = re.compile(r"(?:user|group|serviceAccount):[\w.+%-]+@[\w.-]+|domain:[\w.-]+|allAuthenticatedUsers", re.ASCII)
"""How a reader is written (BigQuery, RowAccessPolicy.grantees)."""


@dataclass(frozen=True)
class RowPolicies:
    """The policies of one table: the platform sees all rows, readers those of the hospitals with these numbers.

    A hospital that is taken out of the registry is out of readers' sight with the next `put`, before its rows are gone.
    """

    tables: BigQueryTables
    spec: TableSpec
    readers: tuple[str, ...]
    numbers: tuple[int, ...]

    def put(self) -> None:
        """Make or replace both policies.  Raises `WarehouseError`, also for a reader that is written wrongly."""
        if not self.readers or not all(READER.fullmatch(reader) for reader in self.readers):
            raise WarehouseError(
                "readers are written user:NAME, group:NAME, serviceAccount:NAME, domain:NAME or allAuthenticatedUsers"
            )
        target = self._asked(lambda: self.tables.ensure(self.spec))
        platform = self._asked(self._platform)
        for statement in statements.row_policies(target, platform, self.readers, self.numbers):
            self._asked(lambda text=statement: self.tables.run(text, {}, zone=self.spec.zone, operation="policy"))

    def wanting(self) -> str:
        """What is wrong with the policies that stand now, in a few words; empty when nothing is."""
        found = self._asked(lambda: self.tables.row_policies(self.spec))
        if missing := {statements.PLATFORM_POLICY, statements.READERS_POLICY} - set(found):
            return f"{len(missing)} of 2 row access policies are missing"
        seen = {int(number) for number in re.findall(r"\d+", found[statements.READERS_POLICY])}
        if seen != set(self.numbers):
            return "readers see the rows of other hospitals than the registry has"
        return ""

    def _platform(self) -> str:
        row = next(iter(self.tables.run("SELECT SESSION_USER() AS account", {}, zone=self.spec.zone)))
        account = str(row["account"])
        grantee = f"{'serviceAccount' if account.endswith('.gserviceaccount.com') else 'user'}:{account}"
        if not READER.fullmatch(grantee):
            raise WarehouseError("BigQuery does not say as whom the platform is known there")
        return grantee

    def _asked(self, call: Any) -> Any:
        try:
            return call()
        except WarehouseError:
            raise
        except Exception as error:
            failure = holding_back(WarehouseError(f"BigQuery: row policies failed ({kind_and_reason(error)})"), error)
        raise failure
