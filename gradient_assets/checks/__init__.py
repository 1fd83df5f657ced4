"""What is looked at after it was written: leaks, and whether the numbers add up.

Reading order: `leaks` (the blocking search on every de-identified and public asset), `written` (the profile, patterns, text
in pixels), `telling` (what both say of findings), `reconciliation` (in = out + quarantined + withdrawn), `triage` (the audit
of what no finder saw).  Belongs here: judging what was read back.  Reading it back is `verification`'s business, how an
identifier is searched `deid.verify`'s.
"""

from __future__ import annotations

import warnings

import dagster as dg

from gradient_assets.checks.leaks import leak_checks
from gradient_assets.checks.reconciliation import reconciliation_checks
from gradient_assets.checks.triage import triage_checks
from gradient_assets.checks.written import written_checks


def all_checks(hospitals: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """Every check of the graph; a function, since the partitions come from the registry."""
    with warnings.catch_warnings():
        # Partitioned checks are in preview in Dagster 1.13. Without a partition a check would search all hospitals in each
        # run; the ceiling in pyproject.toml keeps a change of theirs out until it was read.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            *leak_checks(hospitals),
            *written_checks(hospitals),
            *reconciliation_checks(hospitals),
            *triage_checks(hospitals),
        ]
