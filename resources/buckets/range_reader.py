"""A file-like view of one object, read by ranges, for parsers that seek.

Belongs here: the window and how it grows.  Where the bytes come from is the function it is given (`object_store.Bucket`).
A header of a 20 MB image costs one read of 64 KiB this way; a parser that goes on reading gets larger windows.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

FIRST_WINDOW_BYTES = 64 * 1024
LARGEST_WINDOW_BYTES = 1024 * 1024


class RangeReader(io.RawIOBase):
    """A seekable binary stream over `fetch(start, length)`; `size` is the object's length.

    `read(n)` returns all n bytes unless the object ends before: n is cut to what is left, so that a forged length asks for
    no memory.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._next_window = FIRST_WINDOW_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        content = self._take(wanted)
        self._position += len(content)
        return content

    def readall(self) -> bytes:
        return self.read(-1)

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _take(self, wanted: int) -> bytes:
        if not wanted:
            return b""
        start = self._position - self._window_start
        if start >= 0 and start + wanted <= len(self._window):
            return self._window[start : start + wanted]
        if 0 <= start < len(self._window):
            have = self._window[start:]
        else:
            have = b""
        fetch_from = self._position + len(have)
        length = min(max(wanted - len(have), self._next_window), self._size - fetch_from)
        fetched = self._fetch(fetch_from, length)
        self._next_window = min(self._next_window * 2, LARGEST_WINDOW_BYTES)
        # A large value is handed over whole; only the tail that a parser may still ask for stays in the window.
        self._window, self._window_start = fetched, fetch_from
        return have + fetched[: wanted - len(have)]
