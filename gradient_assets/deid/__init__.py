"""The de-identification itself."""
