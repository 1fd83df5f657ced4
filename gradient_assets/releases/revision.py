"""Which code made a release.

Belongs here: finding the package's version and, where it is known without any tool, the revision of its source.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution

PACKAGE = "gradient-assets"
VARIABLE = "GRADIENT_REVISION"
_REVISION = re.compile(r"[0-9A-Za-z._+-]{1,64}")


def package_version() -> str:
    """Version of the installed package; `unknown` where it is not installed."""
    try:
        return distribution(PACKAGE).version
    except PackageNotFoundError:
        return "unknown"


def code_revision(environ: Mapping[str, str] = os.environ) -> str:
    """The revision that GRADIENT_REVISION names, else the one that the package was installed from; empty if neither is known.

    Source of the second: PEP 610 (`direct_url.json` of the installed distribution).
    """
    named = environ.get(VARIABLE, "")
    if named:
        return named if _REVISION.fullmatch(named) else ""
    try:
        recorded = json.loads(distribution(PACKAGE).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    commit = str(recorded.get("vcs_info", {}).get("commit_id", ""))
    return commit if _REVISION.fullmatch(commit) else ""
