"""Device rules: the right object gets the right rectangles, and a rule that can't match is refused with its name."""

import json

import pytest
from pydicom import Dataset

from gradient_assets.deid.pixels.device_rules import DeviceRuleError, device_boxes, load_rules, shipped_rules


def header(**elements):
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


EPIQ = {"Modality": "US", "Manufacturer": "Philips Medical Systems", "ManufacturerModelName": "EPIQ 7C"}


def places(boxes):
    return [(box.left, box.top, box.width, box.height) for box in boxes]


def test_a_known_device_gets_the_rectangles_of_its_rules():
    assert (0, 0, 1024, 49) in places(device_boxes(header(**EPIQ), 768, 1024))
    assert {box.source for box in device_boxes(header(**EPIQ), 768, 1024)} == {"device-rule"}


@pytest.mark.parametrize(
    ("elements", "rows", "columns"),
    [
        (EPIQ | {"ManufacturerModelName": "OTHER"}, 768, 1024),
        (EPIQ | {"Modality": "CT"}, 768, 1024),
        (EPIQ, 512, 512),
        ({}, 768, 1024),
    ],
    ids=["another model", "another modality", "another size", "nothing said"],
)
def test_another_object_gets_none(elements, rows, columns):
    assert device_boxes(header(**elements), rows, columns) == []


def test_words_are_found_in_any_case_and_in_any_of_several_values():
    dose = header(Modality="CT", Manufacturer="philips", ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"])
    assert places(device_boxes(dose, 512, 512)) == [(0, 0, 512, 135)]


def test_one_of_several_conditions_is_enough():
    localizer = {"Modality": "CT", "ManufacturerModelName": "LightSpeed VCT"}
    by_type = header(**localizer, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    by_description = header(**localizer, SeriesDescription="Lateral localizer")
    assert places(device_boxes(by_type, 888, 700)) == places(device_boxes(by_description, 888, 700)) == [(0, 0, 80, 85)]
    assert device_boxes(header(**localizer, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]), 512, 512) == []


def test_boxes_end_at_the_pictures_edge():
    assert all(box.right <= 320 and box.bottom <= 40 for box in device_boxes(header(**EPIQ), 40, 320))


def rules_file(tmp_path, *rules):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"rules": list(rules)}))
    return path


GOOD = {"name": "ours", "when": {"Manufacturer": ["ACME"]}, "rows": [480], "boxes": [[0, 0, 640, 30]]}


def test_a_file_of_ones_own_is_used(tmp_path):
    rules = load_rules(rules_file(tmp_path, GOOD))
    assert places(device_boxes(header(Manufacturer="Acme Imaging"), 480, 640, rules)) == [(0, 0, 640, 30)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"when": {"Manfacturer": ["ACME"]}}, "no attribute"),
        ({"when": {"Modality": ["Other"]}}, "code string"),
        ({"when": {"Modality": ["PET/CT"]}}, "code string"),
        ({"when": {"Manufacturer": []}}, "list of words"),
        ({"when": {}}, "at least"),
        ({"any": [["Nowhere", ["x"]]]}, "no attribute"),
        ({"any": ["Modality"]}, "condition"),
        ({"rows": ["480"]}, "whole numbers"),
        ({"columns": [0]}, "whole numbers"),
        ({"boxes": []}, "at least"),
        ({"boxes": [[0, 0, 640]]}, "left, top"),
        ({"boxes": [[0, 480, 640, 30]]}, "outside"),
        ({"boxes": [[0, 0, 0, 30]]}, "outside"),
        ({"boxs": [[0, 0, 1, 1]]}, "expected"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_a_rule_that_cannot_match_is_refused(tmp_path, changed, said):
    with pytest.raises(DeviceRuleError, match=said):
        load_rules(rules_file(tmp_path, GOOD | changed))


def test_a_rule_said_twice_is_refused(tmp_path):
    with pytest.raises(DeviceRuleError, match="earlier"):
        load_rules(rules_file(tmp_path, GOOD, GOOD | {"name": "again"}))


def test_a_file_that_is_no_json_is_refused_without_its_content(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text("DOE^JANE")
    with pytest.raises(DeviceRuleError) as error:
        load_rules(path)
    assert "DOE" not in str(error.value)


def test_the_rules_that_ship_are_valid():
    assert len(shipped_rules()) > 90
