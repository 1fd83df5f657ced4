"""A finder that finds what `small_home`'s finder finds, and takes its time until it is told to hurry."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.small_home import PlantedFinder

LONGEST_S = 60.0


@dataclass
class SlowFinder(PlantedFinder):
    """Writes `begun` into the folder when it is asked, and answers when `hurry` is there."""

    folder: str = ""

    def find(self, image):
        Path(self.folder, "begun").touch()
        deadline = time.monotonic() + LONGEST_S
        while not Path(self.folder, "hurry").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return super().find(image)
