"""A store that keeps failing is left alone for a while, and used again when it answers."""

import pytest

from resources.buckets import object_store
from resources.buckets.breaker import BREAK_AFTER, REST_S, Breaker
from resources.buckets.object_store import Bucket, BucketAddress, ObjectVanished, StoreUnavailable


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_it_opens_after_failures_in_a_row_and_lets_one_through_after_the_rest():
    clock = Clock()
    breaker = Breaker(after=3, rest_s=10, now=clock)
    for _ in range(2):
        breaker.failed()
        assert not breaker.open
    breaker.failed()
    assert breaker.open
    clock.now_s += 10
    assert not breaker.open
    breaker.failed()
    assert breaker.open, "one failure after the rest is enough"
    clock.now_s += 10
    breaker.answered()
    breaker.failed()
    assert not breaker.open


def test_a_single_answer_between_failures_keeps_it_closed():
    breaker = Breaker(after=2, rest_s=10, now=Clock())
    for _ in range(5):
        breaker.failed()
        breaker.answered()
    assert not breaker.open


class Failing:
    """Stands for a remote store: what each request ends with."""

    def __init__(self, outcome):
        self.outcome, self.asked = outcome, 0

    def __call__(self):
        self.asked += 1
        raise self.outcome


@pytest.mark.parametrize(
    ("outcome", "asked"),
    [(StoreUnavailable("get: status 503"), BREAK_AFTER), (ObjectVanished("get: no such object"), 30)],
    ids=["down", "objects that are gone"],
)
def test_a_bucket_that_is_down_is_asked_a_few_times_only(outcome, asked):
    bucket, store = Bucket(BucketAddress("s3://bucket")), Failing(outcome)
    for _ in range(30):
        with pytest.raises(type(outcome)):
            bucket._asked("get", store)
    assert store.asked == asked


def test_the_rest_is_shorter_than_a_run_and_known_to_no_other_process():
    assert REST_S < 60
    bucket = Bucket(BucketAddress("s3://bucket"))
    for _ in range(BREAK_AFTER):
        bucket._breaker.failed()
    assert bucket._breaker.open
    assert not object_store.Bucket.__getstate__(bucket)["_breaker"].open
