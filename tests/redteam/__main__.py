"""Write `redteam.json` anew: `python -m tests.redteam`."""

import sys
import tempfile
from pathlib import Path

from tests.graph.forked import serving_commands
from tests.redteam import outcome
from tests.redteam.run import run

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, serving_commands() as commands:
        ended = run(Path(folder) / "home", commands)
        rows = outcome.table(ended.made, ended.caught().__getitem__)
        outcome.write(rows)
        sys.stdout.write("".join(f"{count:4} {who}\n" for who, count in outcome.counts(rows).most_common()))
