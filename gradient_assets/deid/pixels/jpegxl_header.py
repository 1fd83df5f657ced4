"""What a JPEG XL codestream declares before anything of it is decoded.

Belongs here: the image header, and of the first frame's header what tells its size and colour transform.  The container's
boxes are `codestreams`' business, what a declaration must agree with `decoding`'s.  ISO/IEC 18181-1, image and frame headers.

A decoder gives room to every frame of an animation, to every extra channel and to frames larger than the picture: a stream
of some kilobytes can ask for all of the memory there is.  Nothing of that belongs to one frame of a DICOM object.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradient_assets.deid.pixels.codestreams import BrokenStreamError, StreamSize

# Width by height, as the header's three bits name it (size header); 0: the width is written out.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
# Distributions of a number: two bits choose how many bits follow and what is added to them.
_SIDE = ((9, 1), (13, 1), (18, 1), (30, 1))
_BITS = ((0, 8), (0, 10), (0, 12), (6, 1))
_EXTRA_CHANNELS = ((0, 0), (0, 1), (4, 2), (12, 1))
_ENUM = ((0, 0), (0, 1), (4, 2), (6, 18))
_CHROMATICITY = ((19, 0), (19, 1 << 19), (20, 1 << 20), (21, 1 << 21))
_UPSAMPLING = ((0, 1), (0, 2), (0, 4), (0, 8))
_PASSES = ((0, 1), (0, 2), (0, 3), (3, 4))
_CROP = ((8, 0), (11, 256), (14, 2304), (30, 18_688))
_GREY, _UNKNOWN_SPACE, _XYB_SPACE, _CUSTOM = 1, 3, 2, 2
_REGULAR, _DC, _REFERENCE, _SKIP_PROGRESSIVE = range(4)
_USES_DC_FRAME = 32
MAX_FRAME_SHARE = 2
"""Of the picture's area that its first frame may have: one that holds patches is packed with gaps."""


@dataclass(frozen=True, slots=True)
class JpegXlFacts:
    """Size, and whether the samples are encoded as XYB or YCbCr, which decoders turn into RGB.

    `is_transformed` is None where an embedded colour profile stands before what would tell.
    """

    size: StreamSize
    is_transformed: bool | None


class _Bits:
    """The codestream from its lowest bit on; raises `BrokenStreamError` at its end."""

    def __init__(self, stream: bytes) -> None:
        self.stream, self.at = stream, 0

    def take(self, count: int) -> int:
        if self.at + count > 8 * len(self.stream):
            raise BrokenStreamError("a JPEG XL header breaks off")
        first, last = self.at // 8, (self.at + count + 7) // 8
        value = int.from_bytes(self.stream[first:last], "little") >> self.at % 8
        self.at += count
        return value & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.take(1) == 1

    def number(self, distributions: tuple[tuple[int, int], ...]) -> int:
        bits, offset = distributions[self.take(2)]
        return self.take(bits) + offset

    def long_number(self) -> int:
        """Up to 64 bits: 0, 4 or 8 bits, or 12 and then eight at a time."""
        chosen = self.take(2)
        if chosen < 3:
            bits, offset = ((0, 0), (4, 1), (8, 17))[chosen]
            return self.take(bits) + offset
        value, shift = self.take(12), 12
        while self.flag():
            if shift == 60:
                return value | self.take(4) << shift
            value |= self.take(8) << shift
            shift += 8
        return value

    def to_byte(self) -> None:
        self.at = -(-self.at // 8) * 8


def jpegxl_facts(stream: bytes) -> JpegXlFacts:
    """What a bare JPEG XL codestream declares.

    Raises `BrokenStreamError`: no codestream; an animation, layers, a preview, extra channels or samples of floating point;
    a first frame larger than `MAX_FRAME_SHARE` pictures.
    """
    if stream[:2] != b"\xff\x0a":
        raise BrokenStreamError("no JPEG XL codestream")
    bits = _Bits(stream[2:])
    rows, columns = _size(bits)
    if bits.flag():  # all by default
        depth, samples, is_xyb, has_profile = 8, 3, True, False
    else:
        depth, samples, is_xyb, has_profile = _metadata(bits)
    size = StreamSize(rows, columns, samples, depth)
    if has_profile or not bits.flag():  # own weights of a transform: like a profile, too long to be stepped over
        return JpegXlFacts(size, True if is_xyb else None)
    bits.to_byte()
    is_ycbcr = _first_frame(bits, size, is_xyb=is_xyb)
    return JpegXlFacts(size, is_xyb or is_ycbcr)


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.flag()

    def side() -> int:
        return (bits.take(5) + 1) * 8 if is_small else bits.number(_SIDE)

    rows = side()
    ratio = _RATIOS.get(bits.take(3))
    return rows, (rows * ratio[0] // ratio[1] if ratio else side())


def _metadata(bits: _Bits) -> tuple[int, int, bool, bool]:
    """Bits and number of samples, whether they are encoded as XYB, whether a colour profile follows."""
    has_extra_fields = bits.flag()
    if has_extra_fields:
        bits.take(3)  # orientation
        if bits.flag():
            _size(bits)  # in which it wants to be shown
        if bits.flag():
            raise BrokenStreamError("a preview in a JPEG XL stream")
        if bits.flag():
            raise BrokenStreamError("a JPEG XL animation")
    if bits.flag():
        raise BrokenStreamError("JPEG XL samples of floating point")
    depth = bits.number(_BITS)
    bits.flag()  # whether 16 bits are enough to decode it
    if bits.number(_EXTRA_CHANNELS):
        raise BrokenStreamError("extra channels in a JPEG XL stream")
    is_xyb = bits.flag()
    samples, has_profile = _colours(bits)
    if has_extra_fields and not bits.flag():
        bits.take(16 + 16 + 1 + 16)  # tone mapping
    if bits.long_number():
        raise BrokenStreamError("extensions in a JPEG XL header")
    return depth, samples, is_xyb, has_profile


def _colours(bits: _Bits) -> tuple[int, bool]:
    """Number of samples, and whether a colour profile follows."""
    if bits.flag():  # sRGB
        return 3, False
    has_profile, space = bits.flag(), bits.number(_ENUM)
    if not has_profile:
        if space != _XYB_SPACE and bits.number(_ENUM) == _CUSTOM:
            _chromaticities(bits, 1)
        if space not in (_GREY, _XYB_SPACE) and bits.number(_ENUM) == _CUSTOM:
            _chromaticities(bits, 3)
        if space != _XYB_SPACE:
            if bits.flag():
                bits.take(24)  # gamma
            else:
                bits.number(_ENUM)
        bits.number(_ENUM)  # rendering intent
    return (1 if space == _GREY else 3), has_profile


def _chromaticities(bits: _Bits, points: int) -> None:
    for _ in range(2 * points):
        bits.number(_CHROMATICITY)


def _first_frame(bits: _Bits, size: StreamSize, *, is_xyb: bool) -> bool:
    """Whether the first frame is encoded as YCbCr; raises where it is a layer, or larger than a picture needs."""
    if bits.flag():  # all by default: XYB, the whole picture, the last frame
        return False
    kind, is_modular, flags = bits.take(2), bits.flag(), bits.long_number()
    is_ycbcr = not is_xyb and bits.flag()
    if not flags & _USES_DC_FRAME:
        if is_ycbcr:
            bits.take(6)  # subsampling of three channels
        bits.number(_UPSAMPLING)
    if is_modular:
        bits.take(2)  # size of a group
    elif is_xyb:
        bits.take(6)  # scales of two channels
    if kind != _REFERENCE:
        _passes(bits)
    if kind == _DC:
        bits.take(2)  # its level
        return is_ycbcr
    is_whole = True
    if bits.flag():
        x0, y0 = (bits.number(_CROP), bits.number(_CROP)) if kind != _REFERENCE else (0, 0)
        width, height = bits.number(_CROP), bits.number(_CROP)
        if width * height > MAX_FRAME_SHARE * size.rows * size.columns:
            raise BrokenStreamError("a JPEG XL frame larger than its picture")
        is_whole = (x0, y0, width, height) == (0, 0, size.columns, size.rows)
    if kind != _REFERENCE:
        blends = bits.take(2)  # 0: replaces what was there
        if blends or not is_whole or not bits.flag():
            raise BrokenStreamError("layers in a JPEG XL stream")
    return is_ycbcr


def _passes(bits: _Bits) -> None:
    passes = bits.number(_PASSES)
    if passes == 1:
        return
    smaller = bits.number(((0, 0), (0, 1), (0, 2), (1, 3)))
    bits.take(2 * (passes - 1) + 2 * smaller)
    for _ in range(smaller):
        bits.number(((0, 0), (0, 1), (0, 2), (3, 0)))
