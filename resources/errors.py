"""The errors that every warehouse raises, apart from it so that the dialect can raise them too, and what they hold back.

Messages hold table, partition, column and kind of failure, never a value of a row.  The text of the error that a library
raised is hung on ours, where no message, repr, traceback or chain shows it: `gradient_assets.diagnostics` seals it.
"""

from __future__ import annotations

import re
import traceback
from typing import TypeVar

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


_HELD_BACK = "gradient_withheld_text"
_MAX_HELD_BACK = 16 * 1024

_Failure = TypeVar("_Failure", bound=Exception)


def holding_back(failure: _Failure, original: BaseException) -> _Failure:
    """The failure, with the original's text hung on it for the diagnostics.  It may hold a value or a key."""
    return holding_text_back(failure, "".join(traceback.format_exception(original)))


def holding_text_back(failure: _Failure, text: str) -> _Failure:
    """As `holding_back`, of a text that came without an exception: what a runner tells of its job."""
    failure.__dict__[_HELD_BACK] = text[-_MAX_HELD_BACK:]
    return failure


def withheld_text(error: BaseException) -> str:
    """What was hung on the error; empty for any other."""
    return str(getattr(error, "__dict__", {}).get(_HELD_BACK, ""))


class WarehouseError(Exception):
    """A table could not be read or written."""


class ZoneRefused(WarehouseError):  # noqa: N818  the name says what happened
    """This warehouse was not opened for the zone that was asked for."""


def checked_name(name: str, what: str) -> str:
    """A name that can be part of a path, a job id and a URI.  Raises `WarehouseError`."""
    if _NAME.fullmatch(name) is None:
        raise WarehouseError(f"{what} is made of letters, digits, '.', '_' and '-', and does not begin with a sign")
    return name
