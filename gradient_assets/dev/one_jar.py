"""Many Java libraries as one file.

Belongs here: what has to be joined and what to be left out when archives become one.  Why: Beam's job server sends its whole
class path to a Flink cluster with each job, file by file.  162 files (157 MB) took 16 s, one file of the same size 4 s.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

JOINED = ("META-INF/services/", "reference.conf")
"""Lists of which each library holds its own part."""
LEFT_OUT = ("META-INF/MANIFEST.MF", "module-info.class")
"""What describes one archive alone."""
SIGNATURES = (".SF", ".DSA", ".RSA")
"""A signature does not hold for the other archives' files, and Java refuses to load them then."""


def write_one_jar(jars: Iterable[Path], target: Path) -> None:
    """Write the files of all archives, in their names' order; of several with one name the first.  Raises `OSError`."""
    taken: set[str] = set()
    joined: dict[str, list[bytes]] = defaultdict(list)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as one:
        for jar in sorted(jars):
            with zipfile.ZipFile(jar) as archive:
                for name in archive.namelist():
                    if name.startswith(JOINED):
                        joined[name].append(archive.read(name))
                    elif name not in taken and not name.endswith(("/", *SIGNATURES, *LEFT_OUT)):
                        taken.add(name)
                        one.writestr(name, archive.read(name))
        for name, parts in joined.items():
            if not name.endswith("/"):
                one.writestr(name, b"\n".join(parts) + b"\n")
