"""The stricter search of one patient's own record: weak forms are found, clinical English is not."""

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.verify import residual_in_dataset, residual_in_text

OWN = KnownIdentifiers(
    patient_names=("VANDERBILT^MARGARET^ROSE",),
    patient_ids=("MRN-0048213",),
    accession_numbers=("RAD44514506",),
    birth_dates=("19470312",),
    study_dates=("20160604",),
    addresses=("3500 Chestnut Pkwy, Dunmore, FL 50213",),
    phones=("(596) 268-0276",),
    relatives=("Mildred",),
    physicians=("Oyelaran^Tunde",),
    other_ids=("1CT1", "1.2.826.0.1.3680043.8.498.77182093"),
)
ORDINARY = KnownIdentifiers(patient_names=("White^John^May", "Young^Li"), patient_ids=("42",))

PLANTED = [
    (OWN, "name", "Mrs. Vanderbilt is here"),
    (OWN, "name", "vanderbilt's scan"),
    (OWN, "name", "the Vanderbilts came"),
    (OWN, "name", "Margaret says"),
    (OWN, "name", "Vandrebilt"),
    (OWN, "name", "Vanderblt"),
    (OWN, "name", "Vanderbillt"),
    (OWN, "name", "wanderbilt"),
    (OWN, "name", "Margarat"),
    (OWN, "name", "M. Vanderbilt"),
    (OWN, "name", "V A N D E R B I L T was seen"),
    (OWN, "name", "seen with Vander-\nbilt"),
    (OWN, "name", "Van derbilt"),
    (OWN, "name", "VANDERBILT_M"),
    (OWN, "relative", "per daughter Mildred"),
    (OWN, "physician", "Dr. Oyelaran"),
    (OWN, "id", "MRN 0048213"),
    (OWN, "id", "48213"),
    (OWN, "id", "no. 4451 4506"),
    (OWN, "id", "acc 514506"),
    (OWN, "id", "AD44514506"),
    (OWN, "id", "patient ID 1CT1"),
    (OWN, "address", "lives in Dunmore, FL 50213"),
    (OWN, "phone", "596 268 0276"),
    (OWN, "birth_date", "born 3/12/1947"),
    (OWN, "birth_date", "12.03.47"),
    (OWN, "birth_date", "12-Mar-1947"),
    (OWN, "birth_date", "March 12th, 1947"),
    (OWN, "birth_date", "1947/3/12"),
    (OWN, "birth_date", "19470312"),
    (OWN, "birth_date", "03121947"),
    (OWN, "birth_date", "12MAR1947"),
    (OWN, "birth_date", "12. März 1947"),
    (OWN, "birth_date", "12 de marzo de 1947"),
    (OWN, "birth_date", "12 maart 1947"),
    (OWN, "birth_date", "12 de marzo del 1947"),
    (OWN, "birth_date", "March the 12th, 1947"),
    (OWN, "birth_date", "3 / 12 / 1947"),
    (OWN, "birth_date", "12. 03. 1947"),
    (OWN, "birth_date", "3\\12\\1947"),
    (OWN, "birth_date", "1947年3月12日"),
    (OWN, "birth_date", "19470312083000"),
    (ORDINARY, "name", "Mr. White was seen"),
    (ORDINARY, "name", "John White"),
    (ORDINARY, "name", "WHITE, JOHN"),
    (ORDINARY, "name", "J. White"),
    (ORDINARY, "name", "White, J"),
    (ORDINARY, "name", "John was here"),
    (ORDINARY, "name", "Patient Young returns"),
    (ORDINARY, "name", "YOUNG^LI"),
    (ORDINARY, "id", "MRN: 42"),
]


@pytest.mark.parametrize(("known", "kind", "text"), PLANTED)
def test_own_identifier_is_found(known, kind, text):
    found = {hit.kind for hit in residual_in_text(text, known)}
    assert kind in found or (kind == "id" and "accession" in found)


CLEAN = [
    (KnownIdentifiers(patient_names=("Whitehead^John",)), "white head of pus"),
    (OWN, "van. The nurse, der bilt: vander"),
    (OWN, "[NAME] was seen on 3/14/2012, MRN [ID]. Findings are stable."),
    (OWN, "PMARGARETABCDEFGH PABCDEFGHIJKLMNOP 2.25.4451450612345 0f44514506ab4cdd9e1f4c0a7b3d2e10"),
    (OWN, "Rose-coloured? The rose is ordinary, so is a rise."),
    (OWN, "wandering, margarine, mildly, tundra"),
    (OWN, "series 4 image 22, 3.2 x 1.5 cm, 48.213 mm, 482130"),
    (OWN, "144514506789"),
    (OWN, "13 March 1947, 12 April 1947, 1947"),
    (OWN, "1.2.3.12.1947 12.3.1947.5"),
    (OWN, "4 June 2016"),
    (KnownIdentifiers(birth_dates=("20160620", "19160620")), "since June 2016, 4. Juni 2016"),
    (OWN, "1CT1"),
    (ORDINARY, "White matter is normal. May represent gliosis. The young patient may return in May 2014."),
    (ORDINARY, "WHITE MATTER MAY BE YOUNG"),
    (ORDINARY, "42 mm, 42 year old, L4-2"),
    (ORDINARY, "Johnson, Whitehead, Youngest"),
    (ORDINARY, "White cell count"),
    (KnownIdentifiers(patient_names=("Jones^Abel",)), "Jones fracture"),
    (KnownIdentifiers(patient_names=("Baker^Ann",)), "A Baker's cyst and Baker cysts"),
    (KnownIdentifiers(patient_names=("Wright^Abel",)), "weight bearing, height, right"),
    (KnownIdentifiers(patient_names=("Phillips^Abel",)), "Philips Ingenia"),
    (KnownIdentifiers(patient_names=("Test^Pattern", "Lestrade^G")), "a test pattern in G major"),
    (KnownIdentifiers(birth_dates=("19700101", "19000101")), "1970-01-01 1900-01-01"),
    (KnownIdentifiers(patient_names=("", "^^^", "Anonymous"), patient_ids=("0", "unknown")), "anonymous 0 unknown"),
]


@pytest.mark.parametrize(("known", "text"), CLEAN)
def test_clean_text_of_a_patient_raises_no_alarm(known, text):
    assert residual_in_text(text, known) == []


def test_study_date_counts_only_when_told():
    assert residual_in_text("seen June 4, 2016", OWN) == []
    assert [hit.kind for hit in residual_in_text("seen June 4, 2016", OWN, study_dates=True)] == ["study_date"]


LOCATED = [
    ("Ärztin für Vanderbilt,", "Vanderbilt"),
    ("Øyvind's neighbour Vänderbilt.", "Vänderbilt"),
    ("ﬁne: ½ of Margaret's dose", "Margaret"),
    ("MRN-0048213 ok", "MRN-0048213"),
    ("no. 4451 4506 ok", "4451 4506"),
    ("born 12. März 1947!", "12. März 1947"),
    ("生年月日 1947年3月12日 です", "1947年3月12日"),
    ("tel. (596) 268-0276", "596) 268-0276"),
]


@pytest.mark.parametrize(("text", "value"), LOCATED)
def test_a_hit_tells_where_it_stands_in_the_original_text(text, value):
    assert value in {text[hit.start : hit.end] for hit in residual_in_text(text, OWN)}


def test_each_place_of_an_identifier_is_a_hit_of_its_own():
    hits = residual_in_text("Vanderbilt, and again Vanderbilt", OWN)
    assert [(hit.start, hit.end) for hit in hits] == [(0, 10), (22, 32)]


def test_what_an_escape_hides_is_found_without_a_place():
    assert [(hit.kind, hit.start) for hit in residual_in_text("Vander&#98;ilt", OWN)] == [("name", None)]


def test_hits_never_show_the_value():
    assert "anderbilt" not in repr(residual_in_text("Vanderbilt Margaret", OWN)).casefold()


def _clean_dataset() -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.ImplementationVersionName = "GRADIENT"
    dataset.PatientName = "PABCDEFGHIJKLMNOP"
    dataset.PatientID = "PABCDEFGHIJKLMNOP"
    dataset.StudyDate = "20150211"
    dataset.StudyTime = "048213"
    dataset.Rows = 512
    dataset.SliceThickness = "4.8213"
    dataset.SOPInstanceUID = "2.25.329800735698586629295641978511506172918"
    item = Dataset()
    item.CodeValue = "CT"
    item.CodeMeaning = "White matter"
    dataset.ProcedureCodeSequence = Sequence([item])
    return dataset


def test_clean_dataset_raises_no_alarm():
    assert residual_in_dataset(_clean_dataset(), OWN, study_dates=True) == []


def _in_nested_item(dataset: Dataset) -> None:
    dataset.ProcedureCodeSequence[0].CodeMeaning = "CT for Vanderbilt"


def _in_private_bytes(dataset: Dataset) -> None:
    dataset.add_new(0x00110010, "LO", "ACME")
    dataset.add_new(0x00111001, "UN", b"\x00\x01\xfeMARGARET VANDERBILT\x00\xff")


def _in_file_meta(dataset: Dataset) -> None:
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.826.0.1.3680043.8.498.77182093"


def _in_jpeg_comment(dataset: Dataset) -> None:
    dataset.add_new(0x7FE00010, "OB", b"\xff\xd8\xff\xfe\x00\x20Vanderbilt^Margaret\x00" + bytes(range(256)))
    dataset["PixelData"].is_undefined_length = True


PLACES = [
    (lambda ds: setattr(ds, "PatientID", "MRN-0048213"), "(0010,0020)", "id"),
    (lambda ds: setattr(ds, "PatientID", "1CT1"), "(0010,0020)", "id"),
    (lambda ds: setattr(ds, "PatientBirthDate", "19470312"), "(0010,0030)", "birth_date"),
    (lambda ds: setattr(ds, "AcquisitionDateTime", "20160604101010"), "(0008,002A)", "study_date"),
    (lambda ds: setattr(ds, "OtherPatientNames", ["A^B", "Vanderbilt^M"]), "(0010,1001)", "name"),
    (_in_nested_item, "(0008,1032)[0].(0008,0104)", "name"),
    (_in_private_bytes, "(0011,1001)", "name"),
    (_in_file_meta, "(0002,0100)", "uid"),
    (_in_jpeg_comment, "(7FE0,0010)", "name"),
]


@pytest.mark.parametrize(("plant", "where", "kind"), PLACES)
def test_identifier_left_in_a_dataset_is_found_with_its_place(plant, where, kind):
    dataset = _clean_dataset()
    plant(dataset)
    assert (where, kind) in {(hit.where, hit.kind) for hit in residual_in_dataset(dataset, OWN, study_dates=True)}


def test_number_element_with_a_long_id_is_found():
    dataset = Dataset()
    dataset.SeriesNumber = "44514506"
    known = KnownIdentifiers(patient_ids=("44514506",))
    assert [hit.rule for hit in residual_in_dataset(dataset, known)] == ["id_as_number"]


def test_date_of_which_only_the_year_was_kept_is_no_birth_date():
    dataset = Dataset()
    dataset.PatientBirthDate = "19470101"
    assert residual_in_dataset(dataset, KnownIdentifiers(birth_dates=("19470101",))) == []


def test_too_deep_a_dataset_is_refused():
    dataset = Dataset()
    for _ in range(40):
        outer = Dataset()
        outer.ContentSequence = Sequence([dataset])
        dataset = outer
    with pytest.raises(Refused) as refusal:
        residual_in_dataset(dataset, OWN)
    assert refusal.value.reason is Reason.NESTED_TOO_DEEP
