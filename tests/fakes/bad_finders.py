"""Finders that fail in the ways that native code fails."""

import os
import signal
import time
from dataclasses import dataclass


@dataclass
class DyingFinder:
    """Kills its process."""

    name: str = "dying"
    version: str = "1"

    def find(self, image):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class HangingFinder:
    """Never answers."""

    name: str = "hanging"
    version: str = "1"

    def find(self, image):
        time.sleep(3600)


@dataclass
class RaisingFinder:
    """Fails with what it read in its message."""

    name: str = "raising"
    version: str = "1"

    def find(self, image):
        raise ValueError("QUILLFEATHER stands in this message")


@dataclass
class UnloadableFinder:
    """Can't be set up in another process."""

    name: str = "unloadable"
    version: str = "1"

    def __setstate__(self, state):
        raise RuntimeError("no model")

    def find(self, image):
        return []
