"""Building the crosswalk: what is in it, that it is sealed, repeatable, incremental, and what withdrawing leaves."""

import pytest

from gradient_assets.crosswalk import CrosswalkError, forget, opened
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.pipelines import shards
from gradient_assets.tables import CROSSWALK, CROSSWALK_SOURCES, DICOM_METADATA, IDENTIFIED_REPORTS
from resources.vault_contract import KeyChanged, MissingKey
from tests.unit.crosswalk.conftest import HOSPITAL, SECRET, header, report


def held(tables):
    return {(entry.original.kind, entry.original.text) for entry in opened(tables.warehouse, tables.keys)}


def digests(tables):
    return [tables.warehouse.content_digest(spec, HOSPITAL) for spec in (CROSSWALK, CROSSWALK_SOURCES)]


def test_every_kind_of_id_of_headers_and_reports_is_in_it_and_the_standards_uids_are_not(sent):
    sent.update()
    assert held(sent) == {
        ("patient", "MRN-1"),
        ("patient", "MRN-2"),
        ("patient", "mrn-2 "),
        ("patient", ""),
        ("accession_number", "ACC-1"),
        ("accession_number", "ACC-2"),
        ("report", "REP-1"),
        ("report", "REP-2"),
        *(("uid", uid) for uid in ("1.2.1", "1.2.1.1", "1.2.2", "1.2.2.1", "1.2.3", "1.2.3.1", "1.9.8.7")),
    }


def test_pseudonyms_and_shifts_are_those_that_the_engines_write(sent):
    sent.update()
    identity = sent.of_version(1)
    written = {
        "patient": lambda o: identity.person(o.text, fallback=o.without_id).pseudonym,
        "uid": lambda o: identity.uid(o.text),
        "accession_number": lambda o: identity.accession(o.text),
        "report": lambda o: identity.identifier("report", o.text),
    }
    for entry in opened(sent.warehouse, sent.keys):
        assert entry.pseudonym == written[entry.original.kind](entry.original)
        if entry.original.kind == "patient":
            assert (
                entry.shift_days == identity.person(entry.original.text, fallback=entry.original.without_id).shift_days
            )
        else:
            assert entry.shift_days is None


def test_another_patients_id_within_a_header_has_a_row_of_its_own(tables):
    other = {"00101002": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["OLD-77"]}}]}}
    nested = {"00400275": {"vr": "SQ", "Value": [{"00080050": {"vr": "SH", "Value": ["ACC-9"]}}]}}
    tables.send(DICOM_METADATA, header("a", "MRN-1", "1.2.1", "1.2.1.1", more=other | nested))
    tables.update()
    assert {("patient", "OLD-77"), ("accession_number", "ACC-9")} <= held(tables)
    assert tables.texts(tables.of_version(1).patient("old-77")) == ["OLD-77"]


def test_no_original_stands_in_the_tables_bytes_or_in_a_repr(sent):
    sent.update()
    files = [path.read_bytes() for path in (sent.path / "identified/warehouse").glob("crosswalk*/*.parquet")]
    assert len(files) == 2
    shown = repr(list(opened(sent.warehouse, sent.keys))) + repr(sent.rows())
    for original in ("MRN-1", "mrn-2", "ACC-1", "REP-1", "1.9.8.7"):
        assert original not in shown
        assert not any(original.encode() in content for content in files)


def test_the_same_again_changes_no_byte_and_takes_nothing_in(sent):
    first = sent.update()
    assert (first.sources, first.new_sources, first.added) == (4, 4, first.rows)
    before = digests(sent)
    again = sent.update()
    assert (again.new_sources, again.added, again.rows) == (0, 0, first.rows)
    assert digests(sent) == before


def test_built_anew_it_has_the_same_bytes(sent):
    sent.update()
    before = digests(sent)
    for spec in (CROSSWALK, CROSSWALK_SOURCES):
        sent.warehouse.drop(spec, HOSPITAL)
    sent.update()
    assert digests(sent) == before


def test_broken_off_between_the_two_tables_it_is_finished_with_the_same_bytes(sent):
    sent.update()
    before = digests(sent)
    sent.warehouse.drop(CROSSWALK_SOURCES, HOSPITAL)
    assert sent.update().added == 0
    assert digests(sent) == before


def test_more_rows_than_are_held_in_memory_give_the_same_bytes(sent, monkeypatch):
    sent.update()
    before = digests(sent)
    for spec in (CROSSWALK, CROSSWALK_SOURCES):
        sent.warehouse.drop(spec, HOSPITAL)
    monkeypatch.setattr(shards, "ROWS_IN_MEMORY", 2)
    sent.update()
    assert digests(sent) == before


def test_only_new_records_are_taken_in(sent):
    rows = sent.update().rows
    sent.send(DICOM_METADATA, header("d", "MRN-1", "1.2.1", "1.2.1.2"))
    counts = sent.update()
    assert (counts.new_sources, counts.added, counts.rows) == (1, 1, rows + 1)


def test_rows_stay_when_the_objects_are_gone(sent):
    sent.update()
    before = held(sent)
    sent.gone(DICOM_METADATA, "1a", "1b", "1c")
    sent.gone(IDENTIFIED_REPORTS, "1r")
    counts = sent.update()
    assert counts.sources == 0
    assert held(sent) == before


def test_an_object_sent_again_after_it_was_gone_adds_nothing(sent):
    sent.update()
    before = digests(sent)
    sent.gone(DICOM_METADATA, "1a")
    sent.update()
    related = {"00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.9.8.7"]}}]}}
    sent.send(DICOM_METADATA, header("a", "MRN-1", "1.2.1", "1.2.1.1", accession="ACC-1", more=related))
    assert sent.update().added == 0
    assert digests(sent) == before


@pytest.mark.parametrize("column", ["sealed", "pseudonym", "patient_pseudonym", "kind", "work_token", "key_version"])
def test_a_row_that_was_tampered_with_does_not_open(sent, column):
    sent.update()
    first, second = [row for row in sent.rows() if row["kind"] == "uid"][:2]
    other = {"kind": "accession_number", "key_version": 2, "patient_pseudonym": "P" + "A" * 16}
    forged = first | {column: other.get(column, second[column])}
    sent._replace(CROSSWALK, [forged], {row["work_token"] for row in sent.rows()})
    with pytest.raises(CrosswalkError, match="does not open") as refused:
        held(sent)
    assert refused.value.__context__ is None


def test_another_hospitals_scope_does_not_open_a_row(sent):
    sent.update()
    keys = sent.keys
    foreign = type(keys)(keys.hospital, Pseudonymizer(keys.current.key, "lakeside"), keys.version)
    with pytest.raises(CrosswalkError):
        list(opened(sent.warehouse, foreign))


def test_two_patients_with_one_uid_have_a_row_each_and_forgetting_one_leaves_the_others(tables):
    shared = {"00200052": {"vr": "UI", "Value": ["1.5.5.5"]}}
    tables.send(
        DICOM_METADATA,
        header("a", "MRN-1", "1.2.1", "1.2.1.1", more=shared),
        header("b", "MRN-2", "1.2.2", "1.2.2.1", more=shared),
    )
    tables.update()
    identity = tables.of_version(1)
    assert len(tables.ask(identity.uid("1.5.5.5"))) == 2
    assert forget(tables.warehouse, HOSPITAL, [identity.patient("MRN-1")]) == 4
    assert {row["patient_pseudonym"] for row in tables.rows()} == {identity.patient("MRN-2")}
    assert len(tables.ask(identity.uid("1.5.5.5"))) == 1


def test_a_forgotten_patient_is_not_taken_in_again_from_what_still_stands_in_the_tables(sent):
    sent.update()
    before = held(sent)
    pseudonym = sent.of_version(1).patient("MRN-1")
    gone = forget(sent.warehouse, HOSPITAL, [pseudonym])
    assert gone == len(before) - len(held(sent)) == 5
    sent.update()
    assert not any(text in ("MRN-1", "ACC-1", "1.2.1.1") for _, text in held(sent))


def test_a_forgotten_patients_id_goes_from_another_patients_rows_too(tables):
    mother = {"00101002": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["MRN-2"]}}]}}
    tables.send(
        DICOM_METADATA,
        header("a", "MRN-1", "1.2.1", "1.2.1.1", more=mother),
        header("b", "MRN-2", "1.2.2", "1.2.2.1"),
    )
    tables.update()
    forget(tables.warehouse, HOSPITAL, [tables.of_version(1).patient("MRN-2")])
    assert held(tables) == {("patient", "MRN-1"), ("uid", "1.2.1"), ("uid", "1.2.1.1")}


def test_forgetting_nobody_known_changes_nothing(sent):
    sent.update()
    before = digests(sent)
    assert forget(sent.warehouse, HOSPITAL, ["P" + "A" * 16]) == 0
    assert forget(sent.warehouse, HOSPITAL, []) == 0
    assert digests(sent) == before


@pytest.mark.parametrize("named", [1, 2], ids=["by the old pseudonym", "by the new one"])
def test_a_patient_is_forgotten_under_every_version_of_the_key(sent, named):
    sent.update()
    sent.rotate()
    sent.update()
    forget(sent.warehouse, HOSPITAL, [sent.of_version(named).patient("MRN-1")])
    theirs = {sent.of_version(version).patient("MRN-1") for version in (1, 2)}
    assert theirs.isdisjoint(row["patient_pseudonym"] for row in sent.rows())
    assert not any(text in ("MRN-1", "ACC-1", "1.2.1.1") for _, text in held(sent))
    assert ("patient", "MRN-2") in held(sent)


def test_without_its_key_nothing_is_built(sent):
    sent.update()
    before = digests(sent)
    path = sent.path / f"identified/secrets/{SECRET}.key"
    path.unlink()
    with pytest.raises(MissingKey):
        sent.update()
    sent.resources.vault.create(SECRET)
    with pytest.raises(KeyChanged):
        sent.update()
    assert digests(sent) == before


def test_records_without_any_id_are_no_trouble(tables):
    tables.send(DICOM_METADATA, header("a", " ", "1.2.1", "1.2.1.1"))
    tables.send(IDENTIFIED_REPORTS, report("r", 1, "REP-1", " \0 "))
    tables.update()
    assert {text for kind, text in held(tables) if kind == "patient"} == {""}
    assert len([row for row in tables.rows() if row["kind"] == "patient"]) == 2
