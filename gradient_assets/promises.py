"""What the boundary guarantees, by which step, check and test: rows for docs/boundary.md, from data.

Belongs here: reading `promises.json` (guarantees, the identifiers of HIPAA Safe Harbor), `mutations.json` (what catches a step
that is switched off), `redteam.json` (who caught which planted identifier) and `crossing.yaml` (what messages may hold), as
rows of tables.  How tables are written is `reference`'s business.  Tests compare every name in them with the checks of the
graph and the functions of the tests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gradient_assets.boundary import OBJECT_KEYS

_FOLDER = Path(__file__).parent
Rows = list[list[str]]


def promises() -> dict[str, Any]:
    """`promises.json` as it is."""
    return _read("promises.json")


def mutations() -> list[dict[str, Any]]:
    """Steps that were switched off: `step`, `off` (what was done), `caught_by` (empty: nothing else catches it)."""
    if not (_FOLDER / "mutations.json").exists():
        return []
    steps: list[dict[str, Any]] = _read("mutations.json")["steps"]
    return steps


def guarantee_rows() -> Rows:
    """Promise, step, check, test."""
    head = ["promise", "step", "check over what was written", "test"]
    return [head, *([one["promise"], one["step"], _checks(one), _tests(one)] for one in promises()["guarantees"])]


def safe_harbor_rows() -> Rows:
    """Identifier, step, check, test, what is not covered."""
    return [
        ["identifier", "step", "check", "test", "not covered"],
        *(
            [f"({one['letter']}) {one['what']}", one["step"], _checks(one), _tests(one), one["left"]]
            for one in promises()["safe_harbor"]["identifiers"]
        ),
    ]


def mutation_rows() -> Rows:
    """Step, what was switched off, what caught it."""
    rows = [[one["step"], one["off"], ", ".join(one["caught_by"]) or "**nothing**"] for one in mutations()]
    return [["protective step", "switched off", "caught by"], *rows]


def redteam_rows() -> Rows:
    """Kind of identifier, and how many of the planted ones were caught by whom."""
    plants = _read("redteam.json")["plants"]
    who = list(dict.fromkeys(_short(one) for one in plants))
    who.sort(key=lambda one: (one == "LEAKED", one.startswith("quarantined"), one))
    found = Counter((one["kind"], _short(one)) for one in plants)
    kinds = list(dict.fromkeys(one["kind"] for one in plants))
    rows = [[kind.replace("_", " "), *(str(found[kind, one] or "") for one in who)] for kind in kinds]
    total = ["**all**", *(str(sum(found[kind, one] for kind in kinds)) for one in who)]
    return [["kind", *who], *rows, total]


def redteam_residual_rows() -> Rows:
    """What of the planted identifiers still leaks, and why."""
    left = _read("redteam.json")["residual"]
    return [["kind", "place", "why"], *([one["kind"], one["place"], one["why"]] for one in left)]


def _short(one: Mapping[str, Any]) -> str:
    return str(one["caught"]).partition(":")[0]


def object_key_rows() -> Rows:
    """Place, what, form, reason."""
    rows = [[one.place, one.what, f"`{one.form}`", one.reason] for one in OBJECT_KEYS]
    return [["place", "what", "form", "why it may stand there"], *rows]


def message_rows() -> Rows:
    """What values in messages are, and how many expressions of the code are such."""
    listed = yaml.safe_load((_FOLDER / "crossing.yaml").read_text(encoding="utf-8"))
    places = Counter({meaning: len(found) for meaning, found in listed["anywhere"].items()})
    for by_meaning in listed["modules"].values():
        places.update({meaning: len(found) for meaning, found in by_meaning.items()})
    return [
        ["a value in a message is", "expressions"],
        *([why, str(places[one])] for one, why in listed["meanings"].items()),
    ]


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return found


def _checks(one: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in one["checks"]) or "—"


def _tests(one: Mapping[str, Any]) -> str:
    named = (test.partition("::") for test in one["tests"])
    return "; ".join(f"[{name.removeprefix('test_').replace('_', ' ')}](../tests/{path})" for path, _, name in named)
