"""A store that has failed several times in a row is left alone for a while.

Belongs here: counting and waiting.  One object of a store that is down costs its whole deadline; at 100,000 of them a run
would take days, and with them a place in the queue that other hospitals need.  What is refused meanwhile is tried again in the
next run.
"""

from __future__ import annotations

import time
from collections.abc import Callable

BREAK_AFTER = 5
"""So many failures in a row, each after its own retries: single objects that a server can't give are fewer."""
REST_S = 30.0
"""After it one request goes through: a store that is back is used again within half a minute."""


class Breaker:
    """Counts one store's failures.  Not shared between processes."""

    def __init__(
        self, after: int = BREAK_AFTER, rest_s: float = REST_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._after, self._rest_s, self._now = after, rest_s, now
        self._failures = 0
        self._until = 0.0

    @property
    def open(self) -> bool:
        """Whether the store is being left alone."""
        return self._failures >= self._after and self._now() < self._until

    def failed(self) -> None:
        """The store did not answer, or with an error."""
        self._failures += 1
        self._until = self._now() + self._rest_s

    def answered(self) -> None:
        """The store did answer, be it that there is no such object."""
        self._failures = 0
