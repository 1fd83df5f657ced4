"""Put this folder on PYTHONPATH, and the report engine says of itself that it is a newer one."""

from gradient_assets.deid import text

text.ENGINE_VERSION = "99"
