"""What modules ask of the warehouse in a line of their own, beside the files of `gradient_assets/sql`.

Belongs here: making each of them ask, with nothing behind it.  `tests/graph/test_sql.py` counts the places in the source, so
that none is left out.
"""

from types import SimpleNamespace

from gradient_assets.assets import deidentified, public
from gradient_assets.audit_sample import audit_of
from gradient_assets.crosswalk import way_back
from gradient_assets.releases import evidence


class Asked:
    """A warehouse that keeps what it is asked and answers with nothing, or with a row of zeros."""

    def __init__(self):
        self.queries = []

    def query(self, text, parameters=None):
        self.queries.append((text, parameters or {}))
        zeros = dict.fromkeys(("boxes", "instances", "refused", "looked"), 0)
        return SimpleNamespace(to_pylist=lambda: [zeros] if "COALESCE(SUM(boxes)" in text else [])


RELEASE = SimpleNamespace(
    name="uni-x-1",
    condition="modality IN ('CT', 'MR') AND study_date >= DATE '2019-01-01' AND NOT report_text LIKE '%x%'",
)
ASKING = {
    "gradient_assets/audit_sample.py": [lambda asked: audit_of(asked.warehouse, "st-mary")],
    "gradient_assets/assets/public.py": [lambda asked: public._cohort(asked, [], RELEASE)],
    "gradient_assets/assets/deidentified.py": [
        lambda asked: deidentified._sums(asked, "deidentified.pixel_text", "st-mary", "boxes"),
        lambda asked: deidentified._boxes(asked, "st-mary"),
        lambda asked: deidentified._by_look(asked, "st-mary"),
    ],
    "gradient_assets/releases/evidence.py": [
        lambda asked: evidence.cohort_classes(asked, [], RELEASE),
        lambda asked: evidence.cohort_hospitals(asked, RELEASE),
        lambda asked: evidence._rule(asked, RELEASE),
    ],
    "gradient_assets/crosswalk/way_back.py": [
        lambda asked: asked.warehouse.query(way_back._ROWS_OF, {"hospital_id": "st-mary", "pseudonym": "a"})
    ],
}
"""Module → what makes it ask each of its own statements."""


def asked_by(module):
    warehouse = Asked()
    for ask in ASKING[module]:
        try:
            ask(SimpleNamespace(warehouse=warehouse))
        except public.ReleaseError:
            continue  # a cohort of nobody, which is what this warehouse answers
    return warehouse.queries
