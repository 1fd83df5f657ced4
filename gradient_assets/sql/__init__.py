"""The statements behind the SQL assets, one file each, in BigQuery's dialect.

Belongs here: reading a file by name.  How a statement runs on the embedded warehouse is `resources.dialect`'s business.
"""

from __future__ import annotations

from importlib.resources import files


def statement(name: str) -> str:
    """The text of `<name>.sql`.  Raises `FileNotFoundError` when there is none."""
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
