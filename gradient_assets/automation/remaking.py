"""What is made again by itself: the tables put together by SQL, when a cleaned asset was made alone.

Belongs here: the one condition, the assets that it holds for, and the sensor that looks.  Cleaning is not among them: it may
cost hours, and its inputs have no blocking check that could vouch for them; the job `hospital` starts it, by a person or by
`arrival`.  Releases are people's business altogether.
"""

from __future__ import annotations

import dagster as dg

REMADE = ("final_table", "prod", "public_table")

SENSOR = "remaking"

EVERY_S = 30
"""A change comes through the three tables in as many ticks, each after the checks of the one before."""


def when_to_remake() -> dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]:
    """The content of something before it has changed since it was made or asked for, and all that was checked there passed.

    `eager()` would ask after every materialization, also of equal content.  The run that makes both answers the change itself:
    the asset is in progress till then, and handled from then on.
    """
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    return (
        changed.since_last_handled()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("a checked change before it")


def remaking(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The spec, with the condition if it is one of those."""
    if spec.key.to_user_string() not in REMADE:
        return spec
    return spec.replace_attributes(automation_condition=when_to_remake())


def remaking_sensor() -> dg.AutomationConditionSensorDefinition:
    """The sensor that looks at the condition; a run for each hospital, so that the limit of one run per hospital holds."""
    return dg.AutomationConditionSensorDefinition(
        SENSOR,
        target=dg.AssetSelection.assets(*REMADE),
        minimum_interval_seconds=EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        emit_backfills=False,
        description="Makes final_table, prod and public_table of a hospital again when what is before them was made alone, "
        "has changed, and passed its blocking checks.",
    )
