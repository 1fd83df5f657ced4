"""The page that an approver reads: what it says, what it must not show, and that it is the same for the same release."""

import re

import pytest

from gradient_assets.cohort import shown_condition
from gradient_assets.deid.pixels.finders import described
from gradient_assets.pipelines.release import finders_in, stage_version
from gradient_assets.releases import ReleaseError
from gradient_assets.releases.evidence import cohort_classes, gather_evidence, refuse_small_classes
from gradient_assets.releases.pictures import chosen_keys, pictures_of
from gradient_assets.releases.report import without_pictures
from gradient_assets.releases.revision import code_revision, package_version
from gradient_assets.releases.verification import NEEDED, PIXELS
from gradient_assets.tables import REFUSED_RELEASE, RELEASE_FACTS
from resources import Settings, resources_for
from tests.fakes.small_release import OTHER, RELEASE, Made, Person


@pytest.fixture
def made(tmp_path):
    return Made.build(tmp_path)


def test_the_same_release_has_the_same_page(made, tmp_path_factory):
    again = Made.build(tmp_path_factory.mktemp("again"))
    assert made.report() == again.report()


def test_nothing_comes_from_outside_and_nothing_runs(made):
    page = without_pictures(made.report()).decode()
    assert not re.search(r"<script|<link|<iframe|<object|@import|https?:|\bon\w+=|src=\"(?!\")", page)


def test_a_value_that_may_be_a_name_is_not_shown(made):
    page = made.report().decode()
    assert "Quillfeather" not in page
    assert "study_description &lt;&gt; &#x27;…&#x27;" in page


@pytest.mark.parametrize(
    "words",
    [
        "SHA-256 of",
        "no text in pixels (objects)",
        "0 of 3 patients are alone in theirs",
        "The smallest class has <b>3</b>",
        "9 boxes in 0 of 3 objects",
        "device-rule",
        "(0010,1040) PatientAddress",
        "(0009,…) private",
        "safe_harbor, PS3.15 2026a",
        "data:image/jpeg;base64,",
        "under 11, or hidden with it",
        "gradient-assets",
        "objects of the cohort were quarantined",
        "nobody has looked yet",
        '<td class="n">0</td><td class="n">nobody has looked yet</td><td class="n">100 %</td>',
        "Look at some, drawn by chance, before you sign",
        "Cleaned under safe_harbor, PS3.15 2026a. Dates: cut to the year.",
        "<td>dates</td><td>cut to the year</td><td>3 objects</td>",
        '<td class="n">7</td><td class="n">1,234</td><td class="n">0</td><td class="n">0</td><td class="good">passed</td>',
        "<b>0</b><span>findings in 35 looks</span>",
        f"that of version {package_version()}",
    ],
)
def test_the_page_says(made, words):
    assert words in made.report().decode()


def test_the_page_says_what_becomes_of_places(made):
    page = made.report().decode()
    assert "an address or postal code that is found in a text is taken out or made up whole" in page
    assert "No place of residence is left" not in page


def test_the_page_claims_no_search_for_uids(made):
    page = made.report().decode()
    assert "Looked for: forms of the names and numbers known in all hospitals." in page
    assert "UIDs" not in without_pictures(page.encode()).decode()


def test_what_people_accepted_as_false_alarms_is_told(made):
    made.check(accepted=2)
    page = made.report().decode()
    assert '<li class="warn"><b>10</b><span>findings in 35 looks, 10 accepted as false alarms</span>' in page
    assert page.count('<td class="n">0</td><td class="n">2</td>') == len(NEEDED)


@pytest.mark.parametrize(
    ("people", "warned"), [([Person(1), Person(2)], False), ([Person(1), Person(2, sex="M")], True)]
)
def test_patients_who_are_alone_are_told_with_what_follows_from_it(tmp_path, people, warned):
    page = Made.build(tmp_path, people).report().decode()
    assert ("pseudonymous, not anonymous" in page) == warned


@pytest.mark.parametrize("reader", ["ppocr-v3-1.2.3", "tesseract-5.3.0-eng"])
@pytest.mark.parametrize("cleaned_by", ["5+5+ppocr-v6", "5+5+ppocr-v6+ppocr-v4"])
def test_the_page_names_who_read_the_pixels_and_claims_no_more_looks_than_there_were(tmp_path, reader, cleaned_by):
    page = Made.build(tmp_path, cleaned_by=cleaned_by, reader=reader).report().decode()
    assert f"text in pixels was read by <code>{reader}</code>, which cleaned none of them" in page
    assert ("shows something new goes to two models" in page) == ("ppocr-v4" in cleaned_by)
    assert ("shows something new goes to one model" in page) == ("ppocr-v4" not in cleaned_by)


@pytest.mark.parametrize("second", ["none", "rapid-v4"])
def test_the_version_of_an_object_names_its_finders(tmp_path, second):
    resources = resources_for(
        Settings.from_environment({"GRADIENT_HOME": str(tmp_path), "GRADIENT_SECOND_FINDER": second})
    )
    finders = [one for one in (resources.text_finder, resources.second_finder) if one is not None]
    version = stage_version(resources.text_finder, resources.second_finder)
    assert finders_in(version) == tuple(map(described, finders))


def test_a_reader_that_cleaned_the_objects_is_no_witness(made):
    made.cleaned_by = f"5+5+{made.reader}"
    made.make([Person(1)])
    with pytest.raises(ReleaseError, match="what cleaned can't prove itself"):
        made.report()


def test_a_reader_without_a_name_is_no_witness(tmp_path):
    with pytest.raises(ReleaseError, match="Nobody knows who read"):
        Made.build(tmp_path, reader="").report()


@pytest.mark.parametrize("idle", NEEDED)
def test_a_check_that_looked_at_nothing_is_no_verification(made, idle):
    made.check(idle=idle)
    with pytest.raises(ReleaseError, match=f"{idle[1]} of {idle[0]} has looked at nothing"):
        made.report()


@pytest.mark.parametrize("idle", NEEDED)
def test_the_registry_may_allow_pixels_that_nobody_read_and_nothing_else(tmp_path, idle):
    made = Made.build(tmp_path, unread_pixels=True)
    made.check(idle=idle)
    if idle != PIXELS:
        with pytest.raises(ReleaseError, match="has looked at nothing"):
            made.report()
        return
    page = made.report().decode()
    assert "nobody has read the pixels again, which the registry allows" in page
    assert "text in pixels was read" not in page
    assert '<td class="warn">nothing was searched</td>' in page
    made.gate.approve(OTHER)
    made.gate.require_approved()


def test_what_was_read_before_approval_is_asked_for_again_at_the_gate(made):
    made.report()
    made.gate.approve(OTHER)
    made.check(idle=PIXELS)
    with pytest.raises(ReleaseError, match="has looked at nothing"):
        made.gate.deliver("root")


def test_small_groups_are_hidden_and_large_ones_shown(tmp_path):
    people = [Person(n) for n in range(30)] + [Person(n, sex="M") for n in range(30, 45)] + [Person(99, sex="O")]
    page = without_pictures(Made.build(tmp_path, people).report()).decode()
    by_sex = page[page.index("By sex") :][:1200]
    assert re.search(r'<td>F</td><td class="n">30</td>', by_sex)
    for hidden in "MO":
        assert f'<td>{hidden}</td><td class="n hidden"' in by_sex


def test_facts_of_other_rows_are_no_evidence(made):
    made.put(RELEASE_FACTS, [])
    with pytest.raises(ReleaseError, match="does not belong to what it holds"):
        made.report()


@pytest.mark.parametrize("instances", [2, 4, None])
def test_a_release_that_does_not_add_up_to_its_cohort_is_no_evidence(made, instances):
    made.note(instances)
    with pytest.raises(ReleaseError, match=r"does not add up: release_dicoms: .* instances in, 3 out, 0 quarantined"):
        made.report()


def test_the_report_shows_what_became_of_each_instance_of_the_cohort(made):
    left_out = [{"reason": reason, "work_token": reason} for reason in ("original_gone", "withdrawn", "not_dicom")]
    made.put(REFUSED_RELEASE, [{"release": RELEASE.name, "hospital_id": "st-mary", **row} for row in left_out])
    made.note(6)
    page = made.report().decode()
    assert "<b>6</b> instances = 3 objects of this release + 2 quarantined (annex) + 1 left out as withdrawn." in page
    assert "2 objects of the cohort were quarantined" in page
    assert page.count("<td>original_gone</td>") == 1
    assert "<td>withdrawn</td>" not in page


def test_a_release_of_nothing_is_not_verified(tmp_path):
    with pytest.raises(ReleaseError, match="holds nothing"):
        Made.build(tmp_path, []).report()


def test_a_class_below_the_floor_is_one_line(made):
    made.make([Person(1), Person(2), Person(3, sex="M")])
    evidence = gather_evidence(made.resources, made.registry, RELEASE)
    refuse_small_classes(RELEASE, evidence.classes, 1)
    with pytest.raises(ReleaseError, match=r"1 of 2 classes of patients .* have fewer than 2 patients"):
        refuse_small_classes(RELEASE, evidence.classes, 2)


def test_the_cohort_is_counted_before_anything_is_made(made):
    made.put_prod([Person(1), Person(2), Person(3, sex="M")])
    assert cohort_classes(made.resources, made.registry, RELEASE).sizes == (1, 2)


def test_pictures_are_chosen_by_the_manifest(made):
    rows = [{"object_key": f"k{number:03}", "frames": number % 5} for number in range(100)]
    chosen = chosen_keys(rows, "a")
    assert chosen == chosen_keys(rows[::-1], "a") != chosen_keys(rows, "b")
    assert len(chosen) == 12
    assert all(int(key[1:]) % 5 for key in chosen)
    assert chosen_keys([{"object_key": "k", "frames": 0}], "a") == []


def test_a_picture_that_can_not_be_drawn_stops_the_report():
    with pytest.raises(ReleaseError, match="can't be drawn"):
        pictures_of(["k"], lambda key: b"no DICOM")


def test_letters_in_a_pictures_bytes_are_not_searched():
    assert without_pictures(b'<img src="data:image/jpeg;base64,Sm/ith+1==">x') == b'<img src="">x'


CODES = {"modality": {"CT", "MR"}}
SHOWN = [
    ("modality = 'CT' AND boxes > 3", "modality = 'CT' AND boxes > 3"),
    ("modality IN ('CT', 'SMITH')", "modality IN ('CT', '…')"),
    ("study_date BETWEEN '2019-01-01' AND '2020-01-01'", "study_date BETWEEN '2019-01-01' AND '2020-01-01'"),
    ("report_text LIKE '%smith%'", "report_text LIKE '…'"),
    ("study_description = 'CT'", "study_description = '…'"),
    ("'CT' = modality", "'CT' = modality"),
    ("NOT (modality = 'ct')", "NOT (modality = '…')"),
    ("report_text LIKE '2019-01-01 smith'", "report_text LIKE '…'"),
]


@pytest.mark.parametrize(("condition", "shown"), SHOWN)
def test_a_condition_shows_codes_numbers_and_dates_only(condition, shown):
    assert shown_condition(condition, CODES) == shown


@pytest.mark.parametrize(("named", "revision"), [("7f3a9c2", "7f3a9c2"), ("no revision; rm -rf", ""), ("x" * 65, "")])
def test_a_revision_is_named_by_the_environment(named, revision):
    assert code_revision({"GRADIENT_REVISION": named}) == revision


def test_the_package_knows_its_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", package_version())
