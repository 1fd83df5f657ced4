"""Put this folder on PYTHONPATH: no model is loaded, and each change of a file in the home is counted, in any process of a run.

`COUNTED_HOME` names the home, `COUNTED_LOG` a file outside it that gets a line for each change before it is made, and with
`KILL_AT=n` the whole process group gets SIGKILL instead of the n-th change.  Python's audit events tell of every file that is
opened for writing, renamed or removed, whoever does it; what Arrow writes by itself lies between two of them.
"""

import os
import signal
import sys

from gradient_assets.deid.pixels import RapidTextFinder, ResidualTextFinder
from gradient_assets.deid.pixels.finding import Looked
from tests.fakes.counted.log import LINE_BYTES
from tests.fakes.small_home import PlantedFinder

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove")


def changed(event, args):
    """The path that the event is about to change; None if it changes nothing that has a path."""
    if (event in CHANGES or (event == "open" and args[2] & WRITING)) and isinstance(args[0], str | bytes | os.PathLike):
        return os.fsdecode(args[0])
    return None


def count_changes():
    """From now on, if the environment asks for it."""
    if "COUNTED_LOG" not in os.environ:
        return
    home, kill_at = os.environ["COUNTED_HOME"] + "/", int(os.environ.get("KILL_AT", "0"))
    log = os.open(os.environ["COUNTED_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def count(event, args):
        path = changed(event, args)
        if path is None or not path.startswith(home) or path.startswith(f"{home}dagster/"):
            return
        line = f"{event} {path.removeprefix(home)}".encode()[: LINE_BYTES - 1]
        os.write(log, line.ljust(LINE_BYTES - 1) + b"\n")
        # Lines of several processes go to one file, and the position after a write is that of this line's end.
        if os.lseek(log, 0, os.SEEK_CUR) == kill_at * LINE_BYTES:
            os.killpg(0, signal.SIGKILL)

    sys.addaudithook(count)


RapidTextFinder.find = ResidualTextFinder.find = lambda self, image: PlantedFinder().find(image)
RapidTextFinder.look = lambda self, image: Looked(self.find(image), [])
count_changes()
