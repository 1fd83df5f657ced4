"""The audit of triage: its counts, its bound, and that a hit fails."""

import pytest

from gradient_assets.audit_sample import Audit, upper_bound


@pytest.mark.parametrize(
    ("hits", "looked", "expected"),
    [(0, 0, 1.0), (0, 1, 0.95), (0, 300, 0.009936), (1, 100, 0.046560), (5, 1000, 0.010484), (3, 3, 1.0)],
)
def test_the_bound_is_the_one_of_clopper_and_pearson(hits, looked, expected):
    assert upper_bound(hits, looked) == pytest.approx(expected, abs=2e-5)


def test_the_bound_of_a_large_sample_is_about_three_in_its_size():
    assert upper_bound(0, 100_000) == pytest.approx(3 / 100_000, rel=0.01)


@pytest.mark.parametrize(
    ("audit", "says"),
    [
        (Audit(0, 0, 0), "every frame was looked at"),
        (Audit(10, 0, 0), "Raise `pixels.audit_share`"),
        (Audit(10, 2, 0), "no text was found"),
        (Audit(10, 2, 1), "Set `pixels.triage: false`"),
    ],
)
def test_the_reader_is_told_what_to_do(audit, says):
    assert says in audit.what_to_do
