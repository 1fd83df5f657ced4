"""The statements behind the SQL assets, one file each, in BigQuery's dialect.

Belongs here: reading a file by name, and which there are.  How a statement runs on the embedded warehouse is
`resources.warehouses.dialect`'s business.
"""

from __future__ import annotations

from importlib.resources import files


def names() -> list[str]:
    """The names of all statements, sorted."""
    return sorted(file.name.removesuffix(".sql") for file in files(__package__).iterdir() if file.name.endswith(".sql"))


def statement(name: str) -> str:
    """The text of `<name>.sql`.  Raises `FileNotFoundError` when there is none."""
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
