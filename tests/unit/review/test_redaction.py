"""The process that opens originals: it may die, hang or fail, and what comes out is redacted or refused."""

import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from gradient_assets.review.decisions import ReviewError
from gradient_assets.review.redaction import OBJECTS_HELD, Redacted, RedactionProcess, Redactor
from tests.fakes.bad_finders import DyingFinder, HangingFinder, RaisingFinder, UnloadableFinder
from tests.fakes.small_home import NAME, PATIENT, PlantedFinder


def step_of(home, finder, deadline_s=60.0):
    bucket = home.resources.hospital_bucket(home.hospital, "dicoms")
    return MakeThumbnails(
        home.hospital, bucket, home.identity, Profile.named("longitudinal"), finder, deadline_s=deadline_s
    )


@pytest.fixture
def items(home):
    return list(home.source.pixels(MakeThumbnails.version))


@pytest.fixture
def process_of(home):
    made = []

    def make(finder, deadline_s=60.0):
        made.append(RedactionProcess(step_of(home, finder, deadline_s)))
        return made[-1]

    yield make
    for process in made:
        process.end()


@pytest.mark.parametrize(
    ("finder", "deadline_s", "reason"),
    [
        (DyingFinder(), 60.0, Reason.WORKER_DIED),
        (HangingFinder(), 0.5, Reason.TIMED_OUT),
        (RaisingFinder(), 60.0, Reason.PIXEL_ENGINE_FAILED),
    ],
)
def test_each_failure_refuses_the_object_and_the_next_one_is_tried(process_of, items, finder, deadline_s, reason):
    process = process_of(finder, deadline_s)
    for item in items[:2]:
        with pytest.raises(Refused) as refused:
            process.redact(item)
        assert refused.value.reason is reason
        assert "QUILLFEATHER" not in str(refused.value)


def test_an_engine_that_cannot_be_set_up_is_told_at_the_start(process_of):
    with pytest.raises(ReviewError, match="gradient doctor"):
        process_of(UnloadableFinder()).start()


def test_a_redacted_object_names_nobody_in_its_repr(process_of, items):
    shown = repr(process_of(PlantedFinder()).redact(items[0]))
    for value in (PATIENT, *NAME.split("^")):
        assert value not in shown


@pytest.fixture
def redactor(home):
    one = Redactor(step_of(home, PlantedFinder()))
    yield one
    one.close()


def outcome(redactor, item):
    return redactor.outcome(item["object_pseudonym"], 60.0)


def test_the_next_one_is_made_while_the_first_is_looked_at(redactor, items):
    redactor.want(items[:2])
    assert isinstance(outcome(redactor, items[0]), Redacted)
    assert isinstance(outcome(redactor, items[1]), Redacted)


def test_what_was_not_asked_for_is_not_made(redactor, items):
    redactor.want(items[:1])
    assert isinstance(outcome(redactor, items[0]), Redacted)
    assert redactor.outcome(items[1]["object_pseudonym"]) is None


def test_only_a_few_objects_are_held(redactor, items):
    renamed = [{**items[n % 4], "object_pseudonym": f"{n:032x}"} for n in range(OBJECTS_HELD + 2)]
    for item in renamed:
        redactor.want([item])
        assert isinstance(outcome(redactor, item), Redacted)
    held = [item for item in renamed if redactor.outcome(item["object_pseudonym"]) is not None]
    assert held == renamed[-OBJECTS_HELD:]


def test_a_closed_redactor_holds_nothing(home, items):
    redactor = Redactor(step_of(home, PlantedFinder()))
    redactor.want(items[:1])
    assert outcome(redactor, items[0]) is not None
    redactor.close()
    assert redactor.outcome(items[0]["object_pseudonym"], 1.0) is None
