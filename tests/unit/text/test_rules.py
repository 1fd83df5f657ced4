"""Each rule family finds its forms and leaves its hard negatives."""

import subprocess
import sys
from itertools import pairwise

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.text import TextEngine

ENGINE = TextEngine()
NOBODY = KnownIdentifiers()
PATIENT = KnownIdentifiers(
    patient_names=("MÜLLER-O'BRIEN^KATHERINE^ANN",),
    patient_ids=("MR0045-7781",),
    accession_numbers=("CT-2019-55310",),
    birth_dates=("19480309",),
    phones=("(555) 201-4455",),
    addresses=("77 Quarry Hill Rd, Eastport, ME 04631",),
    physicians=("HAVERFORD^LINUS",),
    institutions=("Seaward General",),
)


def removed(text: str, identifiers: KnownIdentifiers = NOBODY) -> str:
    """The text with what was found struck out."""
    for span in reversed(ENGINE.find(text, identifiers)):
        text = text[: span.start] + "_" + text[span.end :]
    return text


KEPT = """CHEST PA/LAT
MR BRAIN W WO IV CONTRAST
ABD/PELVIS W/ IV
t2_tse_sag_p2
ep2d_diff_3scan_trace_p2_ADC
KNEE^ROUTINE
Abdomen^Liver Dynamic
GE MEDICAL SYSTEMS
C-SPINE FLEX/EXT 2-3 VIEWS
HIP UNILAT W PELVIS 2-3V RT
L4-5, T1-T2, 3.2 x 1.5 cm, 1/2, series 4 image 22
series 4 image 22 May represent artifact.
Opacity May represent atelectasis.
A Baker's cyst. A Swan-Ganz catheter. Jones fracture. Hodgkin lymphoma. Foley in place.
Osgood-Schlatter, Legg-Calve-Perthes, Guillain-Barre, Charcot-Marie-Tooth, Ehlers-Danlos
Carpentier-Edwards ring, Bjork-Shiley valve, St. Jude valve
Salter-Harris type II fracture; pouch of Douglas; circle of Willis; Garden III fracture
Strength 5/5, murmur 2/6, vision 20/40, pain 5/10, Lund-Mackay 3/24
Given 75 mL Isovue 370 at 2.5 mL/s; DLP 1250; b=800; TE 90; kVp 120
Follow up in 6-12 months. BI-RADS 3. EF 55%. WBC 12.4. TR4.
Stable since 2015. Done at 14:30. Read back at 4:05 PM.
89 y.o. woman, 45M, age 7
Normal Sinus. Clear Lungs. No Acute Disease. Right Breast Upper Outer Quadrant.
Will follow up. White matter. Gray-white differentiation. Long segment stenosis."""


@pytest.mark.parametrize("text", KEPT.splitlines())
def test_medicine_is_kept(text):
    assert removed(text) == text


@pytest.mark.parametrize(
    "written",
    [
        "3/4/2016",
        "03/04/16",
        "3-4-2016",
        "03-04-16",
        "3.4.16",
        "3.4.2016",
        "2016-03-04",
        "2016/03/04",
        "20160304",
        "4 March 2016",
        "March 4, 2016",
        "Mar. 4, 2016",
        "Mar 4 2016",
        "March 4th, 2016",
        "4th of March, 2016",
        "04-MAR-2016",
        "04MAR2016",
        "4-Mar-16",
        "March 2016",
        "Mar '16",
        "3/2016",
        "March 4",
        "4 March",
        "Friday, March 4, 2016",
        "2016-Mar-04",
        "March third, 2016",
        "MARCH 4, 2016",
    ],
)
def test_dates_go_in_every_form(written):
    assert removed(f"Compared with the study of {written} there is no change.") == (
        "Compared with the study of _ there is no change."
    )


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Fall on 6/8.", "Fall on _."),
        ("s/p CABG 8/27.", "s/p CABG _."),
        ("CT from 10/12, unchanged", "CT from _, unchanged"),
        ("D: 3/4 T: 3/5", "D: _ T: _"),
    ],
)
def test_a_bare_day_and_month_goes_where_a_date_is_meant(text, left):
    assert removed(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Call (555) 201-9911 ext 42.", "Call _."),
        ("Paged at 4417 on arrival", "Paged at _ on arrival"),
        ("bleep 2217", "bleep _"),
        ("Mail jo.doe@x.example now", "Mail _ now"),
        ("See https://pacs.x.example/a?id=4, thanks", "See _, thanks"),
        ("SSN 123-45-6789", "SSN _"),
        ("MRN: 00123456", "MRN: _"),
        ("Accession 22-443338 reviewed", "Accession _ reviewed"),
        ("serial SND779160.", "serial _."),
        ("UID 1.2.840.113619.2.55.3.604", "UID _"),
        ("lives at 12 Old Mill Lane, Apt 3B", "lives at _"),
        ("Eastport, VT 05401", "_"),
        ("A 92 year old woman", "A _ year old woman"),
        ("93F with cough", "_F with cough"),
    ],
)
def test_forms_of_their_own_go(text, left):
    assert removed(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("John D. f/u Dr. Miller 3/4", "_ f/u Dr. _ _"),
        ("Discussed with Dr. Head and Dr. May.", "Discussed with Dr. _ and Dr. _."),
        ("Dictated by: Karen Wallace, M.D.", "Dictated by: _, M.D."),
        ("Contrast given by Joyce Holt-Murray, RN at 01:46.", "Contrast given by _, RN at 01:46."),
        ("D/w Drs. Shaw, Ito and Gibson.", "D/w Drs. _ and _."),
        ("Per daughter Mildred, fell.", "Per daughter _, fell."),
        ("cc: A. Brandt; C. Lee, MD", "cc: _; _, MD"),
        ("END OF REPORT\nKaren Wallace", "END OF REPORT\n_"),
        ("D: 1/2/2014 T: 1/3/2014 SF/gh", "D: _ T: _ _"),
        ("REVIEWED WITH DR. WONG.", "REVIEWED WITH DR. _."),
        ("DOE^JANE^^^", "_^^^"),
        ("Dr. Okonjo called. Later Okonjo agreed.", "Dr. _ called. Later _ agreed."),
        ("Seen at Riverside Methodist before.", "Seen at _ before."),
        ("GOOD SAMARITAN HOSPITAL", "_"),
    ],
)
def test_names_go_by_their_surroundings(text, left):
    assert removed(text) == left


@pytest.mark.parametrize(
    "written",
    [
        "Katherine Müller-O'Brien",
        "MULLER-O'BRIEN, KATHERINE A",
        "Mueller-O'Brien",
        "Muller",
        "OBrien",
        "O’Brien’s"[:7],
        "Kathy",
        "KATHERINE",
        "Katherin",
        "Haverfrod",
        "Haverford",
        "K.M.",
        "L. Haverford",
        "Mu\u0308ller",
        "Ｍüller",
    ],
)
def test_a_known_name_goes_in_every_variant(written):
    assert removed(f"Images of {written} were compared.", PATIENT) == "Images of _ were compared."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("No 457781 found", "No _ found"),
        ("record 0045-7781", "record _"),
        ("2019.55310", "_"),
        ("Tel 555.201.4455", "Tel _"),
        ("from Seaward General today", "from _ today"),
        ("77 quarry hill rd", "_"),
    ],
)
def test_known_numbers_and_places_go_whatever_their_separators(text, left):
    assert removed(text, PATIENT) == left


@pytest.mark.parametrize(
    ("family", "text", "left"),
    [
        ("BAKER", "Baker has a Baker's cyst.", "_ has a Baker's cyst."),
        ("HEAD", "CT HEAD for Mr. Head", "CT HEAD for Mr. _"),
        ("CORD", "Patient Cord presents with cord compression.", "Patient _ presents with cord compression."),
        ("YOUNG", "Young is a 48 yo. Young woman.", "_ is a 48 yo. Young woman."),
        ("MORRISON", "No fluid in Morison's pouch.", "No fluid in Morison's pouch."),
    ],
)
def test_a_name_that_is_a_word_goes_only_where_a_person_is_meant(family, text, left):
    assert removed(text, KnownIdentifiers(patient_names=(f"{family}^ROBIN",))) == left


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("DEL BOSQUE^JUNE", "June Del Bosque left; june del bosque rang.", "_ left; _ rang."),
        ("CRANE^APRIL", "April tolerated the scan. In April a CT.", "_ tolerated the scan. In April a CT."),
        ("CRANE^APRIL", "Discussed with April. Compared with April.", "Discussed with _. Compared with April."),
        ("SMALL^OSCAR", "SMALL RETURNED. SMALL BOWEL IS NORMAL.", "_ RETURNED. SMALL BOWEL IS NORMAL."),
        ("SMALL^OSCAR", "Small was told. Small amount of fluid.", "_ was told. Small amount of fluid."),
        ("CORD^ROBIN", "Cord was normal. Cord returned to normal.", "Cord was normal. _ returned to normal."),
        ("TREVELYAN^XAVIER", "Trevelyan XD had a CT. Trevelyan CT.", "_ had a CT. _ CT."),
    ],
)
def test_the_patients_own_name_goes_by_what_people_do_though_it_is_a_word(name, text, left):
    assert removed(text, KnownIdentifiers(patient_names=(name,))) == left


def test_offsets_are_those_of_the_original_text():
    text = "Straße e\u0301tude — Dr. Łukasz Żółć, 2016-03-04 \u200bﬁn"
    found = [text[span.start : span.end] for span in ENGINE.find(text, NOBODY)]
    assert found == ["Łukasz Żółć", "2016-03-04"]


HARD_NEGATIVES = {
    "dates": [
        "L4-5",
        "T1-T2",
        "3.2 x 1.5 cm",
        "1/2",
        "5/5 strength",
        "image 22 May represent",
        "T2/3",
        "2-3 mm",
        "ratio 3/4",
    ],
    "patterns": [
        "series 4 image 22",
        "b=1000",
        "TE/TR 90/2500",
        "512 x 512",
        "120 kVp",
        "99mTc 25 mCi",
        "10,000 units",
        "45 y/o",
    ],
    "addresses": ["2 mm stones", "4 Vessel Run Off", "12 Lead ECG", "3 Way Stop"],
    "eponyms": [
        "Baker's cyst",
        "Swan-Ganz catheter",
        "Jones fracture",
        "Hodgkin lymphoma",
        "Foley catheter",
        "circle of Willis",
    ],
    "facilities": ["the hospital", "Emergency Department", "Radiology", "MEDICAL CENTER", "Follow-up Imaging"],
    "cues": [
        "May represent pneumonia",
        "per protocol",
        "discussed with the patient",
        "signed",
        "to Follow",
        "MS plaques",
    ],
    "names": [
        "Will need follow up",
        "Long segment",
        "White matter",
        "Young woman",
        "Gray-white junction",
    ],
    "signatures": ["END OF REPORT", "AP/LAT", "mg/dl", "IMPRESSION", "Normal Study"],
    "ages": ["89 year old", "95% stenosis", "age 45", "92 mm", "100 mL"],
}


@pytest.mark.parametrize(
    ("family", "text"), [(family, text) for family, texts in HARD_NEGATIVES.items() for text in texts]
)
def test_each_rule_family_leaves_its_hard_negatives(family, text):
    assert removed(f"There is {text} on this study.") == f"There is {text} on this study.", family


STRANGERS = {
    "Findings were shown to Nakagawa after the case.": "Findings were shown to _ after the case.",
    "This was seen by Okonjo-Bright and Nguyen.": "This was seen by _ and _.",
    "Then Okafor agreed with the plan.": "Then _ agreed with the plan.",
    "PRESENT FOR THE WHOLE OF THE CASE WITH NGUYEN THROUGHOUT": "PRESENT FOR THE WHOLE OF THE CASE WITH _ THROUGHOUT",
    "Present: Okafor, Nguyen and Patel": "Present: _ and _",
    "The porter (Yevgenia) helped.": "The porter (_) helped.",
}


@pytest.mark.parametrize(("text", "left"), STRANGERS.items())
def test_a_capital_that_no_list_of_words_knows_is_a_person(text, left):
    assert removed(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "A small Karydakis flap was raised.",
        "Given the Wexler retractor, this is limited.",
        "There were elevated LFTs on admission.",
        "Injected 10 mCi Tc-99m at noon.",
        "No evidence of Legionella.",
        "Sag Zyklon Quellbad",
        "Follow up with the Otolaryngologist as planned.",
    ],
)
def test_an_unknown_capital_that_is_a_thing_stays(text):
    assert removed(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Read 7/26 as before", "Read _ as before"),
        ("done Sat 3/4 in the clinic", "done _ in the clinic"),
        ("called 3/4 @ 1430", "called _ @ 1430"),
        ("away 3/4-3/6 only", "away _ only"),
        ("the range 20030802-20030813 was left", "the range _ was left"),
        ("seen 03AUG12 there", "seen _ there"),
        ("seen on Febuary 3, 2012", "seen on _"),
        ("on the third of march two thousand twelve he fell", "on _ he fell"),
        ("Mar 3/12 scan", "_ scan"),
    ],
)
def test_short_and_spoken_dates_go(text, left):
    text, left = f"Note: {text}", f"Note: {left}"
    assert removed(text) == left


@pytest.mark.parametrize("text", ["strength 4/5-5/5 throughout", "grade 3/16 there", "lymph nodes 3/14 positive"])
def test_fractions_stay(text):
    assert removed(f"There is {text} on this.") == f"There is {text} on this."


@pytest.mark.parametrize(
    "number", ["(02) 5550 5120", "01632 960885", "8-5120", "five five five oh one two two", "1300 555 120"]
)
def test_phones_of_other_habits_go(number):
    assert removed(f"Ring {number} with questions.") == "Ring _ with questions."


@pytest.mark.parametrize("text", ["levels two three four", "3-5 cm", "b 0-1000 s"])
def test_numbers_that_are_no_phones_stay(text):
    assert removed(f"There are {text} here.") == f"There are {text} here."


@pytest.mark.parametrize(
    "address",
    [
        "15597 Avenue of the Pines",
        "12206 County Road 114",
        "2424 State Hwy 22",
        "Glenmoor, North Dakota 39162",
        "Glenmoor, Mich. 49484",
        "Glenmoor, QC J0K 3M0",
        "Ambleford AM4 7QT",
        "Torvale NSW 2997",
    ],
)
def test_addresses_of_other_habits_go(address):
    assert removed(f"She lives at {address}, and waits.") == "She lives at _, and waits."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Tech: JS; Room: 4", "Tech: _; Room: 4"),
        ("User=jsmith3", "User=_"),
        ("Scrub: MS", "Scrub: _"),
        ("Addendum (MN): no change", "Addendum (_): no change"),
        ("typed 3/4/2016 14:30 /RHN", "typed _ 14:30 /_"),
    ],
)
def test_initials_and_user_names_as_a_fields_value_go(text, left):
    assert removed(text) == left


@pytest.mark.parametrize(
    "text", ["Tech: CT", "Read: NO", "Plane: AX", "Ordered: MRI", "Reviewed: XR", "FSE", "VIBE /FS"]
)
def test_abbreviations_as_a_fields_value_stay(text):
    assert removed(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("PV1|1|CASE^CHRISTIAN^J|||N", "PV1|1|_|||N"),
        ("MSH|1|TRWH|||N", "MSH|1|_|||N"),
        ("the patient came from dunmore general hospital today", "the patient came from _ today"),
        ("OBR|1|CTCHEST^CT CHEST W CONTRAST|||N", "OBR|1|CTCHEST^CT CHEST W CONTRAST|||N"),
        ("MSH|1|ORU^R01|||N", "MSH|1|ORU^R01|||N"),
        ("blood from SAH", "blood from SAH"),
        ("seen in the hospital today", "seen in the hospital today"),
    ],
)
def test_messages_and_dictated_text_lose_people_and_places_only(text, left):
    assert removed(text) == left


def test_an_organ_in_capitals_before_a_name_stays():
    assert removed("MRI BRAIN Delacroix, Rosalind") == "MRI BRAIN _"


ADVERSARIAL = (
    "1-", "1.", "a@", "Smith, ", "SMITH\n", "MRN 1-", "123 ", "AB/cd ", "12 Main ", "é", "cc: A. Lee; ", "A. ", "de la ",
    "Dr. ", "(1", "x 1 ", "+1 2", "Calle de ", "St. ", "1 de ", "Hospital ", "12. ", "van der ", "a", " ", "\n", "D: ", "'",
    ":", "Am Alten ", "5 mei ", "AAAA-1", "by ", "[at]", "www.", "a.", "2020-", "Jan ", "Baker ",
    "Okafor ", "Okafor, ", "with Okafor ", "one ", "a^", "A B^", "addendum ", "addendum 1 ", "by AB", "twenty may ",
    "1 rue de ", "unknownx clinic ", "3/4-", "Tech: ", "/ab", "TRWH|",
)  # fmt: skip
"""What expressions could be made to go back and forth over; each is repeated to the whole size."""

READ_ALL = """
import sys
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.text import TextEngine
known = KnownIdentifiers(patient_names=("MILLER-LEE^JANE^ANN",), patient_ids=("0045-7781",), addresses=("77 Main St",))
engine, size = TextEngine(language=sys.argv[1]), int(sys.argv[2])
for unit in sys.argv[3:]:
    spans = engine.find(unit * (size // len(unit)), known)
    assert all(left.end <= right.start for left, right in zip(spans, spans[1:]))
print("read")
"""
ONE_MB = 1_000_000
READING_S = 60
"""A failure signal, not a measurement: one unit takes 1-4 s, a quadratic rule hours."""


@pytest.mark.parametrize("language", ["en", "de", "es", "nl"])
@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_adversarial_text_is_read_to_its_end(language, unit):
    spans = TextEngine(language=language).find(unit * (20_000 // len(unit)), PATIENT)
    assert all(left.end <= right.start for left, right in pairwise(spans))


@pytest.mark.parametrize(
    "unit", ["1-", "Smith, ", "123 ", "12 Main ", "A. ", "de la ", "12. ", "a", "Okafor, ", "one ", "a^", "by at "]
)
def test_adversarial_text_of_1_mb_is_read_in_linear_time(unit):
    command = [sys.executable, "-c", READ_ALL, "en", str(ONE_MB), unit]
    assert subprocess.run(command, capture_output=True, text=True, timeout=READING_S, check=True).stdout == "read\n"
