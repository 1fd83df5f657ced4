"""A finder that finds what `small_home`'s finder finds, and takes its time until it is told to hurry."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.small_home import PlantedFinder

LONGEST_S = 60.0


@dataclass
class SlowFinder(PlantedFinder):
    """Writes its process id into `begun` in the folder when it is asked, and answers when `hurry` is there."""

    folder: str = ""

    def find(self, image):
        begun = Path(self.folder, f"begun-{os.getpid()}")
        begun.write_text(str(os.getpid()))
        begun.replace(Path(self.folder, "begun"))
        deadline = time.monotonic() + LONGEST_S
        while not Path(self.folder, "hurry").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return super().find(image)
