"""The independent look at what was written: is any known identifier left?

Reading order: `findings` (what is reported), `vocabulary` and `folding` (how text is read), `names`, `forms`, `uids`,
`dates`, `typos` (what is looked for), `judging` and `index` (the search over a hospital), `own` (the stricter search of one
patient's own record), `containers` (PNG and DICOM files), `levels` and `profile` (the DICOM profile, evaluated a second time),
`patterns` (identifiers that nobody knows yet), `pictures` (text in pixels, with a reader that is handed in).

Belongs here: search only.  This package shares no rule and no code with the engines it checks (`headers`, `text`,
`pixels`, `identity`) and changes nothing; what follows from a hit is decided by the asset checks.
"""

from gradient_assets.deid.verify.containers import search_dicom, search_png
from gradient_assets.deid.verify.findings import Finding, Hit
from gradient_assets.deid.verify.index import IdentifierIndex
from gradient_assets.deid.verify.own import residual_in_dataset, residual_in_text
from gradient_assets.deid.verify.patterns import Suspicions, suspicions_in_column, suspicions_in_text

__all__ = [
    "Finding",
    "Hit",
    "IdentifierIndex",
    "Suspicions",
    "residual_in_dataset",
    "residual_in_text",
    "search_dicom",
    "search_png",
    "suspicions_in_column",
    "suspicions_in_text",
]
