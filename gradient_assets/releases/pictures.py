"""A few pictures of what leaves, drawn from the objects of the release themselves.

Belongs here: choosing them by chance that can be repeated (the manifest's digest is the seed), and shrinking them.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from gradient_assets.deid.headers import read_dataset
from gradient_assets.deid.pixels import decode_frames
from gradient_assets.deid.pixels.rendering import Look, shrunk
from gradient_assets.deid.reasons import Refused
from gradient_assets.releases.requests import ReleaseError

PICTURES = 12
LONGEST_SIDE = 168
JPEG_QUALITY = 70
"""Twelve pictures of 168 pixels are 40–70 kB: a page that can be mailed."""


def chosen_keys(rows: Sequence[dict[str, Any]], seed: str) -> list[str]:
    """Up to `PICTURES` keys of objects with pixels; the same manifest gives the same ones."""
    keys = sorted(row["object_key"] for row in rows if row["frames"])
    return sorted(random.Random(seed).sample(keys, min(PICTURES, len(keys))))  # noqa: S311  chance that can be repeated, no secret


def pictures_of(keys: Sequence[str], read: Callable[[str], bytes]) -> list[bytes]:
    """Each object's middle frame as a small JPEG without any text.  Raises `ReleaseError` if one can't be drawn."""
    return [_picture(read(key)) for key in keys]


def _picture(content: bytes) -> bytes:
    try:
        dataset = read_dataset(content)
        frames = decode_frames(dataset)
        look = Look(frames.shape, frames.photometric, dataset)
        middle = len(frames) // 2
        picture = shrunk(look.thumbnail(frames[middle], middle), LONGEST_SIDE)
    except Refused as refused:
        reason = refused.reason
    else:
        stream = io.BytesIO()
        Image.fromarray(picture).convert("RGB").save(stream, "JPEG", quality=JPEG_QUALITY)
        return stream.getvalue()
    raise ReleaseError(f"An object of the release can't be drawn ({reason}). Run `gradient release` again.")
