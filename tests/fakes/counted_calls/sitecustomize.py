"""Put this folder on PYTHONPATH, and each call of the warehouse becomes a line of the file that `CALLS_LOG` names.

What one asks of another call of the same warehouse is not counted: on BigQuery it may be no job of its own.
"""

import os
from functools import cached_property
from pathlib import Path

from resources import Resources

NOT_SENT = ("location", "staging", "zones", "specs", "home")
"""What answers without asking BigQuery."""


class CountingWarehouse:
    """A warehouse that writes down what it is asked, and passes it on."""

    def __init__(self, inner, log):
        self._inner = inner
        self._log = log

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._inner, name)
        if name in NOT_SENT:
            return found

        def counted(*arguments, **named):
            self._write(name, *("load" for given in ("shards", "drop_tokens") if named.get(given)))
            return found(*arguments, **named)

        return counted

    def scan(self, *arguments, **named):
        """A scan that nobody reads asks nothing."""
        self._write("scan")
        yield from self._inner.scan(*arguments, **named)

    def _write(self, *calls):
        with self._log.open("a", encoding="utf-8") as log:
            log.writelines(f"{call}\n" for call in calls)


if "CALLS_LOG" in os.environ:
    opened = Resources.__dict__["warehouse"].func
    counting = cached_property(lambda self: CountingWarehouse(opened(self), Path(os.environ["CALLS_LOG"])))
    counting.__set_name__(Resources, "warehouse")
    Resources.warehouse = counting
