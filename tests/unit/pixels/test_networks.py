"""The networks' sessions: what they do to the process that opens them."""

import struct
import threading

import numpy as np

from gradient_assets.deid.pixels.networks import PPOCR_V6_RECOGNISER, session_of

SMALLEST_FLOAT = b"\x01\x00\x00\x00"


def read():
    return struct.unpack("<f", SMALLEST_FLOAT)[0]


def test_the_smallest_floats_are_read_alike_before_and_after_a_picture_was_looked_at():
    session = session_of(PPOCR_V6_RECOGNISER)
    session.run(np.zeros((1, 3, 48, 64), np.float32))
    assert read() == 2.0**-149
    found = []
    other = threading.Thread(target=lambda: found.append(read()))
    other.start()
    other.join()
    assert found == [2.0**-149]


def test_networks_run_where_such_floats_count_as_zero():
    session = session_of(PPOCR_V6_RECOGNISER)
    assert session._thread.submit(read).result() == 0.0


def test_a_session_is_opened_once():
    assert session_of(PPOCR_V6_RECOGNISER) is session_of(PPOCR_V6_RECOGNISER)
