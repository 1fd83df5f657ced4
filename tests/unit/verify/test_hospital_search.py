"""The search over a whole hospital: every planted strong form is found, nothing else is."""

import pickle
import re
from dataclasses import fields
from datetime import date
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify import Finding, Hit, IdentifierIndex
from gradient_assets.deid.verify.uids import searched_uid

UID = "1.2.826.0.1.3680043.8.498.77182093"

KNOWN = [
    KnownIdentifiers(
        patient_names=("VANDERBILT^MARGARET^ROSE",),
        patient_ids=("MRN-0048213",),
        accession_numbers=("RAD44514506",),
        birth_dates=("19470312",),
        addresses=("3500 Chestnut Pkwy, Springfield, FL 50213",),
        phones=("(596) 268-0276",),
        physicians=("OYELARAN^TUNDE",),
        institutions=("Kestrelbrook Memorial Hospital",),
        other_ids=(UID, "m.vanderbilt@example.org", "078-05-1120"),
    ),
    KnownIdentifiers(
        patient_names=("Müller-Łęcka^Zoë",),
        patient_ids=("12345678", "12212013", "20131221"),
        phones=("+44 20 7946 0958",),
    ),
    KnownIdentifiers(patient_names=("Yamada^Tarou=山田^太郎=やまだ^たろう", "O'Brien^Sean"), patient_ids=("48213",)),
    KnownIdentifiers(patient_names=("WHITE^MAY", "Li^Wu"), patient_ids=("AB123",), phones=("749-5249",)),
    KnownIdentifiers(patient_names=("Test^Pattern", "Doe^Peter"), patient_ids=("0", "ID1", "1CT1", "dicom2nifti")),
]
INDEX = IdentifierIndex.build(KNOWN)

PLANTED = [
    ("name", "Vanderbilt^Margaret"),
    ("name", "vanderbilt, margaret rose was seen"),
    ("name", "MARGARET R. VANDERBILT"),
    ("name", "Margaret Vanderbilt's scan"),
    ("name", "release/VANDERBILT_MARGARET/1.png"),
    ("name", "margaret-vanderbilt.dcm"),
    ("name", "MargaretVanderbilt"),
    ("name", '{"family": ["Vanderbilt", "Margaret"]}'),
    ("name", "Zoë Müller-Łęcka"),
    ("name", "Zoe Mueller-Lecka"),
    ("name", "ZOE MULLER"),
    ("name", "Mu\u0308ller-Łe\u0328cka, Zoe\u0308"),
    ("name", "Ｖａｎｄｅｒｂｉｌｔ Margaret"),
    ("name", "Van\u00adderbilt Margaret"),
    ("name", quote("Müller-Łęcka^Zoë")),
    ("name", r"M\u00fcller-\u0141\u0119cka, Zo\u00eb"),
    ("name", "M&uuml;ller, Zo&euml;"),
    ("name", "山田太郎様"),
    ("name", "やまだ　たろう"),
    ("name", "Sean O’Brien"),
    ("name", "OBrien, Sean"),
    ("name", "May White came"),
    ("name", "WHITE^MAY"),
    ("name", "Li, Wu"),
    ("name", "Doe^Peter"),
    ("physician", "cc: Tunde Oyelaran"),
    ("id", "MRN-0048213"),
    ("id", "mrn 0048213"),
    ("id", "MRN0048213.dcm"),
    ("id", "12345678"),
    ("id", "1234-5678"),
    ("id", "12 345 678"),
    ("id", "20131221"),
    ("id", "0012345678"),
    ("id", "MRN12345678"),
    ("id", "patient_12345678/ct"),
    ("id", "a=12345678."),
    ("id", "id 48213,"),
    ("id", "AB-123"),
    ("id", "078051120"),
    ("accession", "RAD44514506"),
    ("accession", "RAD 445-14506"),
    ("accession", "44514506"),
    ("phone", "596.268.0276"),
    ("phone", "5962680276"),
    ("phone", "+1 596 268-0276"),
    ("phone", "+15962680276"),
    ("phone", "020 7946 0958"),
    ("phone", "call 749-5249 now"),
    ("email", "<M.Vanderbilt@example.org>"),
    ("address", "3500 Chestnut Pkwy"),
    ("address", "3500 CHESTNUT PARKWAY, SPRINGFIELD"),
    ("institution", "at Kestrelbrook Memorial Hospital"),
    ("uid", UID),
    ("uid", UID.replace(".", "_") + ".dcm"),
    ("uid", UID + ".4"),
    ("birth_date", "Vanderbilt, born 12 March 1947"),
    ("birth_date", "DOB 1947-03-12 Margaret"),
    ("birth_date", "margaret, b. 3/12/47"),
]


@pytest.mark.parametrize(("kind", "text"), PLANTED)
def test_planted_form_is_found(kind, text):
    assert kind in {hit.kind for hit in INDEX.search_text(text)}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, text in PLANTED if text.isascii()])
@pytest.mark.parametrize("encoding", ["ascii", "utf-16", "utf-16-le", "utf-16-be"])
def test_planted_form_is_found_in_every_encoding(kind, text, encoding):
    assert kind in {hit.kind for hit in INDEX.search_bytes(f"before {text} after".encode(encoding))}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "utf-16", "utf-16-be"])
def test_accented_name_is_found_in_every_encoding(encoding):
    index = IdentifierIndex.build([KnownIdentifiers(patient_names=("Müller^Zoë",))])
    assert index.search_bytes("seen: Zoë Müller, ward 3".encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["Иванов^Пётр", "Διονυσίου^Ἑλένη", "Müller^Zoë"])
def test_name_is_found_between_bytes_that_are_no_text(encoding, name):
    index = IdentifierIndex.build([KnownIdentifiers(patient_names=(name,))])
    noise = bytes(range(128, 256)) + b"\x00\x01\xff\xfe\x02" * 40
    assert index.search_bytes(noise + f"\n{name}\n".encode(encoding) + noise)


def test_mojibake_is_found():
    index = IdentifierIndex.build([KnownIdentifiers(patient_names=("Müller^Renate",))])
    assert index.search_text("Müller Renate".encode().decode("latin-1"))


CLEAN = [
    "PABCDEFGHIJKLMNOP",
    "P12345678ABCDEFGH A2345672345672AB XABCDEF234567ABC",
    "2.25.329800735698586629295641978511506172918",
    "2.25.12345678",
    "0f12345678ab4cdd9e1f4c0a7b3d2e10",
    "12345678901234",
    "912345678 123456789",
    "0.12345678 12345678.5 -0.12345678",
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.48213.1",
    "12\\345\\678",
    "12,345,678",
    "1.2 345678",
    "12 345 678 90",
    "12-21-2013, 2013-12-21, 12/21/2013, 12.21.2013",
    "The white matter may show changes. May represent gliosis. WHITE MATTER MAY BE NORMAL",
    "white may",
    "Test Pattern, SMPTE test pattern",
    "Doe is here. Peter is not.",
    "Pete Doerr",
    "Margaret Smith and Anna Vanderbilt",
    "L4-5, T1-T2, 3.2 x 1.5 cm, 1/2, series 4 image 22",
    "48213 mm, 48213ms, 0.48213",
    "ab 123",
    "749.5249",
    "749 5249",
    "5962680276.4",
    "Springfield, FL 50213",
    "Memorial Hospital",
    "12 March 1947",
    "1947-03-12",
    "0 ID1 1CT1 dicom2nifti anonymous unknown",
    "Swan-Ganz catheter, Jones fracture, Baker's cyst",
    "wu li",
    "",
]


@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_raises_no_alarm(text):
    assert INDEX.search_text(text) == []
    assert INDEX.search_bytes(text.encode()) == []


DEGENERATE = [
    *("", "0", "00000", "11111", "anonymous", "Unknown", "none", "n/a", "X", "patient", "XXXXX"),
    *("CT^MR", "^^^^", "Anonymous^Patient"),
]


@pytest.mark.parametrize("value", DEGENERATE)
def test_degenerate_values_are_not_searched(value):
    known = KnownIdentifiers(**{name.name: (value,) for name in fields(KnownIdentifiers)})
    assert IdentifierIndex.build([known]).size == 0


def test_empty_index_finds_nothing():
    assert IdentifierIndex.build([]).search_text("Margaret Vanderbilt 12345678") == []


def test_lone_birth_date_counts_only_when_asked_for():
    index = IdentifierIndex.build(KNOWN, lone_birth_dates=True)
    assert [hit.kind for hit in index.search_text("12/03/1947")] == ["birth_date"]
    assert [hit.kind for hit in index.search_record({"when": date(1947, 3, 12)})] == ["birth_date"]
    assert INDEX.search_record({"when": date(1947, 3, 12)}) == []


def test_spared_words_are_not_searched():
    index = IdentifierIndex.build(
        [KnownIdentifiers(institutions=("Kestrelbrook Memorial",))], spared=["kestrelbrook-memorial"]
    )
    assert index.search_text("kestrelbrook-memorial") == []


def test_uids_beside_the_records_are_searched():
    assert IdentifierIndex.build([], uids=[UID]).search_text(f"uid {UID}")


LONG, FROM_UUID, SHORT = f"{UID}.20190304", "2.25.329800735698586629295641978511506172918", "1.2.3.4.5.6.7.8"
UIDS = IdentifierIndex.build([], uids=[UID, LONG, FROM_UUID, SHORT, "1.2.03.00045.9911.1", "STUDY-4711-7"])


@pytest.mark.parametrize(
    "text",
    [
        f'{{"0020000D":{{"vr":"UI","Value":["{UID}"]}}}}',
        f"{LONG}\0",
        f"{UID}\\{UID}",
        f"MR{UID}.dcm",
        f"0001_2_{UID.replace('.', '_')}_7.dcm",
        UID.replace(".", "-"),
        UID.replace(".", "/"),
        UID.replace(".", ""),
        f"naïve {UID.replace('.', '')}",
        UID.replace(".", "%2E"),
        FROM_UUID,
        SHORT,
        "1.2.03.00045.9911.1",
        "study 4711-7: STUDY-4711-7",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_uid_is_found_however_it_is_written(text, encoding):
    assert {hit.kind for hit in UIDS.search_text(text)} == {"uid"}
    assert {hit.kind for hit in UIDS.search_bytes(f"{text} ".encode(encoding))} == {"uid"}


def test_a_uid_is_found_as_a_padded_value_between_bytes_that_are_no_text():
    noise = bytes(range(128, 256))
    value = b"\x20\x00\x0d\x00UI" + len(UID).to_bytes(2, "little") + UID.encode() + b"\0"
    assert {hit.kind for hit in UIDS.search_bytes(noise + value + noise)} == {"uid"}


@pytest.mark.parametrize(
    "text",
    [
        f"{UID}1",
        f"1{UID}",
        f"9.{UID}",
        UID[:-1],
        UID.rpartition(".")[0],
        f"7{UID.replace('.', '')}",
        f"{FROM_UUID[:-1]}9",
        "2.25.329800735698586629295641978511506172918329800735",
        f"{SHORT}9",
        f"{SHORT}.9",
        f"syngo {SHORT}.30.4",
        "1.2.3.45.6.7.8",
        "12345678",
    ],
)
def test_another_uid_that_holds_a_known_one_is_none(text):
    assert UIDS.search_text(text) == []
    assert UIDS.search_bytes(text.encode()) == []


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.345", "1.2.3.4", "1.2.3.4567", "", " ", "0"])
def test_a_uid_too_short_to_be_told_from_a_version_is_not_searched(uid):
    index = IdentifierIndex.build([], uids=[uid])
    assert index.size == 0
    assert index.search_text(f"{uid} 1.2.3 12345 1.2.3.4567 1234567") == []


@pytest.mark.parametrize(
    ("uid", "searched"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", False),
        ("1.2.840.10008.1.2.4.50", False),
        ("2.16.840.1.113883.6.96", False),
        ("1.2.840.10008.77120455", True),
        ("1.2.840.10008.5.1.4.1.1.2.0123", True),
        ("1.2.840.100080.1.2.3", True),
    ],
)
def test_what_a_standard_has_defined_is_not_searched(uid, searched):
    index = IdentifierIndex.build([], uids=[uid])
    assert bool(index.search_text(f'"Value":["{uid}"]')) is searched


def test_no_uid_of_the_dictionary_is_searched():
    assert [uid for uid in UID_dictionary if searched_uid(uid)] == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 99999), min_size=6, max_size=10),
    st.text("0123456789._-/ ", max_size=8),
    st.text("0123456789._-/ ", max_size=8),
)
def test_a_uid_is_found_exactly_where_it_stands_whole(arcs, before, after):
    uid = ".".join(["1", *map(str, arcs)])
    assume(searched_uid(uid))
    found = bool(IdentifierIndex.build([], uids=[uid]).search_text(f"{before}{uid}{after}"))
    whole = not re.search(r"[0-9]$|[0-9]\.$", before) and not after[:1].isdigit()
    goes_on = re.match(r"\.[0-9]", after) is not None
    assert found is (whole and (not goes_on or len(uid) >= 24))


def test_record_names_the_column_and_not_the_value():
    record = {
        "pseudonym": "PABCDEFGHIJKLMNOP",
        "text": "Margaret Vanderbilt",
        "rows": 12345678,
        "size": 1.5,
        "none": None,
        "tags": ["x", {"deep": "RAD44514506"}],
    }
    hits = INDEX.search_record(record)
    assert {(hit.kind, hit.where) for hit in hits} == {("name", "text"), ("accession", "tags.deep")}
    assert "vanderbilt" not in repr(hits).casefold()
    assert "44514506" not in repr(hits)


def test_column_is_searched_value_by_value():
    assert INDEX.search_column("text", ["Margaret", "Vanderbilt", "1234", "5678", None, 5]) == []
    assert [hit.where for hit in INDEX.search_column("text", ["a", "Peter Doe", b"Peter Doe"])] == ["text", "text"]


def test_key_is_searched():
    assert [hit.where for hit in INDEX.search_key("thumbnails/RAD44514506/1.png")] == ["key"]


def test_representations_show_counts_only():
    assert "anderbilt" not in repr(INDEX)
    assert repr(Hit("name", "text", "full_name")) == "Hit(kind='name', where='text', rule='full_name')"


def test_index_travels_to_workers():
    again = pickle.loads(pickle.dumps(INDEX))
    assert again.search_text("Margaret Vanderbilt") == INDEX.search_text("Margaret Vanderbilt")


def test_finding_counts_by_kind_and_place():
    finding = Finding()
    assert not finding.add([])
    assert finding.add(INDEX.search_record({"text": "Peter Doe, 12345678"}))
    other = Finding()
    other.add(INDEX.search_record({"text": "Peter Doe"}))
    finding.merge(other)
    assert (finding.searched, finding.flagged, finding.clean, finding.total) == (3, 2, False, 3)
    assert finding.as_dict()["by_kind"] == {"name": 2, "id": 1}
    assert finding.summary() == "3 searched, 2 with findings (2 × name, 1 × id)"
    assert Finding(searched=4).summary() == "4 searched, nothing found"


_STRONG = ["Margaret Vanderbilt", "VANDERBILT^MARGARET", "12345678", "RAD44514506", "(596) 268-0276"]
_STRONG += ["m.vanderbilt@example.org", UID]
_PROSE = st.text(st.characters(codec="utf-8", categories=("L", "P", "Zs", "S", "Cc")), max_size=200)


@settings(max_examples=300, deadline=None)
@given(_PROSE, st.sampled_from(_STRONG), _PROSE)
def test_any_strong_identifier_within_any_text_is_found(before, identifier, after):
    text = f"{before} | {identifier} | {after}"
    assert INDEX.search_text(text)
    assert INDEX.search_bytes(text.encode("utf-8", "replace"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(_STRONG), st.binary(max_size=400))
def test_any_strong_identifier_within_any_bytes_is_found(before, identifier, after):
    assert INDEX.search_bytes(before + f"\n| {identifier} |\n".encode() + after)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_random_bytes_raise_no_alarm_and_no_error(content):
    assert INDEX.search_bytes(content) == []
