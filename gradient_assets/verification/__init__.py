"""The independent verification: what was written is read back and judged, row by row and object by object.

Reading order: `found` (what is kept of a look: counts, and whose row or object it was), `originals` (what it is compared
with), `known` (what is searched for), `rows` (tables), `objects` (thumbnails and DICOM objects), `looked_at` (pictures in
which nothing was ever read), `remembered` (looks that found nothing, while nothing changes), `partitions` (everything that
is looked at after each stage).

Belongs here: reading partitions back and tying each finding to its work token.  How an identifier, a pattern, a breach of
the profile or a text in pixels is told is `deid.verify`'s business.  Findings are put aside by `pipelines.stage`
(`StageRun.isolate`), right after a stage; then the blocking `checks` look again by themselves, and must find nothing.
"""

from gradient_assets.verification.found import Found
from gradient_assets.verification.partitions import Verifier
from gradient_assets.verification.remembered import Remembered

__all__ = ["Found", "Remembered", "Verifier"]
