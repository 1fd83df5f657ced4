"""Gradient: hospitals' DICOM images and reports, turned into a searchable, fully de-identified dataset.

In reading order: `hospitals` (who exists), `tables` (what is stored), `deid` (what is safe), `boundary` (what may cross),
`pipelines` (how much at once), `assets`, `checks`, `automation`, `ui` (what, when, for whom), `definitions` (the graph put
together), `samples` (three hospitals to try it on), `cli` (the command `gradient`).
"""

import time

__version__ = "0.1.0"

LOADED_AT = time.time()
"""When this process began to load the package: files that are newer are not what it runs."""
