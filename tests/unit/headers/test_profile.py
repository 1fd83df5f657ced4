"""Profile files: what is refused, which options can be combined, and which of them wins for one element."""

import itertools
import json

import pytest

from gradient_assets.deid.headers import HeaderEngine, Profile, ProfileError
from gradient_assets.deid.headers.profile import OPTIONS
from gradient_assets.deid.headers.rules import Action, Rules, table
from tests.unit.headers.conftest import CutsKnown
from tests.unit.headers.instances import cleaned, instance, item, sequence

WHOLE = {
    "name": "mine",
    "edition": "2026a",
    "options": ["clean_descriptors"],
    "dates": "shift",
    "birth_date": "empty",
}
CT = "1.2.840.10008.5.1.4.1.1.2"


def profile_file(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**WHOLE, **changes}))
    return path


SELECTABLE = sorted(
    set(OPTIONS) - {"clean_recognizable_visual_features", "retain_longitudinal_full", "retain_longitudinal_modified"}
)


@pytest.mark.parametrize("dates", ["keep", "shift", "year", "remove"])
def test_every_two_options_and_all_of_them_can_be_combined(dates, tmp_path):
    for options in (*map(list, itertools.combinations(SELECTABLE, 2)), SELECTABLE, []):
        profile = Profile.load(profile_file(tmp_path, options=options, dates=dates))
        assert set(options) <= profile.options
        assert Rules(profile).of_class(CT).action(0x00100010, "PN") is Action.PATIENT_NAME


@pytest.mark.parametrize(
    ("options", "dates", "tag", "vr", "action"),
    [
        # the basic profile alone: X, Z, D, U as the table says
        ([], "remove", 0x00081030, "LO", Action.REMOVE),
        ([], "remove", 0x00204000, "LT", Action.REMOVE),
        ([], "remove", 0x00100040, "CS", Action.EMPTY),
        ([], "remove", 0x00101010, "AS", Action.REMOVE),
        ([], "remove", 0x00080020, "DA", Action.EMPTY),
        ([], "remove", 0x00080021, "DA", Action.REMOVE),
        ([], "remove", 0x00180010, "LO", Action.EMPTY),
        ([], "remove", 0x0040A730, "SQ", Action.DUMMY),
        ([], "remove", 0x00700001, "SQ", Action.DUMMY),
        ([], "remove", 0x60003000, "OW", Action.REMOVE),
        ([], "remove", 0x60004000, "LT", Action.REMOVE),
        ([], "remove", 0x50003000, "OW", Action.REMOVE),
        ([], "remove", 0x00080018, "UI", Action.UID),
        ([], "remove", 0x00080201, "SH", Action.REMOVE),
        # each option by itself
        (["clean_descriptors"], "remove", 0x00081030, "LO", Action.CLEAN),
        (["clean_structured_content"], "remove", 0x0040A730, "SQ", Action.CLEAN),
        (["clean_graphics"], "remove", 0x00700001, "SQ", Action.CLEAN),
        (["retain_uids"], "remove", 0x00080018, "UI", Action.KEEP),
        (["retain_device_identity"], "remove", 0x00081010, "SH", Action.KEEP),
        (["retain_device_identity"], "remove", 0x00080055, "AE", Action.CLEAN),
        (["retain_institution_identity"], "remove", 0x00080080, "LO", Action.KEEP),
        (["retain_patient_characteristics"], "remove", 0x00102160, "SH", Action.KEEP),
        (["retain_patient_characteristics"], "remove", 0x001021A0, "CS", Action.KEEP),
        (["retain_patient_characteristics"], "remove", 0x001021C0, "US", Action.KEEP),
        (["retain_patient_characteristics"], "remove", 0x00380500, "LO", Action.CLEAN),
        (["retain_patient_characteristics"], "remove", 0x00402004, "DA", Action.REMOVE),
        ([], "keep", 0x00080020, "DA", Action.KEEP),
        ([], "keep", 0x00080201, "SH", Action.KEEP),
        ([], "shift", 0x00080201, "SH", Action.KEEP),
        ([], "year", 0x00080201, "SH", Action.REMOVE),
        # two options on one row
        (["retain_device_identity"], "shift", 0x00181200, "DA", Action.DATE),
        (["retain_device_identity"], "year", 0x00181200, "DA", Action.DATE),
        (["retain_device_identity"], "keep", 0x00181200, "DA", Action.KEEP),
        (["retain_device_identity", "retain_uids"], "shift", 0x00181002, "UI", Action.KEEP),
        (["retain_patient_characteristics", "clean_descriptors"], "shift", 0x00102110, "LO", Action.CLEAN),
        (["retain_institution_identity", "clean_descriptors"], "shift", 0x00081040, "LO", Action.KEEP),
    ],
)
def test_an_option_changes_the_rows_that_name_it_and_no_others(options, dates, tag, vr, action, tmp_path):
    profile = Profile.load(profile_file(tmp_path, options=options, dates=dates))
    assert Rules(profile).of_class(CT).action(tag, vr) is action


def test_in_no_row_does_one_option_keep_what_another_cleans_but_for_dates():
    """So there is nothing else to decide; a later edition that adds such a row makes this fail."""
    mixed = {
        tag
        for tag, _, _, options in table("ps3.15_table_e.1-1")["rows"]
        if len({letter for option, letter in options.items() if not option.startswith("retain_longitudinal")}) > 1
    }
    assert mixed == set()


def engine_for(tmp_path, pseudonymizer, **changes):
    return HeaderEngine(Profile.load(profile_file(tmp_path, **changes)), pseudonymizer, CutsKnown())


def test_the_basic_profile_alone_leaves_no_description_date_or_content(tmp_path, pseudonymizer):
    source = instance(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33",
        StudyDescription="CHEST",
        SeriesDate="20200229",
        SeriesTime="101112",
        ContentDate="20200229",
        PatientSex="F",
        ExpiryDate="20200229",
        ContentSequence=sequence(item(TextValue="fine"), item(TextValue="fine")),
    )
    result, _, after = cleaned(engine_for(tmp_path, pseudonymizer, options=[], dates="remove"), source)
    assert not {"StudyDescription", "SeriesTime", "ExpiryDate"} & set(after.dir())
    assert (after.StudyDate, after.PatientSex, after.ContentDate) == ("", "", "19000101")
    assert [one.TextValue for one in after.ContentSequence] == ["REMOVED"]
    assert result.method_codes == ("113100",)
    assert after.LongitudinalTemporalInformationModified == "REMOVED"


def test_dates_in_private_sequences_go_where_dates_are_removed(tmp_path, pseudonymizer):
    source = instance()
    source.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(
        0x9A, "SQ", sequence(item(SeriesDate="20200229", StudyDate="20200229", Rows=7))
    )
    engine = engine_for(tmp_path, pseudonymizer, options=["retain_safe_private"], dates="remove")
    _, written, after = cleaned(engine, source)
    assert after[0x2001109A].value[0].Rows == 7
    assert b"20200229" not in written


@pytest.mark.parametrize(
    ("option", "keyword", "value"),
    [
        ("retain_institution_identity", "InstitutionName", "St. Mary Hospital"),
        ("retain_institution_identity", "InstitutionAddress", "1 Main Street"),
        ("retain_device_identity", "DeviceSerialNumber", "SN 123456"),
        ("retain_device_identity", "StationName", "CTROOM1"),
    ],
)
def test_what_an_option_retains_is_kept_to_the_letter(option, keyword, value, tmp_path, pseudonymizer):
    source = instance(**{keyword: value})
    result, _, after = cleaned(engine_for(tmp_path, pseudonymizer, options=[option]), source)
    assert after[keyword].value == value
    assert value in result.retained
    assert OPTIONS[option][0] in result.method_codes


def test_a_retained_name_that_names_the_patient_is_cleaned(tmp_path, pseudonymizer):
    source = instance(InstitutionName="Zymurgy Hospital", DeviceSerialNumber="MRN-0077123")
    options = ["retain_institution_identity", "retain_device_identity"]
    _, written, _ = cleaned(engine_for(tmp_path, pseudonymizer, options=options), source)
    assert b"Zymurgy" not in written
    assert b"0077123" not in written


def test_pixel_cleaning_is_never_claimed_by_the_header(longitudinal):
    assert "clean_pixel_data" in longitudinal.profile.options
    result, _, _ = cleaned(longitudinal, instance())
    assert "113101" not in result.method_codes


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"options": ["clean_recognizable_visual_features"]}, "not built"),
        ({"options": ["keep_everything"]}, "unknown option"),
        ({"options": ["retain_longitudinal_full"]}, "dates: keep"),
        ({"options": "all"}, "no list"),
        ({"dates": "random"}, "`dates`"),
        ({"birth_date": "keep"}, "`birth_date`"),
        ({"encapsulated_documents": "keep"}, "`encapsulated_documents`"),
        ({"scanned_forms": "keep"}, "`scanned_forms`"),
        ({"burned_in_text": "keep"}, "`burned_in_text`"),
        ({"edition": "2019b"}, "edition"),
        ({"name": "a/b"}, "`name`"),
        ({"extra": 1}, "unknown field"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_field(changes, complaint, tmp_path):
    with pytest.raises(ProfileError, match=complaint):
        Profile.load(profile_file(tmp_path, **changes))


def test_a_missing_or_garbled_profile_file_is_refused(tmp_path):
    with pytest.raises(ProfileError, match="can't be read"):
        Profile.load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("name: [\n")
    with pytest.raises(ProfileError, match="YAML"):
        Profile.load(tmp_path / "bad.yaml")
    with pytest.raises(ProfileError, match="expected one of"):
        Profile.named("unsafe")


def test_the_digest_names_the_content(tmp_path):
    one = Profile.load(profile_file(tmp_path)).digest
    assert one == Profile.load(profile_file(tmp_path)).digest
    assert one != Profile.load(profile_file(tmp_path, dates="year")).digest
    assert one != Profile.load(profile_file(tmp_path, scanned_forms="clean")).digest


def test_what_a_file_does_not_say_is_the_strict_choice(tmp_path):
    strict = Profile.load(profile_file(tmp_path))
    assert (strict.encapsulated_documents, strict.scanned_forms, strict.burned_in_text) == (
        "quarantine",
        "quarantine",
        "remove",
    )
    assert Profile.of(str(profile_file(tmp_path, scanned_forms="clean"))).scanned_forms == "clean"
    assert Profile.of("longitudinal") == Profile.named("longitudinal")
