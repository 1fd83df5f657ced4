"""`python -m tests.midi SEED [FILES]`: the table of one seed for both halves, and each class of misses."""

import sys

from tests.midi.bench import run

if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    for half in ("seen", "held_out"):
        found = run(seed, half, most=most, shared=True, burned=4)  # type: ignore[arg-type]  # one of the two literals
        sys.stdout.write(f"\n{half}: {len(found.keys)} files, refused {dict(found.refused)}\n{found.score.table()}\n")
