"""The errors that every warehouse raises, apart from it so that the dialect can raise them too.

Messages hold table, partition, column and kind of failure, never a value of a row.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class WarehouseError(Exception):
    """A table could not be read or written."""


class ZoneRefused(WarehouseError):  # noqa: N818  the name says what happened
    """This warehouse was not opened for the zone that was asked for."""


def checked_name(name: str, what: str) -> str:
    """A name that can be part of a path, a job id and a URI.  Raises `WarehouseError`."""
    if _NAME.fullmatch(name) is None:
        raise WarehouseError(f"{what} is made of letters, digits, '.', '_' and '-', and does not begin with a sign")
    return name
