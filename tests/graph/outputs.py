"""Everything a home holds outside the identified zone, as bytes to search.

Belongs here: walking the outputs and unpacking what is compressed (Parquet, PNG, DICOM stays as it is).
"""

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from ahocorasick_rs import BytesAhoCorasick
from PIL import Image

IDENTIFIED = ("landing", "identified")
"""Folders of a home that may hold identifiers."""


def pieces(home: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each output: raw bytes, paths, and the decoded text of tables, pictures and Dagster's databases."""
    for path in sorted(home.rglob("*")):
        relative = path.relative_to(home)
        if relative.parts[0] in IDENTIFIED or relative.name == "hospitals.yaml":
            continue
        yield f"path {relative.parts[0]}", str(relative).encode()
        if path.is_file():
            yield str(relative), path.read_bytes()
            yield from _unpacked(path, str(relative))


def _unpacked(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    if path.suffix == ".parquet":
        for row in pq.read_table(path).to_pylist():
            yield f"{name} (rows)", "\n".join(str(value) for value in row.values()).encode()
    elif path.suffix == ".png":
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            yield f"{name} (chunks)", repr(picture.info).encode()
    elif path.suffix == ".db":
        with sqlite3.connect(path) as database:
            yield f"{name} (rows)", "\n".join(database.iterdump()).encode("utf-8", "replace")


def needles(values: set[str]) -> dict[bytes, str]:
    """All values in every encoding that DICOM, CSV or JSON might have written them in, each with its value."""
    spelled: dict[bytes, str] = {}
    for value in values:
        escaped = value.encode("ascii", "backslashreplace").decode()
        for text in {value, value.upper(), escaped, value.replace(" ", ""), value.replace("^", " ")}:
            for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "shift_jis", "iso2022_jp"):
                try:
                    raw = text.encode(encoding)
                except UnicodeEncodeError:
                    continue
                if len(raw) >= 6:
                    spelled[raw] = value
    return spelled


def found(home: Path, values: set[str], extra: dict[str, bytes] | None = None) -> dict[str, set[str]]:
    """Which of the values stand in which outputs: name → values."""
    spelled = needles(values)
    automaton, of_pattern = BytesAhoCorasick(spelled), list(spelled.values())
    hits: dict[str, set[str]] = {}
    for name, content in [*pieces(home), *(extra or {}).items()]:
        for number, _, _ in automaton.find_matches_as_indexes(content, overlapping=True):
            hits.setdefault(name, set()).add(of_pattern[number])
    return hits
