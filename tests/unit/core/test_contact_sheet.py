"""A hospital's sheet of thumbnails: small, says whom it shows, and shows nobody who went while it was made."""

import io

import pytest
from PIL import Image

from gradient_assets.boundary import contact_sheet_key
from gradient_assets.contact_sheet import COLUMNS, ROWS, TILE_PIXELS, put_contact_sheet, shown_on
from resources.buckets.object_store import Bucket, BucketAddress, ObjectVanished

SHEET = contact_sheet_key("st-mary")


def key(number):
    return f"st-mary/2.25.1/2.25.2/2.25.{number:03}.png"


@pytest.fixture
def bucket(tmp_path):
    return Bucket(BucketAddress(str(tmp_path)))


def put(bucket, *numbers):
    """Pictures whose grey is their number."""
    for number in numbers:
        stream = io.BytesIO()
        Image.new("L", (120, 80), number * 10).save(stream, "PNG")
        bucket.put(key(number), stream.getvalue())
    return [key(number) for number in numbers]


def made(bucket, *answers):
    """The sheet, where the pictures that there are change from one question to the next."""
    left = list(answers)
    return put_contact_sheet(bucket, "st-mary", lambda: left.pop(0) if len(left) > 1 else left[0])


def tile(bucket, number):
    with Image.open(io.BytesIO(bucket.get(SHEET))) as sheet:
        row, column = divmod(number, COLUMNS)
        return sheet.getpixel((column * TILE_PIXELS + TILE_PIXELS // 2, row * TILE_PIXELS + TILE_PIXELS // 2))[0]


def test_the_sheet_shows_each_picture_and_says_which(bucket):
    keys = put(bucket, 5, 10, 20)
    assert made(bucket, keys) == SHEET
    assert shown_on(bucket, "st-mary") == keys
    assert [round(tile(bucket, place), -1) for place in range(3)] == [50, 100, 200]


def test_of_many_pictures_a_few_are_taken_from_everywhere(bucket):
    keys = put(bucket, *range(1, 26), *range(26, 101))
    made(bucket, keys)
    shown = shown_on(bucket, "st-mary")
    assert len(shown) == len(set(shown)) == COLUMNS * ROWS
    assert shown[0] == keys[0]
    assert shown[-1] in keys[90:]


def test_without_pictures_there_is_no_sheet_and_an_earlier_one_goes(bucket):
    made(bucket, put(bucket, 1))
    assert made(bucket, []) is None
    assert not bucket.exists(SHEET)
    assert shown_on(bucket, "st-mary") == []


def test_who_is_withdrawn_while_the_sheet_is_made_is_not_on_it(bucket):
    both, one = put(bucket, 1, 2), [key(1)]
    assert made(bucket, both, one) == SHEET
    assert shown_on(bucket, "st-mary") == one


def test_nor_does_a_picture_that_went_meanwhile_break_it(bucket):
    both = [*put(bucket, 1), key(2)]
    made(bucket, both, [key(1)])
    assert shown_on(bucket, "st-mary") == [key(1)]


def test_a_picture_that_is_missing_although_its_row_is_there_is_an_error(bucket):
    with pytest.raises(ObjectVanished):
        made(bucket, [key(1)])


def without_comment():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("content", [b"", b"no picture", without_comment()], ids=["empty", "foreign", "silent"])
def test_a_sheet_that_does_not_say_whom_it_shows_is_told_apart_from_an_empty_one(bucket, content):
    bucket.put(SHEET, content)
    assert shown_on(bucket, "st-mary") is None
