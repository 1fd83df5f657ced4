"""A cohort without faces: the condition stays one condition, whatever was asked for."""

import pytest

from gradient_assets.cohort import CohortError, condition_columns
from gradient_assets.releases import Release, without_faces


def test_the_whole_condition_is_narrowed():
    assert without_faces("modality = 'CT' OR modality = 'MR'") == (
        "(modality = 'CT' OR modality = 'MR') AND may_show_face = 'none'"
    )
    assert condition_columns(without_faces("boxes = 0")) == ["boxes", "may_show_face"]
    Release("spring", "uni", without_faces("boxes = 0"))


@pytest.mark.parametrize("condition", ["1 = 1) OR (1 = 1", "boxes = 0 -- ", "EXISTS (SELECT 1)"])
def test_a_condition_cannot_step_around_it(condition):
    try:
        narrowed = without_faces(condition)
    except CohortError:
        return
    assert narrowed.endswith(") AND may_show_face = 'none'")
    assert "--" not in narrowed
