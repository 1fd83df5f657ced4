"""The asset checks that the graph has, by name."""

from functools import cache

from gradient_assets.reference import ROOT


@cache
def checks_of_the_graph(*, blocking: bool = False) -> frozenset[str]:
    """Names of all checks, or of those that block on any asset."""
    from gradient_assets.definitions import build_defs

    defs = build_defs({"GRADIENT_HOSPITALS": str(ROOT / "hospitals.yaml"), "GRADIENT_HOME": str(ROOT / "nowhere")})
    specs = [spec for checks in defs.asset_checks for spec in checks.check_specs]
    return frozenset(spec.name for spec in specs if spec.blocking or not blocking)
