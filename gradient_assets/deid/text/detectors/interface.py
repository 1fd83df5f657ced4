"""What a detector is, and how one that can't work says so before the first record.

Belongs here: the protocol, the error, and loading an optional package.  What the engine does with the spans is `engine`'s
business: a detector may only add to what the rules find.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from gradient_assets.deid.text.spans import Span


class DetectorUnavailableError(ValueError):
    """A detector was asked for that can't run here; the message says what to install or to set."""


class Detector(Protocol):
    """Finds identifiers in a text.

    It is picklable and small: settings travel to a worker, the model is loaded there, once per process.  `name` and
    `version` go into the version of what was cleaned with it, so that rows are made again when either changes.
    """

    @property
    def name(self) -> str:
        """Its name in the registry."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same text may give other spans."""
        ...

    def load(self) -> None:
        """Read the model now.  Raises `DetectorUnavailableError`."""
        ...

    def detect(self, text: str) -> list[Span]:
        """Spans of identifiers with offsets into `text`, in any order.  An exception refuses the record."""
        ...


def required(module: str, extra: str) -> Any:
    """An optional module.  Raises `DetectorUnavailableError` naming the extra that brings it."""
    try:
        return import_module(module)
    except ImportError:
        raise DetectorUnavailableError(
            f"detector {extra!r}: the package {module.split('.')[0]!r} can't be imported; "
            f"pip install 'gradient-assets[{extra}]'"
        ) from None


def widened(start: int, end: int, text: str) -> tuple[int, int]:
    """The same span, out to the edges of the words it cuts: half a name is still a name."""
    while start > 0 and text[start].isalnum() and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
        end += 1
    return start, end
