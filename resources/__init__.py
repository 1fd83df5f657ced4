"""What the platform talks to: buckets, the warehouse, Beam's runners, the vault.

Reading order: `settings` (the variables), `environment` (how everything is opened), `buckets`, `warehouses`, `engines`, and the
keys: `vault_contract`, `credentials`, `vault`, `key_records`.
Plain classes without Dagster, because Beam workers import them.  What a bucket's objects or a table's rows mean is
`gradient_assets`' business.
"""

from resources.environment import Resources, resources_for
from resources.settings import SETTINGS, Settings, SettingsError

__all__ = ["SETTINGS", "Resources", "Settings", "SettingsError", "resources_for"]
