"""What people look at in the Dagster UI: lineage tables.

Belongs here: metadata values made for the eye.  What may be shown at all is `boundary`'s list.
"""
