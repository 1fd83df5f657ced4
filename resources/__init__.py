"""What the platform talks to: buckets, the warehouse, Beam's runners, the vault.

Reading order: `environment` (settings and how everything is opened), `object_store` (with `local_folder`, `range_reader`),
`warehouse` (with `dialect`, `full_text`, `bigquery`), `beam` (with `dataflow`), `vault`.
Plain classes without Dagster, because Beam workers import them.  What a bucket's objects or a table's rows mean is
`gradient_assets`' business.
"""

from resources.environment import SETTINGS, Resources, Settings, SettingsError, resources_for

__all__ = ["SETTINGS", "Resources", "Settings", "SettingsError", "resources_for"]
