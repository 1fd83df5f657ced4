"""What is known of a patient in other shapes, places and words; ages and births.  Each with what looks alike and stays."""

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers, joined_patient_id
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import TextEngine

NOBODY = KnownIdentifiers()
PATIENT = KnownIdentifiers(
    patient_names=("WALLENDORF-QUIROZ^JONAS^MILAN",),
    patient_ids=("QX-0047115",),
    birth_dates=("19310412",),
    study_dates=("20240229",),
    addresses=("14 Mulberry Crescent, Evanston IL 60201",),
    institutions=("Saint Barnabas Medical Center",),
)
PERSON = Pseudonymizer(SecretKey(bytes(32)), "hospital").person("4711")
ENGINES = {language: TextEngine(language=language) for language in ("en", "de", "es", "nl")}


def removed(text: str, known: KnownIdentifiers = NOBODY, language: str = "en") -> str:
    """The text with what was found struck out."""
    for span in reversed(ENGINES[language].find(text, known)):
        text = text[: span.start] + "_" + text[span.end :]
    return text


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("en", "Noted, age 93.", "Noted, age _."),
        ("en", "aged 93, cough", "aged _, cough"),
        ("en", "AGE: 91, SEX: F", "AGE: _, SEX: F"),
        ("en", "at the age of 92, fell", "at the age of _, fell"),
        ("en", "Age/Sex: 91/F", "Age/Sex: _/F"),
        ("en", "91F with cough", "_F with cough"),
        ("en", "She is 93 and frail.", "She is _ and frail."),
        ("en", "The patient, 93, presents again.", "The patient, _, presents again."),
        ("en", "He turned 91 last week.", "He turned _ last week."),
        ("en", "her 100th birthday", "her _ birthday"),
        ("de", "im Alter von 92, gestürzt", "im Alter von _, gestürzt"),
        ("de", "Alter: 93.", "Alter: _."),
        ("de", "Die Patientin, 93, kommt.", "Die Patientin, _, kommt."),
        ("de", "91/w, Husten", "_/w, Husten"),
        ("de", "zum 100. Geburtstag", "zum _. Geburtstag"),
        ("es", "a la edad de 92, cae", "a la edad de _, cae"),
        ("es", "La paciente, 93, acude.", "La paciente, _, acude."),
        ("es", "cumplió 91 ayer", "cumplió _ ayer"),
        ("nl", "op de leeftijd van 92, val", "op de leeftijd van _, val"),
        ("nl", "Patiënte, 93, komt.", "Patiënte, _, komt."),
        ("nl", "werd 91 en valt", "werd _ en valt"),
    ],
)
def test_an_age_over_89_goes_whatever_stands_behind_it(language, text, left):
    assert removed(text, language=language) == left


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Age 89. Aged 45, cough."),
        ("en", "Turned 90 degrees. It is 93 mm long."),
        ("en", "Age: 93.5 days. Stage 95/100."),
        ("en", "The collimator turned 120 degrees, 100 kV, 95, 96, 97 mAs."),
        ("en", "He is 93 kg and 191 cm."),
        ("de", "Alter: 93 Tage. Er ist 93 kg schwer."),
        ("es", "edad 93 días, tiene 95 mm"),
        ("nl", "leeftijd 93 dagen"),
    ],
)
def test_a_number_that_is_no_high_age_stays(language, text):
    assert removed(text, language=language) == text


@pytest.mark.parametrize("text", ["SCC T2N1M0", "AJCC T2N1M0 stage IIB", "TNM T4N2M1", "L2N 3B4"])
def test_a_tumour_stage_is_no_postal_code(text):
    assert removed(text) == text


def test_a_canadian_postal_code_goes():
    assert removed("Lives in Calgary AB T2N 1M0 now") == "Lives in _ now"


@pytest.mark.parametrize("dates", ["year", "shift", "keep"])
@pytest.mark.parametrize("replace", ["tags", "surrogates"])
@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("Patient was born in 1931.", "Patient was born in [DATE]."),
        ("DOB: 1931", "DOB: [DATE]"),
        ("YOB 1931", "YOB [DATE]"),
        ("DOB 4/12/1931", "DOB [DATE]"),
        ("DOB 12/4/1931", "DOB [DATE]"),
        ("DOB April 1931", "DOB [DATE]"),
        ("04/12/1931 on the wristband", "[DATE] on the wristband"),
    ],
)
def test_a_birth_is_tagged_in_every_mode(dates, replace, written, cleaned):
    engine = TextEngine(dates=dates, replace=replace)
    assert engine.clean(written, PATIENT, PERSON).text == cleaned


@pytest.mark.parametrize("text", ["Stable since 1931.", "Born 3 weeks early.", "Stillborn twin, 1900 g."])
def test_a_year_or_weight_that_is_no_birth_stays(text):
    assert removed(text) == text


@pytest.mark.parametrize(
    ("language", "text"), [("de", "Jahrgang 1931"), ("es", "nacida en 1931"), ("nl", "geboren in 1931")]
)
def test_a_birth_year_goes_in_each_language(language, text):
    assert removed(text, language=language) == text.replace("1931", "_")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("resides in Evanston with family", "resides in _ with family"),
        ("Evanston 60201", "_ _"),
        ("Her zip code is 60201.", "Her zip code is _."),
        ("code 60201-2231", "code _"),
        ("14 mulberry cres., Evanston", "_., _"),
        ("St. Barnabas prior CT", "_ prior CT"),
        ("seen at Barnabas", "seen at _"),
        ("Images from Saint Barnabas", "Images from _"),
    ],
)
def test_known_places_go_without_their_address(text, left):
    assert removed(text, PATIENT) == left


def test_an_unknown_zip_code_goes_behind_its_label():
    assert removed("Home ZIP 20059, PLZ") == "Home ZIP _, PLZ"


@pytest.mark.parametrize(
    "text", ["60201 mm, 0.60201, 160201.5 counts", "Medical center of the lesion", "the crescent sign"]
)
def test_what_looks_like_a_known_place_stays(text):
    assert removed(text, PATIENT) == text


@pytest.mark.parametrize(
    ("town", "text", "left"),
    [
        ("Reading", "Reading room. Lives in Reading, PA.", "Reading room. Lives in _, PA."),
        ("Boston", "Boston Scientific lead. Flew to Boston.", None),
    ],
)
def test_a_town_that_is_a_word_goes_where_a_place_is_meant(town, text, left):
    known = KnownIdentifiers(addresses=(f"14 Mulberry Crescent, {town} PA 19601",))
    assert f"in {town}" not in removed(text, known)
    assert f"to {town}" not in removed(text, known)
    if left:
        assert removed(text, known).startswith(left[:13])


@pytest.mark.parametrize(
    "written",
    [
        "W A L L E N D O R F",
        "q u i r o z",
        "WALLEN DORF",
        "Wallen-\ndorf",
        "jquiroz",
        "quirozj",
        "jmquiroz",
        "Qu1roz",
        "W4LLENDORF",
        "Jonas Quir0z",
        "Wallenclorf",
    ],
)
def test_a_known_name_goes_in_shapes_without_word_boundaries(written):
    assert not any(sign.isalpha() for sign in removed(f"12 {written} 12", PATIENT))


@pytest.mark.parametrize(
    "text", ["A B C D E", "C 3 T 1", "under wood shavings", "T2N1M0 C3C4 H1N1", "burn modern corner", "a long line"]
)
def test_pieces_that_are_no_known_name_stay(text):
    known = KnownIdentifiers(patient_names=("UNDERWOOD^ALONG", "MODEM^BUM^COMER"))
    assert removed(text, known) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no. 110101193104121234 ok", "no. _ ok"),
        ("card 4111 1111 1111 1111", "card _"),
        ("Policy: BCBS-YTH88120041", "Policy: _"),
    ],
)
def test_long_and_prefixed_numbers_go(text, left):
    assert removed(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "matrix 1024 1024 2048 2048",
        "0.123456789012345678",
        "SOP Class 1.2.840.10008.5.1.4.1.1.2 was sent",
        "Transfer syntax 1.2.840.10008.1.2.4.90.",
    ],
)
def test_numbers_of_the_standard_and_of_measurements_stay(text):
    assert removed(text) == text


def test_a_uid_of_a_hospital_goes():
    assert removed("UID 1.2.840.113619.2.55.3.604688119.971") == "UID _"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("QXZ^RAY", "CHEST X-RAY PA"),
        ("QXZ^RAY", "X-ray chest. Chest x ray, 2 views."),
        ("WATERS^QXZ", "WATERS VIEW"),
        ("WATERS^QXZ", "Waters view of the sinuses"),
        ("BERRY^QXZ", "Berry aneurysm. A berry aneurysm."),
        ("BURNS^QXZ", "second degree burns"),
        ("BURNS^QXZ", "SECOND DEGREE BURNS OF THE LEFT ARM AND CHEST WALL ARE SEEN"),
        ("QXZ^ROSE", "WBC ROSE to 12. PSA rose."),
        ("DREW^QXZ", "Nurse drew blood"),
        ("RICH^QXZ", "lipid-rich plaque"),
        ("FORT^QXZ", "Le Fort I fracture"),
    ],
)
def test_a_known_name_leaves_the_word_it_is(name, text):
    assert removed(text, KnownIdentifiers(patient_names=(name,))) == text


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("QXZ^RAY", "Ray was told. Mr. Ray Qxz.", "_ was told. Mr. _."),
        ("WATERS^QXZ", "Mrs. Waters has a Waters view.", "Mrs. _ has a Waters view."),
        ("BURNS^QXZ", "Images of Burns were compared.", "Images of _ were compared."),
        ("QXZ^ROSE", "ROSE REPORTS PAIN. WBC ROSE TO 12.", "_ REPORTS PAIN. WBC ROSE TO 12."),
        ("BERRY^QXZ", "Dear Berry, your aneurysm", "Dear _, your aneurysm"),
        ("TER-PETERSEN^PAT", "PAT TER-PETERSEN is here", "_ is here"),
        (
            "QXZ^IVY",
            "IVY WAS MOVED. CHEST IS CLEAR. LUNGS ARE CLEAR.",
            "_ WAS MOVED. CHEST IS CLEAR. LUNGS ARE CLEAR.",
        ),
        ("FORT^LE", "Dr. Le Fort repaired it", "Dr. _ repaired it"),
    ],
)
def test_a_known_name_that_is_a_word_goes_where_a_person_is_meant(name, text, left):
    assert removed(text, KnownIdentifiers(patient_names=(name,))) == left


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("de", "OA Dr. Hollwitz / Ass. Przybilla", "OA Dr. _ / Ass. _"),
        ("de", "i.A. Przybilla, FÄ für Radiologie", "i.A. _, FÄ für Radiologie"),
        ("de", "an Sr. Mechthild übermittelt", "an Sr. _ übermittelt"),
        ("de", "Bef.: hö/sch", "Bef.: _"),
        ("de", "Frau Schmidts Thorax unauffällig", "Frau _ Thorax unauffällig"),
        ("de", "ASS 100 mg, i.v. Kontrastmittel", "ASS 100 mg, i.v. Kontrastmittel"),
        ("nl", "met arts-ass. Bouke de Vries om 14.30u", "met arts-ass. _ om 14.30u"),
        ("nl", "UMCG, afdeling K2", "_, afdeling K2"),
    ],
)
def test_names_and_houses_go_by_each_languages_abbreviations(language, text, left):
    assert removed(text, language=language) == left


@pytest.mark.parametrize(("one", "other"), [("QX-004711", "QX4711"), ("00471-12", "47112"), ("qx 04711", "QX4711")])
def test_padding_joins_ids(one, other):
    assert joined_patient_id(one) == joined_patient_id(other)


@pytest.mark.parametrize(("one", "other"), [("QX4711", "QX47110"), ("QX4711", "4711"), ("A10", "A1"), ("A1002", "A12")])
def test_other_ids_stay_apart(one, other):
    assert joined_patient_id(one) != joined_patient_id(other)
