"""What a run of one hospital asks of the warehouse: every call of all assets and their checks, counted in real runs.

    python -m benchmarks.warehouse_calls [--write]

Belongs here: a small hospital, its runs on the embedded warehouse, and the figures of which `growth` makes BigQuery's jobs.
Text in pixels is found by the tests' own finder; no call depends on that.  A test counts again, for hospitals of two sizes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fakes import small_hospital
from tests.graph.forked import Commands, ForkedHome, serving_commands

HOSPITAL = "st-mary"
COUNTED = Path(__file__).with_name("warehouse_calls.json")
FAKES = ("counted", "counted_calls")


@dataclass(frozen=True)
class Calls:
    """How often each method is called in one run; `load` is a table of shards or tokens that comes with a replacement."""

    nothing_new: dict[str, int]
    more_objects: dict[str, int]

    @classmethod
    def counted(cls) -> Calls:
        """Those of the file."""
        return cls(**json.loads(COUNTED.read_text(encoding="utf-8")))

    def as_json(self) -> str:
        """The file's content."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def calls_of_runs(commands: Commands, home: Path, sizes: int, others: Sequence[str] = ()) -> Calls:
    """Make a home of a hospital, `sizes` times as large as the smallest, beside others; run it, and count two runs more."""
    small_hospital.build(home, HOSPITAL, *others)
    for number in range(3, 1 + 2 * sizes):
        for patient in small_hospital.PATIENTS:
            send(home, patient, number)
    opened = ForkedHome(home, commands, fakes=FAKES)
    for hospital in (HOSPITAL, *others):
        calls_of_a_run(opened, hospital)
    nothing_new = calls_of_a_run(opened)
    send(home, small_hospital.GONE, 1 + 2 * sizes)
    return Calls(nothing_new, calls_of_a_run(opened))


def send(home: Path, patient: str, number: int) -> None:
    """One image more of the patient, and one report more of a file."""
    landing = home / "landing" / HOSPITAL
    (landing / "dicoms" / f"{patient}-{number}.dcm").write_bytes(small_hospital.instance(patient, number))
    header, *rows = small_hospital.REPORTS.splitlines()
    row = (
        next(row for row in rows if patient in row).replace("-1,", f"-{number},").replace("Note 1.", f"Note {number}.")
    )
    (landing / "reports" / f"{patient}-{number}.csv").write_text(f"{header}\n{row}\n")


def calls_of_a_run(home: ForkedHome, hospital: str = HOSPITAL) -> dict[str, int]:
    """`gradient run` of the hospital; exits unless it succeeds."""
    log = home.path.with_name(f"{home.path.name}.calls")
    log.unlink(missing_ok=True)
    home.gradient("run", "-H", hospital, CALLS_LOG=str(log))
    return dict(Counter(log.read_text(encoding="utf-8").split()))


def main() -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {COUNTED.name}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving_commands() as commands:
        calls = calls_of_runs(commands, Path(folder) / "home", 1)
    print(calls.as_json(), end="")
    if given.write:
        COUNTED.write_text(calls.as_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
