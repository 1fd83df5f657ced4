"""Print the figures of one seed as JSON: `python -m tests.unit.pixels.bench DICOM_FOLDER --seed 1 --lines 2`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gradient_assets.deid.pixels import RapidTextFinder, ResidualTextFinder
from tests.unit.pixels.bench.planting import SCRIPTS, packaged_grounds, real_grounds
from tests.unit.pixels.bench.scoring import FIRST_SCORED_SEED, score

FINDERS = {"default": RapidTextFinder, "residual": ResidualTextFinder}


def main() -> None:
    """Run the bench over a folder of real files, or over pydicom's own when none is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="a folder with manifest.csv (../shared/data/dicom)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=2, help="lines planted into each picture, each alone")
    parser.add_argument("--part", default="1/1", help="every n-th picture from the i-th on, as i/n")
    parser.add_argument("--scripts", action="store_true", help="names in other scripts; clean pictures are not counted")
    parser.add_argument("--longest", type=int, default=2600, help="no picture with a longer side, px")
    parser.add_argument("--finder", choices=FINDERS, default="default")
    options = parser.parse_args()
    grounds = real_grounds(options.folder, longest_px=options.longest) if options.folder else packaged_grounds()
    first, step = map(int, options.part.split("/"))
    result = score(
        FINDERS[options.finder](),
        grounds[first - 1 :: step],
        options.seed,
        options.lines,
        clean=not options.scripts,
        scripts=tuple(SCRIPTS) if options.scripts else (),
    )
    json.dump(result.figures(with_misses=options.seed < FIRST_SCORED_SEED), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
