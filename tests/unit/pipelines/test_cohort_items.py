"""Each instance of a cohort is a work item, also one whose original is gone."""

import pytest

from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.pipelines.known import gather
from tests.fakes.small_home import OBJECTS, SmallHome

RECIPIENT = Pseudonymizer(SecretKey(bytes(32)), "st-mary")
GONE, LEFT = "2.25.71", "2.25.72"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return SmallHome.build(tmp_path_factory.mktemp("home"), with_thumbnails=False)


def items(home, instances, **more):
    known = gather(home.resources.warehouse, "st-mary")
    return list(home.source.release(set(instances), known, RECIPIENT, "1", **more))


def test_an_instance_without_an_original_is_refused_as_gone_or_as_withdrawn(home):
    there = {home.new_uid(number) for number in range(1, len(OBJECTS) + 1)}
    found = items(home, there | {GONE, LEFT}, withdrawn={LEFT, home.new_uid(99)})
    assert len(found) == len(OBJECTS) + 2
    refused = [item for item in found if item.get("refuse")]
    assert sorted(item["refuse"] for item in refused) == ["original_gone", "withdrawn"]
    assert [item["object_key"] for item in refused] == ["", ""]
    assert (
        len({item["object_pseudonym"] for item in found}) == len({item["work_token"] for item in found}) == len(found)
    )
    assert not [item for item in refused if GONE in str(item) or LEFT in str(item)]


def test_an_instance_that_is_withdrawn_later_is_another_item(home):
    (gone,), (withdrawn,) = items(home, {LEFT}), items(home, {LEFT}, withdrawn={LEFT})
    assert gone["work_token"] != withdrawn["work_token"]
    assert gone["object_pseudonym"] == withdrawn["object_pseudonym"]
