"""The attacked hospital through the real graph: run, release, approve, deliver, with the real engines.

Belongs here: the commands, and `python -m tests.redteam`, which writes `redteam.json` anew for a review.
"""

from __future__ import annotations

from pathlib import Path

from tests.graph.forked import Commands, ForkedHome
from tests.redteam.hospital import RECIPIENT, RELEASE, write_home
from tests.redteam.outcome import Ended

COMMANDS = (
    ("run",),
    ("release", RELEASE, "--recipient", RECIPIENT, "--where", "TRUE", "--by", "asker"),
    ("approve", RELEASE, "--by", "reader"),
    ("deliver", RELEASE),
)


def run(path: Path, commands: Commands) -> Ended:
    """All four commands in a new home, with no fake in force."""
    made, home = write_home(path), ForkedHome(path, commands, fakes=())
    printed = ""
    for command in COMMANDS:
        done = home.gradient(*command)
        printed += done.stdout + done.stderr
    return Ended(home, made, printed)
