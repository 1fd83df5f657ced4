"""Three sample hospitals, made by code from DICOM files inside the pydicom package and from invented people.

Reading order: `planted` (what was hidden where), `people` (who), `context` (which study), `burn` (text into pixels), `encode`
(pixels into transfer syntaxes), `headers` and `hiding_places` (identifiers into data sets), `studies` (recipes into
objects), `reports` and `folder_reports` (CSV exports), `broken` (what goes wrong in real buckets), `build` (all of it on disk).
Belongs here: making samples for the demo and the tests.  Nothing in the asset graph may import this package, and nothing
here removes an identifier: it only plants them, and keeps the list that the searches for leaks are made with.
"""

from gradient_assets.samples.build import Samples, build_samples, grow
from gradient_assets.samples.folder_reports import make_reports_for
from gradient_assets.samples.planted import Planted, read_planted

__all__ = ["Planted", "Samples", "build_samples", "grow", "make_reports_for", "read_planted"]
