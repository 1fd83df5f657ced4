"""The report of a release, for the recipient and the privacy officer: one printable page without anything from outside.

Belongs here: counting the manifest's rows and laying them out.  Groups under 11 are not counted out (the rule of CMS for
small cells), since a small count of a group can point at a person; totals are.  Of the cohort's condition the columns are
shown, not the values: whoever wrote it may have typed a name.
"""

from __future__ import annotations

import html
from collections import Counter
from typing import Any

from gradient_assets.cohort import condition_columns
from gradient_assets.releases import Release

SMALLEST_CELL = 11

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; color: #1c2733; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; }
td, th { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid #d7dee6; }
td.n { text-align: right; } code { background: #eef2f6; padding: .1rem .3rem; }
"""


def render_report(release: Release, rows: list[dict[str, Any]]) -> str:
    """The page as HTML.  `rows` are the release's rows of `release_manifest`."""
    patients = len({row["patient_pseudonym"] for row in rows})
    studies = len({row["study_instance_uid"] for row in rows})
    boxes = sum(row["boxes"] for row in rows)
    redacted = sum(row["boxes"] > 0 for row in rows)
    removed = sum(row["elements_removed"] for row in rows)
    body = [
        f"<h1>Release {_e(release.name)} for {_e(release.recipient)}</h1>",
        f"<p>Cohort: a condition over <code>{_e(', '.join(condition_columns(release.condition)))}</code>.</p>",
        _table(
            "What it holds",
            [
                ("patients", patients),
                ("studies", studies),
                ("objects", len(rows)),
                ("bytes", sum(row["size"] for row in rows)),
            ],
        ),
        _table("Objects by hospital", _counts(f"hospital {row['hospital_number']}" for row in rows)),
        _table("Objects by modality", _counts(row["modality"] or "none" for row in rows)),
        _table(
            "What was removed",
            [
                ("header elements removed", removed),
                ("boxes of text blacked out", boxes),
                ("objects with boxes", redacted),
            ],
        ),
        _table(
            "By what",
            [
                (f"profile {name}", count)
                for name, count in _counts(f"{row['profile']}, PS3.15 {row['standard_edition']}" for row in rows)
            ]
            + [(f"engines {name}", count) for name, count in _counts(row["engine_version"] for row in rows)],
        ),
        "<p>Every object was cleaned from the original under this recipient's own pseudonyms, searched for every identifier "
        "known of its patient, and its pixels were looked at again by a second model. Digests stand in "
        "<code>manifest.csv</code>.</p>",
    ]
    head = f'<meta charset="utf-8"><title>Release {_e(release.name)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _counts(values: Any) -> list[tuple[str, int | str]]:
    counted = Counter(values)
    return [(name, n if n >= SMALLEST_CELL else f"under {SMALLEST_CELL}") for name, n in sorted(counted.items())]


def _table(title: str, cells: list[tuple[str, Any]]) -> str:
    rows = "".join(f'<tr><td>{_e(name)}</td><td class="n">{_e(_number(value))}</td></tr>' for name, value in cells)
    return f"<h2>{_e(title)}</h2><table>{rows}</table>"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _e(text: Any) -> str:
    return html.escape(str(text))
