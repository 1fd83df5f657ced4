"""The pages of a PDF as pictures, drawn in a process of its own.

Belongs here: the drawing and its limits.  PDFium is native code that reads what strangers wrote, so it runs in a fresh
process with a bound on memory and time, an empty environment and no voice but its output.  What is done with the pages is
`documents`' business.  This file is also the program that process runs; it imports nothing of this package.

Output of the program: for each page width and height (two 32-bit numbers, little endian) and its RGB bytes, row by row.
"""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

DPI = 150
"""6 pt letters are 7 px high in lower case, the least the text finder was measured on; 300 takes four times as long."""
MAX_PAGES = 40
MAX_SIDE_PX = 4_000
"""26 inches; the longer side of A3 has 2,481 px."""
MAX_PIXELS = 90_000_000
"""Of all pages: 270 MB of RGB, 41 pages of A4; cleaning holds three copies."""
MAX_MEMORY_BYTES = 2 * 1024**3
"""Address space of the drawing process; a page of A4 needs under 0.3 GB."""
MAX_SECONDS = 120

_POINTS_PER_INCH = 72
_PDF_MARK = b"%PDF-"
_MARK_WITHIN = 1024
"""PDF readers accept the mark anywhere in the first 1,024 bytes (ISO 32000-1 annex H, note 13)."""


class UndrawableError(Exception):
    """The document could not be drawn within the limits; the message holds nothing of it."""


def is_pdf(document: bytes) -> bool:
    """Whether the bytes say they are a PDF."""
    return _PDF_MARK in document[: _MARK_WITHIN + len(_PDF_MARK)]


def drawn_pages(document: bytes) -> list[NDArray[np.uint8]]:
    """Each page, H × W × 3 (RGB) at `DPI`.  Raises `UndrawableError` for a broken, encrypted or oversized document."""
    try:
        drawing = subprocess.run(  # noqa: S603  our own interpreter and file
            [sys.executable, "-I", __file__],
            input=document,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=MAX_SECONDS,
            env={},
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise UndrawableError(type(error).__name__) from None
    if drawing.returncode:
        raise UndrawableError("the document can't be drawn within the limits")
    return _pages_of(drawing.stdout)


def _pages_of(output: bytes) -> list[NDArray[np.uint8]]:
    pages, at = [], 0
    while at < len(output):
        width, height = struct.unpack_from("<LL", output, at)
        pages.append(np.frombuffer(output, np.uint8, width * height * 3, at + 8).reshape(height, width, 3))
        at += 8 + width * height * 3
    if not pages:
        raise UndrawableError("a document without pages")
    return pages


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold identified data


def _sizes(document: Any) -> list[tuple[int, int]]:
    """Pixels of each page, before anything is drawn.  Raises `UndrawableError` beyond the limits."""
    if len(document) > MAX_PAGES:
        raise UndrawableError("too many pages")
    scale = DPI / _POINTS_PER_INCH
    sizes = [
        (round(width * scale), round(height * scale))
        for width, height in map(document.get_page_size, range(len(document)))
    ]
    if any(not 0 < side <= MAX_SIDE_PX for size in sizes for side in size):
        raise UndrawableError("a page beyond the limit")
    if sum(width * height for width, height in sizes) > MAX_PIXELS:
        raise UndrawableError("too many pixels")
    return sizes


def _draw() -> None:
    import pypdfium2  # type: ignore[import-untyped]  # ships no types; imported only in the process that draws

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    document.init_forms()
    _sizes(document)
    for number in range(len(document)):
        page = document[number]
        bitmap = page.render(scale=DPI / _POINTS_PER_INCH, rev_byteorder=True)
        picture = np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
        sys.stdout.buffer.write(struct.pack("<LL", picture.shape[1], picture.shape[0]) + picture.tobytes())
        bitmap.close()
        page.close()


if __name__ == "__main__":
    _limit()
    try:
        _draw()
    except BaseException:  # the text of the error may quote the document
        sys.exit(1)
