"""The errors that every warehouse raises, apart from it so that the dialect can raise them too.

Messages hold table, partition, column and kind of failure, never a value of a row.
"""

from __future__ import annotations


class WarehouseError(Exception):
    """A table could not be read or written."""


class ZoneRefused(WarehouseError):  # noqa: N818  the name says what happened
    """This warehouse was not opened for the zone that was asked for."""
