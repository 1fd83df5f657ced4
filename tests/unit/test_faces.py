"""Which instances may show a face: heads are never cleared, and only the header's own anatomy clears anything."""

import csv
import warnings

import pytest
from pydicom import Dataset, dcmread

from gradient_assets.deid.faces import face_of
from gradient_assets.deid.headers.profile import Profile, ProfileError
from tests.shared import SHARED, needs_shared

AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]
FOLDER = SHARED / "data" / "dicom"


def volume(modality="CT", field_mm=400.0, position="HFS", orientation=AXIAL, **attributes):
    ds = Dataset()
    ds.Modality, ds.PatientPosition, ds.ImageOrientationPatient = modality, position, orientation
    ds.Rows = ds.Columns = 512
    ds.PixelSpacing = [field_mm / 512] * 2
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def region(code, scheme="SCT"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, scheme, "as coded"
    return [item]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (volume(AnatomicRegionSequence=region("69536005")), "likely"),  # head
        (volume(AnatomicRegionSequence=region("T-D1100", "SRT")), "likely"),
        (volume(AnatomicRegionSequence=region("12738006"), BodyPartExamined="CHEST"), "likely"),  # brain: the worse one counts
        (volume(AnatomicRegionSequence=region("38266002")), "likely"),  # whole body
        (volume(AnatomicRegionSequence=region("774007")), "likely"),  # head and neck
        (volume(AnatomicRegionSequence=region("72696002")), "none"),  # knee
        (volume(AnatomicRegionSequence=region("T-D4000", "SRT")), "none"),  # abdomen, older code
        (volume(AnatomicRegionSequence=region("816094009"), BodyPartExamined="CHEST"), "none"),
        (volume(AnatomicRegionSequence=region("421060004")), "unknown"),  # spine: which part is not said
        (volume(AnatomicRegionSequence=region("706342009")), "unknown"),  # phantom: people use it for people
        (volume(AnatomicRegionSequence=region("69536005")[:0]), "unknown"),
        (volume(BodyPartExamined="HEAD"), "likely"),
        (volume(BodyPartExamined="Head^Neuro"), "likely"),
        (volume(BodyPartExamined="WHOLE BODY"), "likely"),
        (volume(BodyPartExamined="CSPINE"), "likely"),
        (volume(BodyPartExamined="NECK"), "likely"),
        (volume(BodyPartExamined="ABDOMEN"), "none"),
        (volume(BodyPartExamined="CHEST", SeriesDescription="thorax and head"), "likely"),
        (volume(BodyPartExamined="SOMETHING"), "unknown"),
        (volume(SeriesDescription="KNEE"), "unknown"),  # a description clears nothing
        (volume(field_mm=240), "likely"),
        (volume(field_mm=240, position="FFS"), "unknown"),
        (volume(field_mm=240, BodyPartExamined="KNEE"), "none"),
        (volume(field_mm=900, orientation=CORONAL, BodyPartExamined="CHEST"), "unknown"),
        (volume(field_mm=900, orientation=CORONAL, BodyPartExamined="LEG"), "none"),
        (volume("PT", field_mm=680, BodyPartExamined="BREAST"), "unknown"),
        (volume("PT", field_mm=680, BodyPartExamined="HAND"), "none"),
        (volume("US", BodyPartExamined="HEAD"), "none"),
        (volume("SR"), "none"),
        (volume(PixelSpacing=None), "unknown"),
        (volume(ImageOrientationPatient=None, field_mm=230), "likely"),
    ],
)  # fmt: skip
def test_an_instance_is_placed_by_its_header(header, expected):
    assert face_of(header) == expected


def test_the_anatomy_of_an_enhanced_object_is_read_in_its_functional_groups():
    anatomy, shared = Dataset(), Dataset()
    anatomy.AnatomicRegionSequence = region("69536005")
    shared.FrameAnatomySequence = [anatomy]
    enhanced = Dataset()
    enhanced.Modality, enhanced.SharedFunctionalGroupsSequence = "MR", [shared]
    assert face_of(enhanced) == "likely"


def test_the_extent_of_an_enhanced_object_is_read_in_its_functional_groups():
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [0.9, 0.9]
    shared.PixelMeasuresSequence = [measures]
    enhanced = Dataset()
    enhanced.Modality, enhanced.Rows, enhanced.Columns = "MR", 256, 256
    enhanced.PatientPosition, enhanced.SharedFunctionalGroupsSequence = "HFS", [shared]
    assert face_of(enhanced) == "likely"


class Unreadable(Dataset):
    def get(self, *_args, **_kwargs):
        raise ValueError("SECRET")


def test_a_header_that_cannot_be_read_places_nothing():
    assert face_of(Unreadable()) == "unknown"


HEADS = (
    "CT2/17106", "MR1/4919", "MR1/5641", "MR2/6605", "MR700/4467", "MR1/15820", "ctbrain1.dcm", "J2K_pixelrep_mismatch.dcm",
    "emri_small.dcm", "weasis-dicom-tools/src/test/resources/dicom/mr.dcm", "J2KI/MR4_J2KI", "JPLY/MR4_JPLY", "693_J2KI.dcm",
    "693_J2KR.dcm", "CT0012.fragmented_no_bot_jpeg_baseline.51.dcm", "siemens/anatomical/001/IM-0001-0112-0001.dcm",
    "siemens/dti_classic/001/001.dcm", "siemens/fmri/001/IM-0001-0001.dcm", "ge/anatomical/001/IM-0001-0112-0001.dcm",
    "ge/dti/001/IM-0001-0001-0001.dcm", "ge/dti/002/001", "ge/fmri/001/IM-0001-0001-0001.dcm",
    "philips_enhanced/anatomical/001/IM-0001-0170-0001.dcm", "philips_enhanced/fmri/001/IM-0001-9600-0001.dcm",
    "philips_enhanced/dti/001/IM-0001-3835-0001.dcm", "gantrytilting/001/IM-0001-0001.dcm",
    "sliceincrement/001/IM-0001-0007-0001.dcm", "bad_sequence.dcm", "TOSHIBA_J2K_OpenJPEGv2Regression.dcm",
    "suyashkumar+dicom/testdata/1.dcm", "samples/lung.dcm", "RGB_ORIGINAL.dcm",
)  # fmt: skip
PLACED_ELSEWHERE = (
    "pm-example-slice.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "examples_overlay.dcm", "explicit_VR-UN.dcm",
    "suyashkumar+dicom/testdata/3.dcm", "presidio/docs/samples/python/sample_data/2_ORIGINAL.dcm",
)  # fmt: skip


def real(ending):
    rows = csv.DictReader((FOLDER / "manifest.csv").open())
    paths = [FOLDER / row["file"] for row in rows if row["file"].endswith(ending)]
    assert paths, ending
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(paths[0], force=True, stop_before_pixels=True)


@needs_shared
@pytest.mark.parametrize("ending", HEADS)
def test_no_real_head_is_cleared(ending):
    assert face_of(real(ending)) != "none"


@needs_shared
@pytest.mark.parametrize("ending", PLACED_ELSEWHERE)
def test_real_files_whose_header_places_them_elsewhere_are_cleared(ending):
    assert face_of(real(ending)) == "none"


@needs_shared
@pytest.mark.parametrize("ending", ["CT2/17106", "ctbrain1.dcm", "J2KI/MR4_J2KI", "emri_small.dcm", "bad_sequence.dcm"])
def test_real_heads_that_say_so_are_likely(ending):
    assert face_of(real(ending)) == "likely"


def test_defacing_that_is_not_built_is_refused_with_its_reason(tmp_path):
    path = tmp_path / "defaced.yaml"
    text = (
        "name: defaced\nedition: 2026a\ndates: year\nbirth_date: empty\noptions: [clean_recognizable_visual_features]\n"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError, match="not built"):
        Profile.of(str(path))
