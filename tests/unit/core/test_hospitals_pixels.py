"""The section `pixels` of a hospital: triage is off unless it is asked for, and a wrong share is refused."""

import pytest

from gradient_assets.hospitals import PixelSettings, RegistryError
from tests.unit.core.test_hospitals import GOOD, load


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", PixelSettings(False, 0.02)),
        ("    pixels: {triage: true}\n", PixelSettings(True, 0.02)),
        ("    pixels: {triage: true, audit_share: 0.1}\n", PixelSettings(True, 0.1)),
        ("    pixels: {audit_share: 1}\n", PixelSettings(False, 1.0)),
    ],
)
def test_triage_is_off_unless_asked_for(tmp_path, section, expected):
    assert load(tmp_path, GOOD + section).get("st-mary").pixels == expected


@pytest.mark.parametrize("value", ["0", "0.0001", "1.5", "2 %", "nan", "-1", "1e-3", "[1]"])
def test_a_share_that_audits_nobody_or_too_many_is_refused(tmp_path, value):
    with pytest.raises(RegistryError, match=r"pixels\.audit_share"):
        load(tmp_path, GOOD + f"    pixels: {{triage: true, audit_share: {value}}}\n")


@pytest.mark.parametrize("value", ["yes", "1", "True"])
def test_triage_is_true_or_false(tmp_path, value):
    with pytest.raises(RegistryError, match=r"pixels\.triage"):
        load(tmp_path, GOOD + f"    pixels: {{triage: {value}}}\n")


def test_another_way_of_looking_makes_the_work_new():
    assert len({PixelSettings().looking, PixelSettings(True).looking, PixelSettings(True, 0.1).looking}) == 3
    assert PixelSettings().looking == PixelSettings(False, 0.5).looking
