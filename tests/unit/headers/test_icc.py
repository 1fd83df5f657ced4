"""ICC profiles keep their colours and lose their words."""

import io
import struct

import pytest
from PIL import Image, ImageCms

from gradient_assets.deid.headers.icc import without_words

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NAME = "Quorvath Brunhild"


def with_tag(profile, name, content):
    """The profile with one tag more, its table moved on by an entry."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count)]
    table = b"".join(struct.pack(">4sII", sign, offset + 12, size) for sign, offset, size in entries)
    added = struct.pack(">4sII", name, len(profile) + 12, len(content))
    return profile[:128] + struct.pack(">I", count + 1) + table + added + profile[132 + 12 * count :] + content


@pytest.mark.parametrize(
    "named",
    [
        with_tag(SRGB, b"dmnd", b"text\0\0\0\0" + NAME.encode() + b"\0"),
        with_tag(SRGB, b"dmdd", b"desc\0\0\0\0" + struct.pack(">I", len(NAME) + 1) + NAME.encode() + bytes(79)),
        with_tag(SRGB, b"priv", b"data\0\0\0\0" + NAME.encode()),
        with_tag(
            SRGB,
            b"dmnd",
            b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 34, 28) + NAME.encode("utf-16-be"),
        ),
        SRGB + NAME.encode(),
        SRGB[:80] + NAME.encode()[:4] + SRGB[84:],
    ],
    ids=["text", "desc", "unknown type", "mluc", "after the end", "creator"],
)
def test_words_go_and_colours_stay(named):
    cleaned = without_words(named)
    assert NAME.encode() not in cleaned
    assert NAME.encode("utf-16-be") not in cleaned
    assert NAME.encode()[:4] not in cleaned
    assert without_words(cleaned) == cleaned
    picture = Image.new("RGB", (2, 1), (200, 30, 90))
    lab = ImageCms.createProfile("LAB")
    colours = [
        ImageCms.profileToProfile(picture, ImageCms.ImageCmsProfile(io.BytesIO(one)), lab, outputMode="LAB").tobytes()
        for one in (SRGB, cleaned)
    ]
    assert colours[0] == colours[1]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        SRGB[:100],
        b"x" * 400,
        SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        SRGB[:-200],
        SRGB[:140] + b"\0\0\0\1" + SRGB[144:],
    ],
    ids=["empty", "short", "no profile", "too many tags", "cut", "tag of one byte"],
)
def test_what_is_no_profile_is_told(broken):
    assert without_words(broken) is None
