"""A sheet of a hospital's thumbnails, as one object in their bucket: what people look at first.

Belongs here: choosing and arranging pictures that have crossed the boundary already, and which of them a sheet shows.  The
sheet is an object, and Dagster gets its address alone: event logs are never purged, and a patient who withdraws has to be
taken off the sheet as well (`withdrawals.sweep`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Sequence

from PIL import Image

from gradient_assets.boundary import contact_sheet_key
from resources.buckets.object_store import Bucket, ObjectVanished

COLUMNS, ROWS, TILE_PIXELS = 6, 3, 96
JPEG_QUALITY = 60
"""18 tiles of 96 pixels are 20–30 kB as JPEG; as PNG they were 150 kB."""


def put_contact_sheet(bucket: Bucket, hospital_id: str, keys: Callable[[], Collection[str]]) -> str | None:
    """Put at most 18 pictures, spread evenly over the keys, on the hospital's sheet; returns its key, None without pictures.

    `keys` says which thumbnails there are, and is asked again at the end: a patient who was withdrawn meanwhile is on no
    sheet.  Raises `StoreError`.
    """
    place = contact_sheet_key(hospital_id)
    while True:
        chosen = _spread(sorted(keys()))
        try:
            if chosen:
                bucket.put(place, _drawn(bucket, chosen))
            else:
                bucket.delete(place)
        except ObjectVanished:
            if _spread(sorted(keys())) == chosen:
                raise
        if _spread(sorted(keys())) == chosen:
            return place if chosen else None


def shown_on(bucket: Bucket, hospital_id: str) -> list[str] | None:
    """Keys of the thumbnails on the hospital's sheet, none without a sheet; None if it does not say.  Raises `StoreError`."""
    try:
        content = bucket.get(contact_sheet_key(hospital_id))
    except ObjectVanished:
        return []
    try:
        with Image.open(io.BytesIO(content)) as sheet:
            keys = json.loads(sheet.info["comment"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return keys if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else None


def _spread(keys: Sequence[str]) -> list[str]:
    count = COLUMNS * ROWS
    return [keys[i * len(keys) // count] for i in range(count)] if len(keys) > count else list(keys)


def _drawn(bucket: Bucket, keys: Sequence[str]) -> bytes:
    rows = -(-len(keys) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE_PIXELS, rows * TILE_PIXELS))
    for number, key in enumerate(keys):
        with Image.open(io.BytesIO(bucket.get(key))) as picture:
            tile = picture.convert("RGB")
        tile.thumbnail((TILE_PIXELS, TILE_PIXELS))
        left = (number % COLUMNS) * TILE_PIXELS + (TILE_PIXELS - tile.width) // 2
        top = (number // COLUMNS) * TILE_PIXELS + (TILE_PIXELS - tile.height) // 2
        sheet.paste(tile, (left, top))
    buffer = io.BytesIO()
    # The comment is how a withdrawal knows who is on it: keys are 18 × 150 characters at most, a comment may have 65,533.
    sheet.save(buffer, "JPEG", quality=JPEG_QUALITY, comment=json.dumps(keys).encode("ascii"))
    return buffer.getvalue()
