"""A sheet of thumbnails for an asset's page.

Belongs here: choosing and arranging pictures that have crossed the boundary already.  Event logs are never purged, so a
sheet stays small.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import dagster as dg
from PIL import Image

from resources.object_store import Bucket

COLUMNS, ROWS, TILE_PIXELS = 6, 3, 96
JPEG_QUALITY = 60
"""18 tiles of 96 pixels are 20–30 kB as JPEG; as PNG they were 150 kB, in every materialization for ever."""


def contact_sheet(bucket: Bucket, keys: Sequence[str]) -> dg.MetadataValue:
    """At most 18 pictures, spread evenly over the keys, as one inline image."""
    count = COLUMNS * ROWS
    chosen = [keys[i * len(keys) // count] for i in range(count)] if len(keys) > count else list(keys)
    if not chosen:
        return dg.MetadataValue.md("No instance of this partition has pixels.")
    rows = -(-len(chosen) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE_PIXELS, rows * TILE_PIXELS))
    for number, key in enumerate(chosen):
        with Image.open(io.BytesIO(bucket.get(key))) as picture:
            tile = picture.convert("RGB")
        tile.thumbnail((TILE_PIXELS, TILE_PIXELS))
        left = (number % COLUMNS) * TILE_PIXELS + (TILE_PIXELS - tile.width) // 2
        top = (number // COLUMNS) * TILE_PIXELS + (TILE_PIXELS - tile.height) // 2
        sheet.paste(tile, (left, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=JPEG_QUALITY)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![{len(chosen)} of {len(keys)} thumbnails](data:image/jpeg;base64,{encoded})")
