"""When an etag can be a condition, and which answers are of another content."""

from contextlib import nullcontext

import pytest

from resources.buckets.entity_tags import condition, refuse_another
from resources.buckets.object_store import ObjectVanished

CONDITIONS = [
    ("0123", '"0123"'),
    ("0123-7", '"0123-7"'),
    ("-CKicn4fknocDEAE=", '"-CKicn4fknocDEAE="'),
    ('W/"0123', None),
    ("listed:1767323045-12", None),
    (None, None),
    ("", '""'),
]
"""As a listing's etags are kept, and `If-Match`.  The second is of an upload in parts, the third of a composite on GCS."""


@pytest.mark.parametrize(("etag", "expected"), CONDITIONS)
def test_a_strong_etag_is_a_condition(etag, expected):
    assert condition(etag) == expected


ANSWERS = [
    ("0123", '"0123"', True),
    ("0123", "0123", True),
    ("0123", 'W/"0123"', True),
    ('W/"0123', 'W/"0123"', True),
    ("0123", '"0124"', False),
    ("0123-7", '"0123"', False),
    ('W/"0123', '"0124"', False),
    ("0123", None, True),
    ("0123", "", True),
    (None, '"0124"', True),
    ("listed:1767323045-12", '"0124"', True),
    ("", '"0124"', False),
]
"""Listed, answered, whether it is read."""


@pytest.mark.parametrize(("etag", "answered", "same"), ANSWERS)
def test_an_answer_of_another_content_is_refused(etag, answered, same):
    with nullcontext() if same else pytest.raises(ObjectVanished, match="replaced"):
        refuse_another("get", etag, answered)
