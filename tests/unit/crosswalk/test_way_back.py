"""The only way back: one pseudonym, with a reason, logged each time, also when it fails."""

import pytest

from gradient_assets.crosswalk import CrosswalkError, Question, UnknownPseudonym, answer, everything
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.tables import CROSSWALK, DICOM_METADATA, IDENTIFIED_REPORTS
from resources import Settings, SettingsError, resources_for
from resources.buckets.object_store import StoreError
from resources.vault_contract import MissingKey
from tests.unit.crosswalk.conftest import REASON, SECRET, header

RECIPIENT = "recipient/uni-x"


@pytest.fixture
def built(sent):
    sent.update()
    return sent


def recipient(tables, version):
    return Pseudonymizer(tables.resources.keys.version(RECIPIENT, version), tables.hospital.id)


@pytest.fixture
def delivered(built):
    """A recipient with a key that was used."""
    built.resources.vault.create(RECIPIENT)
    built.resources.key(RECIPIENT)
    return built


def test_every_spelling_of_an_id_comes_back(built):
    assert built.texts(built.of_version(1).patient("MRN-2")) == ["MRN-2", "mrn-2 "]


def test_a_patient_without_an_id_is_found_by_the_study(built):
    (entry,) = built.ask(built.of_version(1).person("", fallback="1.2.3").pseudonym)
    assert (entry.original.text, entry.original.without_id) == ("", "1.2.3")


def test_a_use_is_logged_with_who_when_why_and_the_version_and_without_the_original(built):
    pseudonym = built.of_version(1).patient("MRN-1")
    built.ask(pseudonym)
    (use,) = built.logged()
    assert use.pop("at").endswith("+00:00")
    assert use == {
        "what": "reidentify",
        "hospital_id": "st-mary",
        "asked": pseudonym,
        "outcome": "found",
        "by": "Ada",
        "reason": REASON,
        "key_versions": [1],
        "recipient": "",
        "failure": "",
    }


def test_each_use_is_an_object_of_its_own_and_none_is_written_over(built):
    pseudonym = built.of_version(1).patient("MRN-1")
    for _ in range(3):
        built.ask(pseudonym)
    assert len(built.logged()) == 3


@pytest.mark.parametrize("pseudonym", ["P" + "A" * 16, "2.25.7", "A" + "B" * 15, "X" + "B" * 15])
def test_an_unknown_pseudonym_is_refused_and_logged(built, pseudonym):
    with pytest.raises(UnknownPseudonym, match="unknown to hospital 'st-mary'"):
        built.ask(pseudonym)
    assert [(use["asked"], use["outcome"]) for use in built.logged()] == [(pseudonym, "unknown")]


@pytest.mark.parametrize("typed", ["MRN-1", "1.2.1", "", "P123", "Quillfeather^Zebulon"])
def test_what_is_no_pseudonym_is_refused_and_not_repeated(built, typed):
    with pytest.raises(UnknownPseudonym) as refused:
        built.ask(typed)
    (use,) = built.logged()
    assert use["asked"] == "(not a pseudonym)"
    assert not typed or (typed not in str(refused.value) and typed not in str(use))


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        ("Ada", ""),
        ("Ada", "   because"),
        ("Ada", "because"),
        ("Ada", "x" * 501),
        ("Ada", "two\nlines of it"),
        ("", REASON),
    ],
)
def test_without_a_reason_or_a_name_nothing_is_looked_for(built, by, reason):
    pseudonym = built.of_version(1).patient("MRN-1")
    for call in (
        lambda: answer(built.resources, built.hospital, Question(pseudonym, by, reason)),
        lambda: everything(built.resources, built.hospital, by=by, reason=reason),
    ):
        with pytest.raises(CrosswalkError, match=r"--(by|reason)"):
            call()
    assert built.logged() == []


def test_a_failure_is_logged_too(built):
    pseudonym = built.of_version(1).patient("MRN-1")
    (built.path / f"identified/secrets/{SECRET}.key").unlink()
    with pytest.raises(MissingKey):
        built.ask(pseudonym)
    assert [(use["outcome"], use["failure"]) for use in built.logged()] == [("failed", "MissingKey")]


def test_what_can_not_be_logged_is_not_answered(built):
    (built.path / "identified/way_back_log").write_text("a file where the log's folder should be")
    with pytest.raises(StoreError):
        built.ask(built.of_version(1).patient("MRN-1"))


def test_another_hospitals_rows_do_not_answer(built):
    pseudonym = built.of_version(1).patient("MRN-1")
    foreign = type(built.hospital)
    other = foreign(**{name: getattr(built.hospital, name) for name in foreign.__slots__} | {"id": "lakeside"})
    with pytest.raises(UnknownPseudonym):
        answer(built.resources, other, Question(pseudonym, "Ada", REASON))


def test_a_process_without_the_identified_zone_has_no_way_back(built):
    public = resources_for(Settings.from_environment({"GRADIENT_HOME": str(built.path), "GRADIENT_ZONES": "public"}))
    with pytest.raises(SettingsError):
        answer(public, built.hospital, Question("P" + "A" * 16, "Ada", REASON))


@pytest.mark.parametrize(
    ("original", "pseudonym"),
    [
        ("MRN-1", lambda key: key.patient("MRN-1")),
        ("1.2.1.1", lambda key: key.uid("1.2.1.1")),
        ("ACC-1", lambda key: key.accession("ACC-1")),
    ],
)
def test_a_recipients_pseudonym_leads_back_under_every_version_of_their_key(delivered, original, pseudonym):
    delivered.resources.keys.rotate(RECIPIENT, by="Ada", reason=REASON)
    for version in (1, 2):
        key = recipient(delivered, version)
        found = delivered.ask(pseudonym(key), recipient="uni-x")
        assert {(entry.original.text, entry.key_version) for entry in found} == {(original, version)}
    assert [use["recipient"] for use in delivered.logged()] == ["uni-x", "uni-x"]


def test_a_recipients_date_shift_is_the_one_of_their_copy(delivered):
    key = recipient(delivered, 1)
    (entry,) = delivered.ask(key.patient("MRN-1"), recipient="uni-x")
    assert entry.shift_days == key.shift_days("MRN-1") != delivered.of_version(1).shift_days("MRN-1")


def test_a_recipients_pseudonym_leads_back_when_the_objects_are_gone_and_the_hospitals_key_was_rotated(delivered):
    delivered.rotate()
    delivered.gone(DICOM_METADATA, "1a", "1b", "1c")
    delivered.gone(IDENTIFIED_REPORTS, "1r")
    delivered.update()
    assert delivered.texts(recipient(delivered, 1).patient("MRN-1"), recipient="uni-x") == ["MRN-1"]


def test_two_scopes_do_not_answer_for_each_other(delivered):
    with pytest.raises(UnknownPseudonym):
        delivered.ask(recipient(delivered, 1).patient("MRN-1"))
    with pytest.raises(UnknownPseudonym, match="recipient 'uni-x' for hospital 'st-mary'"):
        delivered.ask(delivered.of_version(1).patient("MRN-1"), recipient="uni-x")


def test_a_recipient_without_a_key_is_refused_and_logged(built):
    with pytest.raises(MissingKey):
        built.ask("P" + "A" * 16, recipient="nobody")
    assert [use["failure"] for use in built.logged()] == ["MissingKey"]
    assert not built.resources.vault.exists("recipient/nobody")


def test_everything_is_what_the_key_in_use_made_and_is_logged_once(built):
    built.rotate()
    built.update()
    found = list(everything(built.resources, built.hospital, by="Ada", reason=REASON))
    assert {entry.key_version for entry in found} == {2}
    assert len(found) * 2 == built.warehouse.count(CROSSWALK)
    assert [(use["what"], use["outcome"], use["key_versions"]) for use in built.logged()] == [
        ("crosswalk", "found", [2])
    ]


@pytest.mark.parametrize("change", ["nothing built", "a record more", "a rotation"])
def test_files_of_a_crosswalk_that_is_not_up_to_date_are_refused_and_logged(sent, change):
    if change != "nothing built":
        sent.update()
    if change == "a record more":
        sent.send(DICOM_METADATA, header("z", "MRN-9", "1.2.9", "1.2.9.1"))
    if change == "a rotation":
        sent.rotate()
    with pytest.raises(CrosswalkError, match="gradient run -H st-mary"):
        everything(sent.resources, sent.hospital, by="Ada", reason=REASON)
    assert [use["failure"] for use in sent.logged()] == ["CrosswalkError"]
