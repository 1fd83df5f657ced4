"""The three sample hospitals on disk: that they are complete, the same each time, and hold what the planted list says."""

import csv
import io
import json
from collections import Counter

import numpy as np
import pydicom
import pytest
import yaml
from pydicom.pixels.utils import pixel_array

from gradient_assets.hospitals import load_registry
from gradient_assets.samples import build_samples, grow, read_planted
from gradient_assets.samples.build import REFUSED_EXPORTS
from gradient_assets.samples.reports import templates
from gradient_assets.samples.studies import BASES

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
HOSPITALS = ("st-mary", "lakeside", "harbor-clinic")
PIXEL_PLACES = ("burned_in", "OverlayData", "high bit", "IconImageSequence", "JPEG COM")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return build_samples(tmp_path_factory.mktemp("home"))


def files_under(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def readable(samples, hospital):
    """Keys and data sets of the objects that a DICOM reader can read."""
    landing = samples.home / "landing" / hospital
    for key in files_under(landing / "dicoms"):
        if samples.refusals[hospital].get(f"dicoms/{key}") not in ("empty_object", "not_dicom"):
            yield f"dicoms/{key}", pydicom.dcmread(landing / "dicoms" / key, force=True)


def words_of(ds):
    """Every value of a data set, file meta information and nested items included, as text."""
    found = []
    for element in [*getattr(ds, "file_meta", ()), *ds]:
        if element.VR == "SQ":
            found.extend(word for item in element.value for word in words_of(item))
        elif isinstance(element.value, bytes):
            if element.keyword != "PixelData":
                found.append(element.value.decode("latin-1"))
        else:
            found.extend(str(element.value).split("\\"))
            found.extend(str(value) for value in (element.value if element.VM > 1 else []))
    return found


def rows_of(samples, hospital, key):
    entry = next(
        one for one in yaml.safe_load(samples.hospitals_yaml.read_text())["hospitals"] if one["id"] == hospital
    )
    text = (samples.home / "landing" / hospital / key).read_bytes().decode(entry["encoding"])
    columns = {column: role for role, column in entry["report_columns"].items()}
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=entry["delimiter"])
    return [{columns[column]: value for column, value in row.items() if column in columns} for row in rows]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_people(tmp_path, samples):
    build_samples(tmp_path / "again")
    assert files_under(tmp_path / "again") == files_under(samples.home)
    other = {one.value for one in build_samples(tmp_path / "other", seed=8).planted if one.kind == "ID"}
    assert not other & {one.value for one in samples.planted if one.kind == "ID"}


def test_the_registry_is_accepted_and_the_habits_differ(samples):
    registry = load_registry(samples.hospitals_yaml)
    assert [one.id for one in registry.hospitals] == list(HOSPITALS)
    for habit in ("delimiter", "encoding", "date_order", "timezone"):
        assert len({getattr(one, habit) for one in registry.hospitals}) == 3
    assert Counter(one.profile for one in registry.hospitals) == {"longitudinal": 2, "safe_harbor": 1}


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_counts_are_those_on_disk(samples, hospital):
    landing = samples.home / "landing" / hospital
    assert samples.objects[hospital] == len(files_under(landing / "dicoms")) >= 24
    assert samples.report_files[hospital] == len(files_under(landing / "reports"))
    readable_files = set(files_under(landing / "reports")) - {key.removeprefix("reports/") for key in REFUSED_EXPORTS}
    rows = [row for key in readable_files for row in rows_of(samples, hospital, f"reports/{key}")]
    by_fate = Counter("ragged" if row["report_id"] == "RAGGED1" else "text" if row["text"] else "empty" for row in rows)
    assert by_fate == {"ragged": 1, "empty": 1, "text": samples.reports[hospital] + 1}  # one report id comes twice


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_each_kind_of_broken_object_is_there(samples, hospital):
    assert sorted(samples.refusals[hospital].values()) == [
        "dicomdir", "duplicate_sop_instance", "empty_object", "encapsulated_document", "not_dicom", "scanned_form",
        "truncated", "undecodable_pixels",
    ]  # fmt: skip
    assert all((samples.home / "landing" / hospital / key).exists() for key in samples.refusals[hospital])


@pytest.mark.parametrize(
    "class_part",
    ["CT Image", "MR Image", "Computed Radiography", "Ultrasound Image", "Secondary Capture", "Basic Text SR",
     "Comprehensive SR", "RT Plan", "RT Structure", "RT Dose", "Presentation State", "Segmentation", "Waveform",
     "Nuclear Medicine", "Encapsulated PDF"],
)  # fmt: skip
def test_kinds_of_objects(samples, class_part):
    classes = {
        ds.SOPClassUID.name for hospital in HOSPITALS for _, ds in readable(samples, hospital) if "SOPClassUID" in ds
    }
    wanted = {"Nuclear Medicine": "Secondary Capture"}.get(class_part, class_part)  # pydicom's NM file is such a one
    assert any(wanted in name for name in classes)


def test_transfer_syntaxes_and_colours(samples):
    found = [ds for hospital in HOSPITALS for _, ds in readable(samples, hospital)]
    syntaxes = {
        ds.file_meta.TransferSyntaxUID.name.split(",")[0].split(" (")[0]
        for ds in found
        if "TransferSyntaxUID" in ds.file_meta
    }
    assert syntaxes >= {
        "Implicit VR Little Endian", "Explicit VR Little Endian", "Explicit VR Big Endian",
        "Deflated Explicit VR Little Endian", "RLE Lossless", "JPEG Baseline", "JPEG Lossless",
        "JPEG 2000 Image Compression", "JPEG-LS Lossless Image Compression",
    }  # fmt: skip
    colours = {ds.get("PhotometricInterpretation") for ds in found}
    assert colours >= {"MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL_422", "YBR_RCT"}
    assert max(int(ds.get("Rows") or 0) for ds in found) <= 640
    assert max(int(ds.get("Columns") or 0) for ds in found) <= 640


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_planted_header_values_stand_where_the_list_says(samples, hospital):
    planted = [one for one in samples.planted if one.hospital == hospital and not one.where.startswith(PIXEL_PLACES)]
    for key, ds in readable(samples, hospital):
        raw = (samples.home / "landing" / hospital / key).read_bytes().decode("latin-1")
        text = "\n".join([*words_of(ds), raw, key])
        missing = [
            one.where for one in planted if one.object_key == key and one.value.casefold() not in text.casefold()
        ]
        assert missing == []


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_planted_report_values_stand_in_the_reports(samples, hospital):
    encoding = load_registry(samples.hospitals_yaml).hospitals[HOSPITALS.index(hospital)].encoding
    landing = samples.home / "landing" / hospital
    for key in (f"reports/{key}" for key in files_under(landing / "reports")):
        if key in REFUSED_EXPORTS:
            continue
        text = (key + (landing / key).read_bytes().decode(encoding)).casefold()
        planted = [one for one in samples.planted if (one.hospital, one.object_key) == (hospital, key)]
        assert planted
        assert [one.where for one in planted if one.value.casefold() not in text] == []


def test_burned_in_text_is_drawn_where_the_list_says(samples):
    boxes = {(one.hospital, one.object_key, one.where) for one in samples.planted if one.where.startswith("burned_in")}
    assert len(boxes) >= 15
    assert any("frame=1" in where for _, _, where in boxes)
    decodable = 0
    for hospital, key, where in boxes:
        frame, box = (part.split("=")[1] for part in where.split()[1:])
        left, top, width, height = map(int, box.split(","))
        ds = pydicom.dcmread(samples.home / "landing" / hospital / key)
        if ds.file_meta.TransferSyntaxUID.name.startswith(("JPEG-LS", "JPEG Lossless")):
            continue  # pydicom alone can't decode these two
        pixels = pixel_array(ds, index=int(frame))[top : top + height, left : left + width]
        pixels = pixels if pixels.ndim == 2 else pixels[..., 0]
        assert pixels.shape == (height, width)
        bright = np.abs(pixels.astype(int) - int(pixels[0, 0])) > np.ptp(pixels.astype(int)) / 2
        assert 0.03 < bright.mean() < 0.5
        decodable += 1
    assert decodable >= 12


def test_no_value_of_a_base_file_names_a_patient(samples):
    base_names = {str(pydicom.dcmread(path, force=True, stop_before_pixels=True).get("PatientName", ""))
                  for path in BASES.glob("*.dcm") if path.stat().st_size < 400_000}  # fmt: skip
    names = {str(ds.get("PatientName", "")) for hospital in HOSPITALS for _, ds in readable(samples, hospital)}
    assert not (base_names & names) - {""}


def test_planted_list_on_disk_is_the_one_returned(samples):
    assert read_planted(samples.home) == samples.planted
    assert (samples.home / "identified" / "planted.json").exists()


def test_kinds_of_planted_identifiers(samples):
    assert {one.kind for one in samples.planted} == {
        "NAME", "PHYSICIAN", "RELATIVE", "ID", "ACCESSION", "UID", "BIRTH_DATE", "STUDY_DATE", "PHONE", "EMAIL", "URL",
        "ADDRESS", "AGE", "DEVICE", "INSTITUTION",
    }  # fmt: skip


def test_unambiguous_values_are_distinctive(samples):
    unambiguous = {one.value for one in samples.planted if not one.ambiguous}
    assert all(len(value.encode()) >= 6 for value in unambiguous)
    assert not unambiguous & {"White", "Young", "Van der Berg", "May", "Grace", "Joost"}
    assert not [value for value in unambiguous if value.isdigit() and len(value) < 10]
    assert {"May", "White", "Van der Berg"} <= {one.value for one in samples.planted if one.ambiguous}


def test_names_in_other_scripts_can_be_read_back(samples):
    names = {str(ds.get("PatientName", "")) for hospital in HOSPITALS for _, ds in readable(samples, hospital)}
    assert {
        "Kuroganeda^Tsubameko=黒鉄田^燕子=くろがねだ^つばめこ", "Wąsikowiczka^Żanetella", "Громобойцев^Святополк",
        "Müllersteiner^Jürgenhard",
    } <= names  # fmt: skip


def test_references_inside_a_study_hold(samples):
    objects = [ds for hospital in HOSPITALS for _, ds in readable(samples, hospital)]
    uids = {ds.SOPInstanceUID for ds in objects if "SOPInstanceUID" in ds}
    dose = next(ds for ds in objects if ds.get("Modality") == "RTDOSE" and "StudyID" in ds and "RTPLAN" in {
        other.get("Modality") for other in objects if other.get("StudyInstanceUID") == ds.StudyInstanceUID})  # fmt: skip
    state = next(ds for ds in objects if ds.get("Modality") == "PR")
    assert dose.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID in uids
    assert state.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID in uids


def test_some_reports_have_no_images_and_some_images_no_report(samples):
    for hospital in HOSPITALS:
        studies = {(ds.get("AccessionNumber"), ds.get("StudyInstanceUID")) for _, ds in readable(samples, hospital)}
        rows = [row for row in rows_of(samples, hospital, "reports/ris_export.csv") if row.get("text")]
        reported = {
            value for row in rows for value in (row["accession_number"], row.get("study_instance_uid")) if value
        }
        assert any(not {accession, uid} & reported for accession, uid in studies if accession)
        assert reported - {value for pair in studies for value in pair}


def test_one_hospital_leaves_out_accession_numbers_where_it_gives_study_uids(samples):
    rows = [row for row in rows_of(samples, "harbor-clinic", "reports/ris_export.csv") if row.get("text")]
    assert {bool(row["accession_number"]) for row in rows} == {True, False}
    assert all(bool(row["accession_number"]) != bool(row["study_instance_uid"]) for row in rows)


def test_every_template_is_used_and_reports_have_several_lines(samples):
    texts = [
        row["text"]
        for hospital in HOSPITALS
        for row in rows_of(samples, hospital, "reports/ris_export.csv")
        if row.get("text")
    ]
    beginnings = [template.split("{")[0] for template in templates()]
    assert len(templates()) >= 20
    unused = [start for start in beginnings if start and not any(text.startswith(start) for text in texts)]
    assert len(unused) <= 1  # the last report of each hospital lies in a file of its own
    assert sum("\n" in text for text in texts) > len(texts) * 0.8


def test_growing_adds_one_study_with_a_report_and_new_people(tmp_path):
    before = build_samples(tmp_path)
    old = files_under(tmp_path / "landing")
    keys = grow(tmp_path, "lakeside")
    again = grow(tmp_path, "lakeside")
    new = files_under(tmp_path / "landing")
    assert sorted(set(new) - set(old)) == sorted(f"lakeside/{key}" for key in [*keys, *again])
    assert all(new[key] == content for key, content in old.items())
    assert [key.split("/")[0] for key in keys] == ["dicoms", "dicoms", "reports"]
    arrived = [one for one in read_planted(tmp_path) if one.object_key in {*keys, *again}]
    ids = {one.value for one in arrived if one.kind == "ID"}
    names = {one.value for one in arrived if one.kind == "NAME" and "^" in one.value}
    assert len(ids) >= 2
    assert not (ids | names) & {one.value for one in before.planted}


def test_growing_needs_samples(tmp_path):
    with pytest.raises(FileNotFoundError):
        grow(tmp_path, "lakeside")


def test_scale_repeats_the_recipes_with_other_people(tmp_path, samples):
    larger = build_samples(tmp_path, scale=2)
    for hospital in HOSPITALS:
        sound = samples.objects[hospital] - 9
        assert larger.objects[hospital] == 2 * sound + 9
    assert len({one.value for one in larger.planted if one.kind == "NAME"}) > len(
        {one.value for one in samples.planted if one.kind == "NAME"}
    )


def test_scale_under_one_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="starts at 1"):
        build_samples(tmp_path, scale=0)


def test_planted_json_is_plain_json(samples):
    first = json.loads((samples.home / "identified" / "planted.json").read_text(encoding="utf-8"))[0]
    assert set(first) == {"hospital", "kind", "value", "where", "object_key", "ambiguous"}
