"""How long is waited before a request is made again, where it is this package that makes it again.

Belongs here: the pauses.  obstore has its own (`remote_client`); what may be asked for twice says who asks.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0


def attempts(
    deadline_s: float, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """At once, then after pauses that grow; ends when the next one would be later than the deadline."""
    began, tries = now(), 0
    while True:
        yield
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tries)
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311  so that workers don't come back all at once
        if now() - began + pause > deadline_s:
            return
        sleep(pause)
        tries += 1
