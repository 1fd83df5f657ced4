"""The attacked hospital through the real graph: run, release, approve, deliver, with the real engines.

Belongs here: the commands, and `python -m tests.redteam`, which writes `redteam.json` anew for a review.
"""

from __future__ import annotations

from pathlib import Path

from tests.graph.conftest import Home
from tests.redteam.hospital import RECIPIENT, RELEASE, write_home
from tests.redteam.outcome import Ended

COMMANDS = (
    ("run",),
    ("release", RELEASE, "--recipient", RECIPIENT, "--where", "TRUE", "--by", "asker"),
    ("approve", RELEASE, "--by", "reader"),
    ("deliver", RELEASE),
)


def run(path: Path) -> Ended:
    """All four commands in a new home."""
    made, home = write_home(path), Home(path)
    printed = ""
    for command in COMMANDS:
        done = home.gradient(*command)
        printed += done.stdout + done.stderr
    return Ended(home, made, printed)
