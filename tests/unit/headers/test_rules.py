"""Table E.1-1 as data, and what the named profiles make of it."""

import json

import pytest

from gradient_assets.deid.headers import Profile, ProfileError
from gradient_assets.deid.headers.rules import Action, Rules, table
from tests.shared import SHARED, needs_shared

WHOLE = {
    "name": "mine",
    "edition": "2026a",
    "options": ["clean_descriptors"],
    "dates": "shift",
    "birth_date": "empty",
}


def profile_file(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**WHOLE, **changes}))
    return path


def test_the_tables_say_their_edition_and_have_all_rows():
    assert table("ps3.15_table_e.1-1")["edition"] == table("ps3.15_table_e.3.10-1")["edition"] == "2026a"
    assert len(table("ps3.15_table_e.1-1")["rows"]) == 655
    assert len(table("ps3.15_table_e.3.10-1")["rows"]) == 479


@needs_shared
def test_the_table_holds_what_the_standards_transcript_holds():
    theirs = json.loads((SHARED / "standard" / "ps3.15_table_E.1-1_2026a.json").read_text())
    ours = {tag: (basic, options) for tag, _, basic, options in table("ps3.15_table_e.1-1")["rows"]}
    for row in theirs:
        tag = "private" if row["id"].startswith("gggg") else row["id"].upper()
        assert ours[tag][0] == row["basicProfile"]
        assert sorted(ours[tag][1].values()) == sorted(v for k, v in row.items() if k.endswith("Opt"))


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
        (0x00181000, "LO", Action.DUMMY),  # device serial number: Type 1 in Enhanced General Equipment
        (0x00080080, "LO", Action.EMPTY),
        (0x00081010, "SH", Action.EMPTY),
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


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"options": ["clean_recognizable_visual_features"]}, "not built"),
        ({"options": ["keep_everything"]}, "unknown option"),
        ({"options": ["retain_longitudinal_full"]}, "dates: keep"),
        ({"options": "all"}, "no list"),
        ({"dates": "random"}, "`dates`"),
        ({"birth_date": "keep"}, "`birth_date`"),
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
