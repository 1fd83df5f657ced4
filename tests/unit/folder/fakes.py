"""Finders that do what no real one should.  They are pickled to worker processes, so they live in a module of their own."""

import os
import signal


class NoTextFinder:
    """Sees nothing, at once."""

    name = "none"

    def find(self, image):
        return []


class DyingFinder(NoTextFinder):
    """Kills its process at pictures of one size, as a crash in native code would."""

    def __init__(self, rows, columns):
        self.shape = (rows, columns)

    def find(self, image):
        if image.shape[:2] == self.shape:
            os.kill(os.getpid(), signal.SIGKILL)
        return []


class HungryFinder(DyingFinder):
    """Runs out of memory at pictures of one size."""

    def find(self, image):
        if image.shape[:2] == self.shape:
            raise MemoryError
        return []


class UnloadableFinder(NoTextFinder):
    """Can't be opened in a worker."""

    def __setstate__(self, state):
        raise RuntimeError

    def __getstate__(self):
        return {"something": True}


class ReadsNothing(NoTextFinder):
    """Sees nothing, and reads nothing either."""

    def read(self, image):
        return []
