"""Table E.1-1 as data, and what the named profiles make of it."""

import json

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.headers.rules import Action, Rules, table
from tests.shared import SHARED, needs_shared
from tests.unit.headers.test_profile import profile_file


def test_the_tables_say_their_edition_and_have_all_rows():
    assert table("ps3.15_table_e.1-1")["edition"] == table("ps3.15_table_e.3.10-1")["edition"] == "2026a"
    assert len(table("ps3.15_table_e.1-1")["rows"]) == 655
    assert len(table("ps3.15_table_e.3.10-1")["rows"]) == 479


OPTION_COLUMNS = {
    "rtnSafePrivOpt": "retain_safe_private",
    "rtnUIDsOpt": "retain_uids",
    "rtnDevIdOpt": "retain_device_identity",
    "rtnInstIdOpt": "retain_institution_identity",
    "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnLongFullDatesOpt": "retain_longitudinal_full",
    "rtnLongModifDatesOpt": "retain_longitudinal_modified",
    "cleanDescOpt": "clean_descriptors",
    "cleanStructContOpt": "clean_structured_content",
    "cleanGraphOpt": "clean_graphics",
}


@needs_shared
def test_the_private_table_holds_what_the_standards_transcript_holds():
    path = SHARED / "standard" / "ps3.15_table_E.3.10-1_safe_private_2026a.json"
    theirs = json.loads(path.read_text())["rows"]
    ours = table("ps3.15_table_e.3.10-1")["rows"]
    assert {(c, g, e, vr) for c, g, e, vr, _ in ours} == {
        (r["privateCreator"], r["group"], r["element"], r["vr"]) for r in theirs
    }
    assert len(ours) == len(theirs)


@needs_shared
def test_the_table_holds_what_the_standards_transcript_holds():
    theirs = json.loads((SHARED / "standard" / "ps3.15_table_E.1-1_2026a.json").read_text())
    ours = {tag: (basic, options) for tag, _, basic, options in table("ps3.15_table_e.1-1")["rows"]}
    assert len(ours) == len(theirs)
    for row in theirs:
        tag = "private" if row["id"].startswith("gggg") else row["id"].upper()
        assert ours[tag][0] == row["basicProfile"]
        assert ours[tag][1] == {OPTION_COLUMNS[k]: v for k, v in row.items() if k.endswith("Opt")}


@pytest.mark.parametrize("name", ["safe_harbor", "longitudinal"])
@pytest.mark.parametrize(
    ("tag", "vr", "action"),
    [
        (0x00100010, "PN", Action.PATIENT_NAME),
        (0x00100020, "LO", Action.PATIENT_ID),
        (0x00080050, "SH", Action.ACCESSION),
        (0x00080018, "UI", Action.UID),
        (0x00081030, "LO", Action.CLEAN),
        (0x00080070, "LO", Action.CLEAN),  # manufacturer: not in the table, kept as cleaned text
        (0x00100040, "CS", Action.KEEP),
        (0x00101010, "AS", Action.KEEP),
        (0x00080020, "DA", Action.DATE),
        (0x00081140, "SQ", Action.UID),
        (0x0040A730, "SQ", Action.CLEAN),
        (0x00700001, "SQ", Action.CLEAN),
        (0x00880200, "SQ", Action.REMOVE),
        (0x04000561, "SQ", Action.REMOVE),
        (0x4FFE0001, "SQ", Action.REMOVE),
        (0xFFFAFFFA, "SQ", Action.REMOVE),
        (0x00080000, "UL", Action.REMOVE),
        (0x50003000, "OW", Action.REMOVE),
        (0x501E0022, "LO", Action.REMOVE),
        (0x60024000, "LT", Action.CLEAN),
        (0x60023000, "OW", Action.KEEP),  # the pixel engine cleans it
        (0x00180FFE, "CS", Action.UNLISTED),
        (0x00080202, "OB", Action.UNLISTED),
        (0x00100012, "PN", Action.REMOVE),  # of 2026a, younger than the dictionary
    ],
)
def test_named_profiles_resolve_tags_as_the_table_says(name, tag, vr, action):
    assert Rules(Profile.named(name)).action(tag, vr) is action


CT, ENHANCED_CT, US, RT_PLAN, SEG = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "2.1", "6.1", "481.5", "66.4"))
MR_SPECTROSCOPY, KEY_OBJECT, PRESENTATION = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("4.2", "88.59", "11.1"))


@pytest.mark.parametrize(
    ("sop_class", "path", "tag", "action"),
    [
        (CT, (), 0x00181000, Action.REMOVE),  # X/Z/D, Type 3 in General Equipment
        (ENHANCED_CT, (), 0x00181000, Action.DUMMY),  # Type 1 in Enhanced General Equipment
        (SEG, (), 0x00181000, Action.DUMMY),
        (CT, (0x00189477,), 0x00181000, Action.DUMMY),  # a sequence that a CT does not have
        ("1.2.3", (), 0x00181000, Action.DUMMY),  # a class that the table does not have
        (CT, (), 0x00080080, Action.REMOVE),
        (CT, (), 0x00081010, Action.REMOVE),
        (RT_PLAN, (), 0x00081070, Action.EMPTY),  # X/Z/D, Type 2 in RT Series
        (CT, (), 0x00081070, Action.REMOVE),
        (RT_PLAN, (0x300A00B0,), 0x300A00B2, Action.EMPTY),  # X/Z, Type 2 in RT Beams
        (CT, (), 0x300A00B2, Action.REMOVE),  # absent from the IOD
        (PRESENTATION, (), 0x00700084, Action.EMPTY),  # Z/D, Type 2
        ("1.2.840.10008.5.1.4.1.1.6", (), 0x00081010, Action.REMOVE),  # a retired class: as its successor
        (CT, (), 0x00081140, Action.UID),  # a reference is never dropped
        (CT, (), 0x00081111, Action.REMOVE),
        (KEY_OBJECT, (), 0x00081111, Action.EMPTY),  # X/Z/D, Type 2
    ],
)
@pytest.mark.parametrize("name", ["safe_harbor", "longitudinal"])
def test_compound_codes_follow_the_type_at_the_attributes_place(name, sop_class, path, tag, action):
    rules = Rules(Profile.named(name)).of_class(sop_class)
    for sequence in path:
        rules = rules.inside(sequence)
    assert rules.action(tag, "LO") is action


def test_a_content_tree_has_the_types_of_its_first_level_at_every_depth():
    top = Rules(Profile.named("longitudinal")).of_class("1.2.840.10008.5.1.4.1.1.88.33")
    content = top.inside(0x0040A730)
    assert content is not top
    assert content.inside(0x0040A730).inside(0x0040A730) is content


def type_one_places() -> list[tuple[str, str, int]]:
    """Every place of every node where Table E.1-1 touches a Type 1 attribute."""
    listed = {tag for tag, *_ in table("ps3.15_table_e.1-1")["rows"]}
    return [
        (sop_class, tag, number)
        for sop_class, number in table("iod_types")["classes"].items()
        for tag in table("iod_types")["nodes"][number].get("1", [])
        if tag in listed
    ]


@pytest.mark.parametrize("options", [[], ["clean_descriptors"], ["retain_uids"]])
def test_no_type_one_attribute_of_any_class_is_removed_or_emptied(options, tmp_path):
    rules = Rules(Profile.load(profile_file(tmp_path, options=options, dates="remove")))
    places = type_one_places()
    assert len(places) > 500
    lost = {
        (sop_class, tag)
        for sop_class, tag, _ in places
        if rules.of_class(sop_class).action(int(tag, 16), "LO") in (Action.REMOVE, Action.EMPTY)
        or rules.of_class(sop_class).when_it_fails(int(tag, 16)) is not Action.DUMMY
    }
    assert not lost


def test_a_file_that_makes_up_tags_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("gradient_assets.deid.headers.rules._MOST_REMEMBERED", 10)
    rules = Rules(Profile.named("longitudinal")).of_class(CT)
    for number in range(100):
        assert rules.action(0x00190010 << 4 | number << 8, "LO") is Action.UNLISTED
    assert len(rules._found) <= 11


def test_the_time_zone_stays_only_where_times_do():
    assert Rules(Profile.named("longitudinal")).action(0x00080201, "SH") is Action.KEEP
    assert Rules(Profile.named("safe_harbor")).action(0x00080201, "SH") is Action.REMOVE


@pytest.mark.parametrize(
    ("option", "tag", "vr"),
    [
        ("retain_uids", 0x00080018, "UI"),
        ("retain_device_identity", 0x00181000, "LO"),
        ("retain_institution_identity", 0x00080080, "LO"),
        ("retain_patient_characteristics", 0x00100040, "CS"),
    ],
)
def test_each_retaining_option_keeps_what_it_names(option, tag, vr, tmp_path):
    without = Rules(Profile.load(profile_file(tmp_path)))
    assert without.action(tag, vr) is not Action.KEEP
    assert Rules(Profile.load(profile_file(tmp_path, options=[option]))).action(tag, vr) is Action.KEEP


def test_without_options_nothing_private_is_safe(tmp_path):
    assert Rules(Profile.load(profile_file(tmp_path, options=[]))).safe_vr(0x0019109E, "GEMS_ACQU_01") is None
    assert Rules(Profile.named("longitudinal")).safe_vr(0x0019109E, "GEMS_ACQU_01") == "LO"
    assert Rules(Profile.named("longitudinal")).safe_vr(0x0019109E, "ACME") is None
