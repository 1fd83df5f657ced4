"""The blocking check leaves out what was accepted, where it was accepted, and nothing else."""

import io
from collections import Counter

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from gradient_assets.checks.leaks import Search, search_dicoms, search_table
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.quarantine import Spared, decide
from gradient_assets.quarantine.spared import _numbers
from gradient_assets.tables import DEIDENTIFIED_METADATA
from gradient_assets.verification import Verifier
from tests.unit.quarantine.conftest import ADA, ALARM, RELEASED

INSTANCE, REPORT = "2.25.1", "the HEADNECK01 protocol was used"


def spared(**kinds):
    """Spared with one accepted thing of each sort."""
    accepted = Counter(kinds)
    return Spared(
        tokens={"t": accepted},
        instances={INSTANCE: accepted},
        reports={REPORT: accepted},
        objects={"P/1.dcm": accepted},
        findings={"t": {"residual_identifier": ["1 × id"]}},
    )


@pytest.mark.parametrize(
    ("token", "hits", "left_out"),
    [
        ("t", ["id", "id"], {"id"}),
        ("t", ["id"], {"id"}),
        ("t", ["id", "id", "id"], set()),
        ("t", ["id", "name"], {"id"}),
        ("other", ["id"], set()),
    ],
)
def test_in_a_stages_table_as_many_hits_as_were_accepted(token, hits, left_out):
    assert spared(id=2).in_row({"work_token": token, "sop_instance_uid": INSTANCE}, hits) == left_out


@pytest.mark.parametrize(
    ("row", "left_out"),
    [
        ({"sop_instance_uid": INSTANCE}, {"id"}),
        ({"sop_instance_uid": "2.25.2"}, set()),
        ({"sop_instance_uid": "2.25.2", "report_text": f"Other report.\n{REPORT}"}, {"id"}),
        ({"sop_instance_uid": "2.25.2", "report_text": "Other report."}, set()),
        ({"sop_instance_uid": None, "report_text": None}, set()),
    ],
)
def test_in_a_table_made_by_sql_the_instance_or_the_reports_text(row, left_out):
    assert spared(id=1).in_row(row, ["id", "id", "name"]) == left_out


@pytest.mark.parametrize(
    ("key", "hits", "left_out"),
    [
        ("P/1.dcm", ["id", "id"], {"id"}),
        ("P/1.dcm", ["id"], {"id"}),
        ("P/1.dcm", ["id", "id", "id"], set()),
        ("P/1.dcm", ["id", "name"], {"id"}),
        ("P/2.dcm", ["id"], set()),
    ],
    ids=["as many", "fewer", "one hit more", "another kind", "another object"],
)
def test_in_a_release_as_many_hits_as_were_accepted_in_the_very_object(key, hits, left_out):
    assert spared(id=2).in_object(key, hits) == left_out


@pytest.mark.parametrize(
    ("description", "hits", "accepted"),
    [("HEADNECK01", 0, 1), ("HEADNECK01 MRN-771204", 2, 0), ("HEADNECK01 Quillfeather Zebulon", 1, 1)],
    ids=["what was accepted", "one hit more", "another kind"],
)
def test_a_patient_who_is_learned_of_later_is_found_in_an_accepted_object(home, description, hits, accepted):
    """By the blocking check, and by the look that puts aside."""
    known = [KnownIdentifiers(patient_ids=("HEADNECK01",))]
    learned = KnownIdentifiers(patient_ids=("MRN-771204",), patient_names=("Quillfeather^Zebulon",))
    bucket = home.resources.releases
    bucket.put("spring/dicom/P/1.dcm", delivered(description))
    for patients, found in ((known, (0, 1)), ([*known, learned], (hits, accepted))):
        everyone = IdentifierIndex.build(patients)
        search = search_dicoms(Search(everyone, spared(id=1)), bucket, "spring", {})
        assert (search.found.total(), search.accepted) == found

        class Accepting(Verifier):
            index, spared = everyone, spared(id=1)

        look = Accepting(home.resources, "spring", "", {}, {}, ("spring",)).known_in_release()
        assert (look.total, look.accepted) == found


def delivered(description):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, "2.25.1"
    dataset.SeriesDescription = description
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("finding", "has"),
    [
        (("t", "residual_identifier", "1 × id"), True),
        (("t", "residual_identifier", "2 × id"), False),
        (("t", "residual_text_in_pixels", "1 × id"), False),
        (("u", "residual_identifier", "1 × id"), False),
    ],
)
def test_a_finding_is_the_same_only_with_its_code_and_detail(finding, has):
    assert spared(id=1).has(*finding) is has


def test_the_log_gives_tokens_instances_and_kinds(home):
    assert Spared.of_hospital(home.resources, home.registry.get("st-mary")) == Spared()
    decide(home.resources, home.registry, "accept", [home.one(ALARM)], **ADA)
    (token,) = home.log().accepted()
    home.passes(token)
    found = Spared.of_hospital(home.resources, home.registry.get("st-mary"))
    assert found.tokens == {token: {"id": 1}}
    assert found.instances == {INSTANCE: {"id": 1}}
    assert found.has(token, "residual_identifier", "1 × id")
    decide(home.resources, home.registry, "retry", [home.one(ALARM)], **ADA)
    assert Spared.of_hospital(home.resources, home.registry.get("st-mary")) == Spared()


def test_what_is_accepted_for_one_release_is_so_for_no_other_and_not_for_the_hospital(home):
    decide(home.resources, home.registry, "accept", [home.one(RELEASED, release="trial-a")], **ADA)
    assert list(Spared.of_release(home.resources, home.registry.hospitals, "trial-a").tokens.values()) == [
        {"id": 2, "name": 2}
    ]
    assert Spared.of_release(home.resources, home.registry.hospitals, "trial-b") == Spared()
    assert Spared.of_hospital(home.resources, home.registry.get("st-mary")) == Spared()


@pytest.mark.parametrize(("series", "hits", "accepted"), [("HEADNECK01", 0, 1), ("HEADNECK01 MRN-771204", 2, 0)])
def test_the_check_counts_what_it_leaves_out_and_still_finds_the_rest(home, series, hits, accepted):
    decide(home.resources, home.registry, "accept", [home.one(ALARM)], **ADA)
    (token,) = home.log().accepted()
    home.passes(token, series)
    known = [KnownIdentifiers(patient_ids=("HEADNECK01",)), KnownIdentifiers(patient_ids=("MRN-771204",))]
    search = Search(IdentifierIndex.build(known), Spared.of_hospital(home.resources, home.registry.get("st-mary")))
    search_table(search, home.resources.warehouse, DEIDENTIFIED_METADATA, "st-mary")
    assert (search.found.total(), search.accepted) == (hits, accepted)


@pytest.mark.parametrize(
    ("detail", "numbers"),
    [
        ("1 × id", {"id": 1}),
        ("of another patient of the hospital: 1 × id, 3 × birth_date", {"id": 1, "birth_date": 3}),
        ("2 × id, name", {"id": 2, "name": 2}),
        ("2 × id [header_json], 1 × name [report_text series_description]", {"id": 2, "name": 1}),
        ("after 3 rounds", {}),
    ],
)
def test_kinds_and_numbers_are_read_out_of_every_form_of_detail(detail, numbers):
    assert _numbers({"residual_identifier": [detail]}) == Counter(numbers)
