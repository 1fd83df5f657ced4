"""Read the files in `tables/`: the standard's tables and this project's additions, as data.  Nothing else belongs here."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """One of the files in `tables/`."""
    text = resources.files(__package__).joinpath("tables", f"{name}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
