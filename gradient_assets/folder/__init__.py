"""One folder, no graph: `gradient deidentify IN OUT`, with the very engines that the assets use.

Reading order: `request` (what is asked for, and what is refused before anything is read), `walking` (which files IN
holds), `exchange` (work items to worker processes and back), `patients` (what is known of whom), `images` and `reports`
(the steps), `delivery` (OUT), `crosswalk` (FILE), `job` (the order of it all).

Belongs here: reading a folder and CSV files, and writing a folder and a CSV file, without Dagster, Beam or a warehouse.
What makes an object or a text safe is `deid`'s business; arguments, progress bar and sentences are `cli.deidentify`'s.
"""

from gradient_assets.folder.job import FolderJob, Summary
from gradient_assets.folder.request import FolderError, FolderRequest, ReportsRequest

__all__ = ["FolderError", "FolderJob", "FolderRequest", "ReportsRequest", "Summary"]
