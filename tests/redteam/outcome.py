"""Who caught each planted identifier: an engine, the boundary's list, the quarantine, verification, or nobody.

Belongs here: reading that from a home after the run, and the form of `redteam.json`, which is reviewed by people.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from gradient_assets.deid.headers import replaced_uid
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.tables import QUARANTINE, REFUSED_RELEASE
from tests.graph.conftest import ROOT, Home
from tests.redteam.hospital import HOSPITAL, RECIPIENT, RELEASE, Attack, Plant
from tests.redteam.search import Search, outputs

REVIEWED = ROOT / "gradient_assets/redteam.json"
LEAKED = "LEAKED"
HEADER, TEXT, PIXEL, LIST = "header engine", "text engine", "pixel engine", "never on the list"
_IN_PIXELS = (
    "jpeg_com", "jpeg_exif", "jpeg_app13", "after_eoi", "j2k_com", "jp2_xml", "offset_table", "extra_fragment",
    "excess_pixels", "icon", "overlay", "high_bits",
)  # fmt: skip
"""Containers that the pixel engine writes anew or takes out."""
_TAG = re.compile(r"\[[A-Z]+\]")


@dataclass
class Ended:
    """A home after run, release, approval and delivery, and all that the commands printed."""

    home: Home
    made: Attack
    printed: str
    found: dict[int, set[str]] = field(init=False)
    """Plant → outputs that hold it."""

    def __post_init__(self) -> None:
        search = Search(self.made)
        self.found = {}
        for name, content in outputs(self.home.path, self.printed):
            for number in search.numbers(content):
                self.found.setdefault(number, set()).add(name)
        for number, drawn in self.made.drawn.items():
            for name, frame in self._pictures(self.made.keys[number], drawn.frame):
                if drawn.seen(frame):
                    self.found.setdefault(number, set()).add(name)

    def _original(self, key: str) -> Dataset:
        return pydicom.dcmread(io.BytesIO(self.made.dicoms[key]), force=True)

    def delivered(self, key: str) -> Dataset | None:
        """The recipient's copy of an object; None if it was refused."""
        uid = replaced_uid(str(self._original(key).SOPInstanceUID), self._identity(f"recipient/{RECIPIENT}").uid)
        found = list((self.home.path / "public").rglob(f"{uid}.dcm"))
        return pydicom.dcmread(found[0]) if found else None

    def _identity(self, secret: str) -> Pseudonymizer:
        return Pseudonymizer(self.home.resources.key(secret), HOSPITAL)

    def _pictures(self, key: str, frame: int) -> Iterator[tuple[str, np.ndarray]]:
        """That frame of the delivered object, and every frame of its thumbnail and strip."""
        if (ds := self.delivered(key)) is not None:
            pixels = ds.pixel_array
            yield f"frame {frame}", pixels[frame] if int(ds.get("NumberOfFrames", 1) or 1) > 1 else pixels
        uid = replaced_uid(str(self._original(key).SOPInstanceUID), self._identity(f"hospital/{HOSPITAL}").uid)
        for path in sorted((self.home.path / "deidentified").rglob(f"{uid}*.png")):
            with Image.open(path) as picture:
                for number in range(getattr(picture, "n_frames", 1)):
                    picture.seek(number)
                    yield f"thumbnail {number}", np.asarray(picture.convert("L"))

    def refusals(self) -> dict[str, tuple[str, str]]:
        """Key of an object, with `#row` for a record → stage and reason, of the first stage that refused it."""
        warehouse, found = self.home.resources.warehouse, {}
        for spec, partition in ((QUARANTINE, HOSPITAL), (REFUSED_RELEASE, RELEASE)):
            for row in (row for batch in warehouse.scan(spec, partition) for row in batch.to_pylist()):
                key = f"{row['object_key']}#{row['row_number']}" if row["row_number"] else row["object_key"]
                found.setdefault(key, (row["stage"], row["reason"]))
        return found

    def caught(self) -> dict[int, str]:
        """Plant → who caught it."""
        refusals = self.refusals()
        return {one.number: self._caught(one, refusals) for one in self.made.plants}

    def _caught(self, one: Plant, refusals: dict[str, tuple[str, str]]) -> str:
        key = self.made.keys[one.number]
        if one.number in self.found:
            return LEAKED
        if key in refusals:
            return f"quarantined: {refusals[key][1]}"
        if one.way == "K" or one.how.startswith(("R extra", "R heading")):
            return LIST
        if one.way in "PR":
            return PIXEL if one.way == "P" else TEXT
        if one.how[2:] in _IN_PIXELS:
            return PIXEL
        ds = self.delivered(key)
        assert ds is not None, f"{key} was neither refused nor delivered"
        return TEXT if self._is_tagged(ds, one) else HEADER

    def _is_tagged(self, ds: Dataset, one: Plant) -> bool:
        """Whether a tag of the text engine stands where the identifier stood."""
        if one.way == "C":
            return one.how[2:].startswith(("sr_", "graphic", "waveform", "channel", "roi", "segment")) and bool(
                _TAG.search(str(ds))
            )
        *outer, last = one.how[2:].partition(" = ")[0].rsplit(" ", 1)[0].split("/")
        if "@" in one.how:
            return False
        for step in outer:
            items = ds.get(_tag(step))
            if items is None or not items.value:
                return False
            ds = items.value[0]
        element = ds.get(_tag(last))
        return element is not None and bool(_TAG.search(str(element.value)))


def _tag(step: str) -> tuple[int, int]:
    group, element = step.split(",")
    return int(group, 16), int(element, 16)


def table(made: Attack, caught: Callable[[int], str]) -> list[dict[str, str]]:
    """What `redteam.json` lists."""
    return [
        {"kind": one.kind, "object": one.object, "place": one.place, "caught": caught(one.number)}
        for one in made.plants
    ]


def reviewed() -> dict[str, list[dict[str, str]]]:
    """`redteam.json` as it was last reviewed."""
    found: dict[str, list[dict[str, str]]] = json.loads(REVIEWED.read_text())
    return found


def write(rows: list[dict[str, str]]) -> None:
    """A new `redteam.json`; reasons of what still leaks are kept, new ones are left blank for a person."""
    old = {_name(one): one["why"] for one in reviewed()["residual"]} if REVIEWED.exists() else {}
    residual = [
        {**{key: one[key] for key in ("kind", "object", "place")}, "why": old.get(_name(one), "")}
        for one in rows
        if one["caught"] == LEAKED
    ]
    lines = {"plants": rows, "residual": residual}
    body = ",\n".join(
        f' "{name}": [\n' + ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in part) + "\n ]"
        for name, part in lines.items()
    )
    REVIEWED.write_text("{\n" + body + "\n}\n")


def _name(row: dict[str, str]) -> tuple[str, str, str]:
    return row["kind"], row["object"], row["place"]


def counts(rows: list[dict[str, str]]) -> Counter[str]:
    """How many were caught by whom."""
    return Counter(row["caught"] for row in rows)
