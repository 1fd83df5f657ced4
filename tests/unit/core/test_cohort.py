"""A cohort's condition is a condition over the columns of prod, and nothing else."""

import pytest

from gradient_assets.cohort import CohortError, cohort_condition


@pytest.mark.parametrize(
    "condition",
    [
        "modality = 'CT'",
        "modality IN ('CT', 'MR') AND NOT study_year < 2000",
        "(report_count > 0 OR boxes = 0) AND patient_sex IS NOT NULL",
        "study_date BETWEEN DATE '2010-01-01' AND DATE '2011-01-01'",
        "study_description LIKE '%CHEST%'",
    ],
)
def test_a_plain_condition_is_taken(condition):
    assert cohort_condition(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "modality = ",
        "1 = 1; DROP TABLE prod",
        "TRUE UNION ALL SELECT 2",
        "TRUE LIMIT 3",
        "TRUE GROUP BY 1",
        "EXISTS (SELECT 1 FROM identified.dicom_metadata)",
        "modality = (SELECT patient_name FROM identified.dicom_metadata)",
        "SESSION_USER() = 'x'",
        "identified.dicom_metadata.patient_name = 'x'",
        "patient_name = 'DOE'",
        "modality = @p",
        "TRUE) OR (TRUE",
    ],
)
def test_anything_else_is_refused(condition):
    with pytest.raises(CohortError):
        cohort_condition(condition)
