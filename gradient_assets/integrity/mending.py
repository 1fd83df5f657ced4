"""Drops what somebody changed, so that it is made anew from what came before it.

Belongs here: which partitions go together.  A changed partition is never patched: nobody knows what else was changed in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradient_assets.hospitals import Registry
from gradient_assets.integrity import recorded
from gradient_assets.integrity.origins import STAGES, stage_of
from gradient_assets.integrity.recheck import Difference, What
from gradient_assets.tables import BY_NAME, TableSpec
from resources import Resources

MENDED: frozenset[What] = frozenset({"changed", "missing", "extra", "unreadable record"})


def drop_changed(
    resources: Resources, registry: Registry, differences: Iterable[Difference]
) -> list[tuple[TableSpec, str]]:
    """Drop the partitions that differ, each with all tables of its stage; returns them.

    Partitions of unregistered hospitals stay: nothing would make them anew.
    """
    dropped: dict[tuple[str, str], tuple[TableSpec, str]] = {}
    for difference in differences:
        if difference.what not in MENDED:
            continue
        for spec in _tables_of(difference):
            if spec.partitioned_by == "hospital" and difference.partition not in registry.ids:
                continue
            dropped[spec.full_name, difference.partition] = (spec, difference.partition)
    for spec, partition in dropped.values():
        recorded.drop(resources.warehouse, resources.partition_records, spec, partition, "verify")
    return list(dropped.values())


def _tables_of(difference: Difference) -> tuple[TableSpec, ...]:
    spec = BY_NAME.get(difference.place)
    if spec is not None:
        stage = stage_of(spec)
        return (spec,) if stage is None else stage.all
    if difference.place == "thumbnails":
        return next(stage.all for stage in STAGES if stage.objects == "thumbnails")
    return ()
