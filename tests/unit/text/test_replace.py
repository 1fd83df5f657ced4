"""Surrogates and tags: what they keep, what they never are, and what a profile lets stay."""

import re

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import TextEngine
from gradient_assets.deid.text.lexicon import lexicon
from gradient_assets.deid.text.replace import Replacer
from gradient_assets.deid.text.spans import Span
from gradient_assets.deid.text.surrogates import Surrogates, stock
from gradient_assets.deid.verify import IdentifierIndex, residual_in_text

IDENTITY = Pseudonymizer(SecretKey(bytes(32)), "hospital")
PERSON = IDENTITY.person("4711")
KNOWN = KnownIdentifiers(
    patient_names=("OKAFOR^CHINEDU^RAYMOND",),
    patient_ids=("00471123",),
    birth_dates=("19480309",),
    study_dates=("20200115",),
    addresses=("12 Elm Street, Springfield, IL 62704",),
    physicians=("Lindqvist^Greta",),
)


def surrogates(text="", *, known=KNOWN, person=PERSON, draw=0, language="en"):
    return Surrogates(known, person, lexicon(language), text=text, draw=draw)


def replaced(kind, value, *, replace="surrogates", dates="shift", known=KNOWN, person=PERSON):
    replacer = Replacer(known, person, lexicon("en"), replace=replace, dates=dates)
    return replacer.replacement(value, Span(0, len(value), kind, "test"))


@pytest.mark.parametrize(
    "written", ["OKAFOR, CHINEDU", "Okafor, Chinedu R.", "chinedu okafor", "Okafor-Lindqvist", "O. K."]
)
def test_a_name_keeps_case_order_and_punctuation(written):
    made = surrogates().name(written)
    shape = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|[^A-Za-z]")
    kinds = [
        (piece.isupper(), piece.istitle(), piece if not piece.isalpha() else "") for piece in shape.findall(written)
    ]
    assert [(p.isupper(), p.istitle(), p if not p.isalpha() else "") for p in shape.findall(made)] == kinds
    assert not {word for word in made.lower().split() if len(word) > 2} & {"okafor", "chinedu", "raymond", "lindqvist"}


def test_one_name_has_one_surrogate_in_whatever_order_and_an_initial_agrees_with_it():
    family, given = surrogates().name("Okafor, Chinedu").split(", ")
    assert surrogates("another text").name("CHINEDU OKAFOR") == f"{given} {family}".upper()
    assert surrogates().name("C. Okafor") == f"{given[0]}. {family}"


def test_another_patient_or_key_has_another_surrogate():
    other_key = Pseudonymizer(SecretKey(bytes([1] * 32)), "hospital").person("4711")
    names = {surrogates(person=person).name("Okafor") for person in (PERSON, IDENTITY.person("4712"), other_key)}
    assert len(names) == 3


def test_family_names_and_places_are_nobodys():
    words = lexicon("en")
    assert not set(stock("en").family) & (words.family | words.given | words.guarded | words.eponyms)
    assert len(stock("en").family) > 2000
    assert not set(stock("en").places) & (words.family | words.guarded)


def test_a_surrogate_is_no_name_of_the_record_nor_of_the_text():
    first = surrogates().name("Okafor")
    taken = KnownIdentifiers(patient_names=KNOWN.patient_names, relatives=(first,))
    assert surrogates(known=taken).name("Okafor") != first
    assert surrogates(f"Seen with {first}.").name("Okafor") != first


def test_another_draw_gives_other_surrogates():
    for made in (
        lambda s: s.name("Okafor"),
        lambda s: s.number("00471123", "ID"),
        lambda s: s.address("12 Elm Street"),
    ):
        assert made(surrogates()) != made(surrogates(draw=1))


@pytest.mark.parametrize("number", ["00471123", "AB-471/123", "(555) 201-4455", "22-443338"])
def test_a_number_keeps_length_separators_and_case(number):
    made = surrogates().number(number, "ID")
    assert re.sub(r"[0-9]", "0", re.sub(r"[A-Z]", "A", made)) == re.sub(r"[0-9]", "0", re.sub(r"[A-Z]", "A", number))
    assert not set(re.findall(r"\w{2,}", made)) & set(re.findall(r"\w{2,}", number))


@pytest.mark.parametrize(
    ("address", "shape"),
    [
        ("12 Elm Street, Springfield, IL 62704", r"\d\d [A-Z][a-z]+ [A-Z][a-z]+, [A-Z][a-z]+, [A-Z]{2} \d{5}"),
        ("4691 CHESTNUT LN, APT 4B", r"\d{4} [A-Z]+ [A-Z]+, [A-Z]+ \d[A-Z]"),
        ("Glenwood, Ohio 27031", r"[A-Z][a-z]+, [A-Z][a-z]+ \d{5}"),
    ],
)
def test_an_address_keeps_its_shape_and_no_word(address, shape):
    made = surrogates().address(address)
    assert re.fullmatch(shape, made), made
    assert not set(re.findall(r"\w{2,}", made.lower())) & set(re.findall(r"\w{2,}", address.lower()))


@pytest.mark.parametrize("name", ["Saint Agnes Hospital", "HOLY REDEEMER MEDICAL CENTER", "Westhaven Clinic", "UCXQ"])
@pytest.mark.parametrize("language", ["en"])
def test_an_institution_becomes_an_invented_one_without_a_word_of_it(name, language):
    made = surrogates(language=language).institution(name)
    assert made.isupper() == name.isupper()
    assert not set(made.lower().split()) & set(name.lower().split())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("EMAIL", "greta.lindqvist7@hospital.org"),
        ("EMAIL", "x@mail.example.org"),
        ("URL", "https://www.hospital.org/p?id=4711"),
        ("URL", "http://portal.site.example.org/okafor"),
    ],
)
def test_mail_and_page_lie_at_reserved_hosts_and_share_no_word(kind, value):
    made = replaced(kind, value)
    host = re.split(r"[@/]", made.replace("://", "@"))[1]
    assert host in stock("en").hosts
    assert not set(re.findall(r"[a-z]{3,}|\d+", made)) & set(re.findall(r"[a-z]{3,}|\d+", value))


@pytest.mark.parametrize("replace", ["tags", "surrogates"])
@pytest.mark.parametrize(
    ("written", "pooled"), [("94", "90+"), ("94-year-old", "90+-year-old"), ("ninety-four", "90+")]
)
def test_ages_over_89_are_pooled(replace, written, pooled):
    assert replaced("AGE", written, replace=replace) == pooled


@pytest.mark.parametrize("dates", ["year", "shift", "keep"])
@pytest.mark.parametrize("before", ["12 Elm Street, Springfield, IL ", "Springfield, IL ", ""])
@pytest.mark.parametrize("extension", ["", "-1234"])
def test_no_digit_of_a_postal_code_stays_under_any_profile(dates, before, extension):
    for zip_code in range(60001, 62501, 25):
        made = replaced("ADDRESS", f"{before}{zip_code}{extension}", dates=dates)[-len(f"{zip_code}{extension}") :]
        assert re.fullmatch(r"\d{5}" + (r"-\d{4}" if extension else ""), made)
        assert made[:3] != str(zip_code)[:3]


@pytest.mark.parametrize("kind", ["ADDRESS", "ID", "PHONE"])
def test_patients_of_one_postal_code_have_different_surrogates(kind):
    people = [IDENTITY.person(str(number)) for number in range(20)]
    assert len({replaced(kind, "62704", person=person) for person in people}) > 15


def test_patients_of_one_street_and_state_have_different_surrogates():
    made = [replaced("ADDRESS", "7 Elm Court, IL", person=IDENTITY.person(str(number))) for number in range(20)]
    for part in (r"^\d", r"(\w+),", r"\w+$"):
        assert len({re.search(part, one)[0] for one in made}) > 3


@pytest.mark.parametrize(
    ("replace", "dates", "written", "shown"),
    [
        ("tags", "shift", "1/2/2020", "[DATE]"),
        ("tags", "year", "1/2/2020", "[DATE]"),
        ("surrogates", "year", "1/2/2020", "2020"),
        ("surrogates", "year", "3/4/1930", "[DATE]"),
        ("surrogates", "shift", "the ides of March", "[DATE]"),
        ("tags", "keep", "1/2/2020", "1/2/2020"),
        ("tags", "keep", "March 9, 1948", "[DATE]"),
    ],
)
def test_dates_follow_the_profile(replace, dates, written, shown):
    assert replaced("DATE", written, replace=replace, dates=dates) == shown


def test_a_shifted_date_that_is_a_day_of_the_record_is_tagged():
    moved = replaced("DATE", "1/20/2020")
    month, day, year = map(int, moved.split("/"))
    known = KnownIdentifiers(birth_dates=(f"{year:04d}{month:02d}{day:02d}",))
    assert replaced("DATE", "1/20/2020", known=known) == "[DATE]"


def test_the_independent_search_finds_nothing_in_surrogates():
    text = (
        "OKAFOR, CHINEDU R, MRN 00471123, DOB 3/9/1948, of 12 Elm Street, Springfield, IL 62704, seen by Dr. Greta Lindqvist "
        "on January 15, 2020 at Saint Agnes Hospital. Mr. Okafor's daughter Ngozi was called."
    )
    cleaned = TextEngine(replace="surrogates").clean(text, KNOWN, PERSON)
    assert residual_in_text(cleaned.text, KNOWN, study_dates=True) == []
    assert IdentifierIndex.build([KNOWN]).search_text(cleaned.text) == []
    assert "[" not in cleaned.text.replace("[DATE]", "")
