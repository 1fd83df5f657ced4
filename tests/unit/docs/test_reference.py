"""The generated parts of the documentation say what the code says."""

from dataclasses import asdict
from operator import attrgetter

import pytest
import yaml

from gradient_assets import reference
from gradient_assets.deid.reasons import Reason
from gradient_assets.hospitals import RegistryError, ReleaseRules, load_registry
from gradient_assets.samples.build import registry_text

FIELDS = [field.name for field in reference.REGISTRY_FIELDS]


@pytest.mark.parametrize("path", [*reference.PAGES, *reference.HOSTS])
def test_generated_parts_are_fresh(path):
    written = (reference.ROOT / path).read_text(encoding="utf-8")
    assert written == reference.rendered()[path], "stale: run `python -m gradient_assets.reference`"


def test_every_part_has_a_place():
    texts = [(reference.ROOT / path).read_text(encoding="utf-8") for path in reference.HOSTS]
    places = [name for text in texts for _, name, _ in reference._PART.findall(text)]
    assert sorted(places) == sorted(reference.PARTS)


def test_a_changed_part_is_seen_as_stale():
    text = "<!-- generated: reasons -->\nstale words\n<!-- end generated -->"
    assert reference.filled(text) != text
    assert "stale words" not in reference.filled(text)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason):
    assert f"| `{reason}` |" in reference.reasons_table()


def entry():
    return yaml.safe_load(registry_text())["hospitals"][0]


def load(tmp_path, hospital):
    path = tmp_path / "hospitals.yaml"
    path.write_text(yaml.safe_dump({"hospitals": [hospital]}), encoding="utf-8")
    return load_registry(path, home=tmp_path)


def test_the_registrys_fields_are_those_that_the_reader_takes(tmp_path):
    with pytest.raises(RegistryError) as refused:
        load(tmp_path, {**entry(), "unknown": "x"})
    expected = str(refused.value).partition("expected one of ")[2].partition(". Nothing")[0].split(", ")
    assert sorted(expected) == sorted({name.partition(".")[0] for name in FIELDS})


@pytest.mark.parametrize("field", reference.REGISTRY_FIELDS, ids=FIELDS)
def test_a_field_is_needed_exactly_if_it_has_no_default(tmp_path, field):
    hospital = entry()
    hospital.pop(field.name.partition(".")[0], None)
    if field.needed:
        with pytest.raises(RegistryError, match="missing"):
            load(tmp_path, hospital)
    else:
        found = attrgetter(field.name)(load(tmp_path, hospital).hospitals[0])
        assert f"`{found}`" == field.default


def test_the_section_of_releases_is_what_the_reader_takes():
    assert {field.name: field.default for field in reference.RELEASE_FIELDS} == {
        f"releases.{name}": f"`{value}`" for name, value in asdict(ReleaseRules()).items()
    }


def test_the_example_at_the_top_is_the_sample_hospitals_registry(tmp_path):
    samples = tmp_path / "hospitals.yaml"
    samples.write_text(registry_text(), encoding="utf-8")
    example = load_registry(reference.ROOT / "hospitals.yaml", home=tmp_path)
    assert example.ids == ["st-mary", "lakeside", "harbor-clinic"]
    assert example.hospitals == load_registry(samples, home=tmp_path).hospitals
