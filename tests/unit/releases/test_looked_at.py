"""Whose looks a release's report counts: looks at what the release holds, as it is now, and bounds from samples alone."""

from dataclasses import dataclass

import pytest

from gradient_assets.deid.headers import Profile, replaced_uid
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.pipelines.thumbnails import stage_version
from gradient_assets.pipelines.work import WorkSource
from gradient_assets.releases.evidence import gather_evidence
from gradient_assets.review.decisions import (
    AddedBox,
    Decision,
    DecisionLog,
    ReviewError,
    decisions_bucket,
)
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA
from tests.fakes.small_home import PlantedFinder
from tests.fakes.small_release import RELEASE, Made

HOSPITAL, SECRET = "st-mary", "hospital/st-mary"
OBJECTS = 3
AT = "2026-01-02T03:04:05+00:00"


@dataclass
class Reviewed:
    """A release whose objects the hospital's tables know, and reviewers of them."""

    made: Made

    def sent(self, etag="x"):
        """The hospital's tables, with objects of that entity tag; the release was made from `x`."""
        identity = self.identity
        self.made.put(
            DICOM_METADATA,
            [
                {
                    "hospital_id": HOSPITAL,
                    "object_key": f"quillfeather/{number}.dcm",
                    "etag": etag,
                    "sop_instance_uid": f"1.2.3.{number}",
                    "identifiers_json": "{}",
                }
                for number in range(OBJECTS)
            ],
            HOSPITAL,
        )
        self.made.put(
            DEIDENTIFIED_METADATA,
            [
                {"hospital_id": HOSPITAL, "sop_instance_uid": replaced_uid(f"1.2.3.{number}", identity.uid)}
                for number in range(OBJECTS)
            ],
            HOSPITAL,
        )

    def decide(self, number, verdict="accept", *, by_chance=True):
        """As a sitting keeps it, about what the tables and the finder say at this moment."""
        resources = self.made.resources
        hospital = self.made.registry.get(HOSPITAL)
        source = WorkSource(hospital, resources.warehouse, self.identity)
        version = stage_version(resources.text_finder, Profile.of(hospital.profile))
        (item,) = (i for i in source.pixels(version) if i["object_key"] == f"quillfeather/{number}.dcm")
        boxes = (AddedBox(1, 1, 2, 2),) if verdict == "box" else ()
        one = Decision(item["object_pseudonym"], item["work_token"], verdict, boxes, "Ada", AT, by_chance)
        DecisionLog.of(resources, hospital).keep(one)

    def use_finder(self, version):
        self.made.resources.__dict__["text_finder"] = PlantedFinder(version=version)

    @property
    def identity(self):
        return Pseudonymizer(self.made.resources.key(SECRET), HOSPITAL)

    def counted(self):
        """Looked at, with a box; drawn by chance, with a box."""
        seen = gather_evidence(self.made.resources, self.made.registry, RELEASE).reviewed
        return seen.looked, seen.hits, seen.drawn, seen.drawn_hits

    def bound(self):
        return gather_evidence(self.made.resources, self.made.registry, RELEASE).reviewed.most_missed

    def page(self):
        return self.made.report().decode()


@pytest.fixture
def reviewed(tmp_path):
    found = Reviewed(Made.build(tmp_path))
    found.use_finder("1")
    found.sent()
    return found


WARNING = "Nobody has looked at an object of this release that was drawn by chance"


def test_looks_at_what_the_release_holds_lower_the_bound(reviewed):
    assert (reviewed.counted(), reviewed.bound()) == ((0, 0, 0, 0), 1.0)
    assert WARNING in reviewed.page()
    for number in range(OBJECTS):
        reviewed.decide(number)
    assert reviewed.counted() == (3, 0, 3, 0)
    assert reviewed.bound() == pytest.approx(1 - 0.05 ** (1 / 3))
    assert WARNING not in reviewed.page()


def test_an_accept_of_an_older_engines_picture_is_no_look(reviewed):
    reviewed.decide(0)
    reviewed.use_finder("2")
    assert (reviewed.counted(), reviewed.bound()) == ((0, 0, 0, 0), 1.0)
    assert WARNING in reviewed.page()


def test_an_accept_of_an_object_that_was_replaced_since_is_no_look(reviewed):
    reviewed.sent("older")
    reviewed.decide(0)
    reviewed.sent()
    assert reviewed.counted() == (0, 0, 0, 0)
    assert WARNING in reviewed.page()


def test_an_accept_of_an_object_that_came_after_the_release_is_no_look(reviewed):
    reviewed.sent("newer")
    reviewed.decide(0)
    assert reviewed.counted() == (0, 0, 0, 0)


def test_a_miss_that_was_found_on_an_older_engines_picture_still_counts(reviewed):
    reviewed.decide(0, "box")
    reviewed.use_finder("2")
    assert reviewed.counted() == (1, 1, 1, 1)


def test_what_people_chose_to_look_at_does_not_lower_the_bound(reviewed):
    for number in range(OBJECTS):
        reviewed.decide(number, "box" if number == 0 else "accept", by_chance=False)
    assert (reviewed.counted(), reviewed.bound()) == ((3, 1, 0, 0), 1.0)
    page = reviewed.page()
    assert WARNING in page
    assert (
        '<td>Objects of this release that people chose</td><td class="n">3</td><td class="n">3</td><td class="n">1</td>'
        '<td class="n">says nothing</td>'
    ) in page
    assert "what people chose to look at does not lower it" in page


def test_the_bound_is_that_of_the_sample_beside_what_people_chose(reviewed):
    reviewed.decide(0, by_chance=False)
    reviewed.decide(1)
    assert reviewed.counted() == (2, 0, 1, 0)
    assert reviewed.bound() == pytest.approx(0.95)


def test_what_review_put_aside_is_no_look_at_the_release(reviewed):
    reviewed.decide(0, "quarantine")
    assert reviewed.counted() == (0, 0, 0, 0)


def test_a_look_holds_on_after_a_rotation_of_the_key(reviewed):
    reviewed.decide(0)
    reviewed.made.resources.keys.rotate(SECRET, by="Ada", reason="a laptop was lost")
    reviewed.sent()
    assert reviewed.counted() == (1, 0, 1, 0)


def test_a_decision_without_a_seal_stops_the_report(reviewed):
    reviewed.decide(0)
    bucket = decisions_bucket(reviewed.made.resources, HOSPITAL)
    (stat,) = bucket.listing()
    bucket.put(stat.key, bucket.get(stat.key).replace(b"Ada", b"Eve"))
    with pytest.raises(ReviewError, match="changed after it was written"):
        reviewed.made.report()
