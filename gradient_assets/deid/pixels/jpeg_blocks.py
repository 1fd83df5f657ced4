"""Parts of a JPEG frame made black without decoding the rest: every block outside keeps its exact coefficients.

Belongs here: sequential Huffman JPEG (baseline and extended, 8 and 12 bits), read and rewritten bit by bit.  A block that
a box touches gets one coefficient, the level asked for; the bits of the others are copied.  Only a DC difference behind
a changed block is coded anew, with the stream's own tables.  Progressive and arithmetic streams, and tables without the
code that is needed, raise `NotByBlocksError`: `encoding` then stores the picture another way.  No wheel of a permissive
library gives access to coefficients in memory (jpeglib reads and writes files only; PyTurboJPEG needs a library of the system).
ITU-T T.81 annexes A (order of blocks), B (markers), C and F (Huffman codes).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gradient_assets.deid.pixels.boxes import Box
from gradient_assets.deid.pixels.codestreams import SOS, BrokenStreamError, jpeg_facts, jpeg_segments

SOF_SEQUENTIAL = frozenset({0xC0, 0xC1})
DHT, DQT, DRI = 0xC4, 0xDB, 0xDD
BLOCK_PX = 8
BASELINE_BITS = 8
# One entry per bit of the stream and table is held: about 60 bytes of memory for each byte of the scan.
MAX_SCAN_BYTES = 16 << 20
# What the walk adds to a coefficient's index: an end of block leads past 100, a code that is not in the table past 200.
END_OF_BLOCK, NO_CODE = 100, 200
_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")

Bits = NDArray[np.uint8]
# By symbol: the code and its length in bits.
Codes = dict[int, tuple[int, int]]


class NotByBlocksError(Exception):
    """The stream can't be changed block by block; nothing is wrong with it."""


class _NoDcCodeError(NotByBlocksError):
    """A DC difference has a size that the stream's own table does not know."""


@dataclass(slots=True)
class _Component:
    across: int
    down: int
    quantisation: int
    dc_table: int = 0
    ac_table: int = 0


@dataclass(slots=True)
class _Tables:
    """What the marker segments so far say."""

    full_dc: Codes = field(default_factory=dict)
    rows: int = 0
    columns: int = 0
    precision: int = 8
    interval: int = 0
    components: dict[int, _Component] = field(default_factory=dict)
    dc_step: dict[int, int] = field(default_factory=dict)
    codes: dict[tuple[int, int], Codes] = field(default_factory=dict)

    @property
    def mcu(self) -> tuple[int, int]:
        """Height and width in pixels of one unit of interleaved blocks."""
        parts = self.components.values()
        return BLOCK_PX * max(c.down for c in parts), BLOCK_PX * max(c.across for c in parts)


@dataclass(slots=True)
class _Block:
    """Where one block stands in the bits of its restart interval, and its DC value (not the difference)."""

    component: int
    start: int
    body: int
    end: int
    dc: int
    touched: bool


def units(shape: tuple[int, int], mcu: tuple[int, int], boxes: Sequence[Box]) -> NDArray[np.bool_]:
    """Which units of `mcu` height and width the boxes touch, of a frame of rows × columns."""
    touched = np.zeros((-(-shape[0] // mcu[0]), -(-shape[1] // mcu[1])), np.bool_)
    for box in boxes:
        touched[box.top // mcu[0] : -(-box.bottom // mcu[0]), box.left // mcu[1] : -(-box.right // mcu[1])] = True
    return touched


def blackened(stream: bytes, boxes: Sequence[Box], levels: Sequence[int]) -> tuple[bytes, NDArray[np.bool_]]:
    """The frame with every unit that a box touches at one level per component (sample values of the components).

    Also gives the pixels that were changed, rows × columns.  Raises `NotByBlocksError`, `BrokenStreamError`.
    """
    try:
        return _blackened(stream, boxes, levels, _Tables())
    except _NoDcCodeError:
        # tables made for this very picture lack the sizes it does not use: 13 of 39 real files
        sizes = 16 if jpeg_facts(stream).size.bits > BASELINE_BITS else 12
        return _blackened(stream, boxes, levels, _Tables(full_dc=_full_dc(sizes)))


def _blackened(
    stream: bytes, boxes: Sequence[Box], levels: Sequence[int], tables: _Tables
) -> tuple[bytes, NDArray[np.bool_]]:
    parts: list[bytes] = []
    touched: NDArray[np.bool_] | None = None
    for marker, start, end in jpeg_segments(stream):
        body = stream[start + 4 : end]
        if SOF_SEQUENTIAL & {marker}:
            _read_frame_header(tables, body)
            if len(tables.components) != len(levels):
                raise NotByBlocksError("another number of components")
            touched = units((tables.rows, tables.columns), tables.mcu, boxes)
        elif marker == DHT:
            _read_huffman(tables, body)
            if tables.full_dc:
                parts.append(_with_dc_tables(body, tables.full_dc))
                continue
        elif marker == DQT:
            _read_quantisation(tables, body)
        elif marker == DRI:
            tables.interval = struct.unpack_from(">H", body)[0]
        if marker != SOS:
            parts.append(stream[start:end])
            continue
        if touched is None:
            raise NotByBlocksError("no sequential frame header")
        head = start + 2 + struct.unpack_from(">H", stream, start + 2)[0]
        if end - head > MAX_SCAN_BYTES:
            raise NotByBlocksError("a scan is too long")
        order = _read_scan_header(tables, stream[start + 4 : head])
        parts += [stream[start:head], _changed_scan(stream[head:end], tables, order, touched, levels)]
    if touched is None:
        raise NotByBlocksError("no sequential frame header")
    pixels = touched.repeat(tables.mcu[0], 0).repeat(tables.mcu[1], 1)[: tables.rows, : tables.columns]
    return b"".join(parts), pixels


def _read_frame_header(tables: _Tables, body: bytes) -> None:
    tables.precision, tables.rows, tables.columns, count = struct.unpack_from(">BHHB", body)
    for i in range(count):
        identity, sampling, quantisation = body[6 + 3 * i : 9 + 3 * i]
        across, down = sampling >> 4, sampling & 15
        if not (1 <= across <= 4 and 1 <= down <= 4):
            raise BrokenStreamError("a sampling factor out of range")
        # a single component is never interleaved: its unit is one block, whatever factors it declares (T.81 A.2.2)
        tables.components[identity] = _Component(*((1, 1) if count == 1 else (across, down)), quantisation)
    if len(tables.components) != count or not tables.rows or not tables.columns:
        raise BrokenStreamError("a frame header without a size or with equal components")


def _read_huffman(tables: _Tables, body: bytes) -> None:
    at = 0
    while at + 17 <= len(body):
        kind, slot, counts = body[at] >> 4, body[at] & 15, body[at + 1 : at + 17]
        at += 17
        code, codes = 0, {}
        for length, count in enumerate(counts, start=1):
            for symbol in body[at : at + count]:
                codes[symbol] = (code, length)
                code += 1
            at += count
            code <<= 1
        tables.codes[kind, slot] = codes


def _full_dc(sizes: int) -> Codes:
    """Codes of equal length for sizes 0 to 11, all there are with 8 bits, or 0 to 15 with 12 (T.81 F.1.2.1.2)."""
    return {size: (size, sizes.bit_length()) for size in range(sizes)}


def _with_dc_tables(body: bytes, codes: Codes) -> bytes:
    """The segment with these codes in every DC table; no code is of ones only (T.81 C.2)."""
    length = codes[0][1]
    counts = bytes(len(codes) if n == length else 0 for n in range(1, 17))
    at, kept = 0, b""
    while at + 17 <= len(body):
        end = at + 17 + sum(body[at + 1 : at + 17])
        kept += body[at:end] if body[at] >> 4 else body[at : at + 1] + counts + bytes(codes)
        at = end
    return struct.pack(">BBH", 0xFF, DHT, len(kept) + 2) + kept


def _read_quantisation(tables: _Tables, body: bytes) -> None:
    at = 0
    while at < len(body):
        size = 2 if body[at] >> 4 else 1
        tables.dc_step[body[at] & 15] = int.from_bytes(body[at + 1 : at + 1 + size], "big")
        at += 1 + 64 * size


def _read_scan_header(tables: _Tables, body: bytes) -> list[int]:
    order = []
    for i in range(body[0]):
        identity, slots = body[1 + 2 * i], body[2 + 2 * i]
        if identity not in tables.components:
            raise BrokenStreamError("a scan of an unknown component")
        tables.components[identity].dc_table, tables.components[identity].ac_table = slots >> 4, slots & 15
        order.append(identity)
    return order


def _changed_scan(
    scan: bytes, tables: _Tables, order: list[int], touched: NDArray[np.bool_], levels: Sequence[int]
) -> bytes:
    plan = _plan(tables, order, touched)
    markers = _RESTART.findall(scan)
    pieces = _RESTART.split(scan)
    per_piece = tables.interval * (len(plan) // _count_units(tables, order)) if tables.interval else len(plan)
    if sum(1 for _ in range(0, len(plan), per_piece)) != len(pieces):
        raise BrokenStreamError("another number of restart intervals")
    target = {
        identity: _dc_of(level, tables.dc_step[tables.components[identity].quantisation], tables.precision)
        for identity, level in zip(tables.components, levels, strict=True)
    }
    result = []
    for number, piece in enumerate(pieces):
        bare = piece.replace(b"\xff\x00", b"\xff")
        wanted = plan[number * per_piece : (number + 1) * per_piece]
        if tables.full_dc or any(is_touched for _, is_touched in wanted):
            blocks = _walk(bare, wanted, tables)
            piece = _rewritten(bare, blocks, target, tables).replace(b"\xff", b"\xff\x00")
        result.append(piece)
        if number < len(markers):
            result.append(markers[number])
    return b"".join(result)


def _count_units(tables: _Tables, order: list[int]) -> int:
    """How many units the scan has: interleaved ones, or blocks of its one component."""
    if len(order) > 1:
        height, width = tables.mcu
        return -(-tables.rows // height) * -(-tables.columns // width)
    down, across = _blocks_of(tables, order[0])
    return down * across


def _blocks_of(tables: _Tables, identity: int) -> tuple[int, int]:
    """Blocks down and across of one component in a scan of its own (T.81 A.2.2)."""
    part, (height, width) = tables.components[identity], tables.mcu
    rows, columns = -(-tables.rows * part.down * 8 // height), -(-tables.columns * part.across * 8 // width)
    return -(-rows // BLOCK_PX), -(-columns // BLOCK_PX)


def _plan(tables: _Tables, order: list[int], touched: NDArray[np.bool_]) -> list[tuple[int, bool]]:
    """Component and fate of every block in the order of the scan."""
    if len(order) > 1:
        one = [i for i in order for _ in range(tables.components[i].across * tables.components[i].down)]
        return [(identity, fate) for fate in touched.reshape(-1).tolist() for identity in one]
    part = tables.components[order[0]]
    down, across = _blocks_of(tables, order[0])
    fates = touched.repeat(part.down, 0).repeat(part.across, 1)[:down, :across]
    return [(order[0], fate) for fate in fates.reshape(-1).tolist()]


def _dc_of(level: int, step: int, precision: int) -> int:
    """The quantised DC value of a flat block: at the level, or beyond it where the step does not hit it."""
    if not step:
        raise BrokenStreamError("a quantisation step of zero")
    wanted = BLOCK_PX * (level - (1 << (precision - 1)))
    return -(-wanted // step) if wanted > 0 else -(abs(wanted) // step) - (abs(wanted) % step > 0)


class _Reader:
    """For each bit of the piece and each table: how far the code that starts there leads."""

    def __init__(self, piece: bytes, tables: _Tables, identities: set[int]) -> None:
        self.bits = len(piece) * 8
        octets = np.frombuffer(piece + b"\xff" * 4, np.uint8).astype(np.uint32)
        words = (octets[:-3] << 16) | (octets[1:-2] << 8) | octets[2:-1]
        ahead = np.empty((len(words), 8), np.uint16)
        for shift in range(8):
            ahead[:, shift] = (words >> (8 - shift)) & 0xFFFF
        flat = ahead.reshape(-1)
        self.ahead = memoryview(flat.tobytes()).cast("H")
        self.by_table: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        for identity in identities:
            part = tables.components[identity]
            for is_ac, slot in ((0, part.dc_table), (1, part.ac_table)):
                if (is_ac, slot) not in self.by_table:
                    if (is_ac, slot) not in tables.codes:
                        raise BrokenStreamError("a Huffman table is missing")
                    skip, advance = _lookup(bool(is_ac), tuple(tables.codes[is_ac, slot].items()))
                    self.by_table[is_ac, slot] = (skip[flat].tobytes(), advance[flat].tobytes())


@cache
def _lookup(is_ac: bool, codes: tuple[tuple[int, tuple[int, int]], ...]) -> tuple[Bits, Bits]:
    """By the next 16 bits: bits to skip (AC: with the coefficient's own), and the steps to go (AC) or the size (DC)."""
    skip, advance = np.zeros(1 << 16, np.uint8), np.full(1 << 16, NO_CODE, np.uint8)
    for symbol, (code, length) in codes:
        first, count = code << (16 - length), 1 << (16 - length)
        size = symbol & 15 if is_ac else symbol
        steps = (END_OF_BLOCK if symbol == 0 else (symbol >> 4) + 1) if is_ac else size
        skip[first : first + count] = length + (size if is_ac else 0)
        advance[first : first + count] = steps
    return skip, advance


def _walk(piece: bytes, wanted: list[tuple[int, bool]], tables: _Tables) -> list[_Block]:
    reader = _Reader(piece, tables, {identity for identity, _ in wanted})
    of = {
        i: (*reader.by_table[0, part.dc_table], *reader.by_table[1, part.ac_table])
        for i, part in tables.components.items()
        if (0, part.dc_table) in reader.by_table and (1, part.ac_table) in reader.by_table
    }
    ahead, at, blocks = reader.ahead, 0, []
    dc = dict.fromkeys(of, 0)
    try:
        for identity, is_touched in wanted:
            code_bits, sizes, skip, advance = of[identity]
            start, size = at, sizes[at]
            if size > 15:
                raise BrokenStreamError("no such code")
            at += code_bits[at]
            if size:
                value = ahead[at] >> (16 - size)
                dc[identity] += value if value >> (size - 1) else value - (1 << size) + 1
                at += size
            body, index = at, 1
            while index < 64:
                index += advance[at]
                at += skip[at]
            if 64 < index < END_OF_BLOCK or index > NO_CODE:
                raise BrokenStreamError("a block of more than 64 coefficients")
            blocks.append(_Block(identity, start, body, at, dc[identity], is_touched))
    except IndexError:
        raise BrokenStreamError("the scan breaks off") from None
    rest = int.from_bytes(piece[at // 8 :], "big") & ((1 << (reader.bits - at)) - 1) if at <= reader.bits else -1
    # some writers pad with a whole byte of ones more
    if rest not in (0, (1 << (reader.bits - at)) - 1):
        raise BrokenStreamError("something behind the last block")
    return blocks


def _rewritten(piece: bytes, blocks: list[_Block], target: dict[int, int], tables: _Tables) -> bytes:
    """The piece with flat blocks where they are touched; runs of blocks that stay are copied as they are."""
    bits = np.unpackbits(np.frombuffer(piece, np.uint8))
    out: list[Bits] = []
    before, after = dict.fromkeys(target, 0), dict.fromkeys(target, 0)
    copied_from = copied_to = 0
    for block in blocks:
        part = tables.components[block.component]
        value = target[block.component] if block.touched else block.dc
        old, new = block.dc - before[block.component], value - after[block.component]
        before[block.component], after[block.component] = block.dc, value
        if not block.touched and old == new and not tables.full_dc:
            copied_to = block.end
            continue
        dc_codes = tables.full_dc or tables.codes[0, part.dc_table]
        out += [bits[copied_from:copied_to], _difference(new, dc_codes)]
        if block.touched:
            out.append(_code(0, tables.codes[1, part.ac_table]))
            copied_from = copied_to = block.end
        else:
            copied_from, copied_to = block.body, block.end
    out.append(bits[copied_from:copied_to])
    joined = np.concatenate(out)
    return np.packbits(np.concatenate([joined, np.ones(-len(joined) % 8, np.uint8)])).tobytes()


def _difference(value: int, codes: Codes) -> Bits:
    size = abs(value).bit_length()
    if size not in codes:
        raise _NoDcCodeError
    return np.concatenate([_binary(*codes[size]), _binary(value if value >= 0 else value + (1 << size) - 1, size)])


def _code(symbol: int, codes: Codes) -> Bits:
    if symbol not in codes:
        raise NotByBlocksError("the table has no end of block")
    return _binary(*codes[symbol])


@cache
def _binary(value: int, length: int) -> Bits:
    return np.array([value >> shift & 1 for shift in range(length - 1, -1, -1)], np.uint8)
