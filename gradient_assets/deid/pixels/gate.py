"""The gate: which boxes of the detector and which rows of shapes are text, by shape, score and what was read.

Belongs here: sizes, shapes and how surely how many letters must have been read.  Where boxes come from is `finding`'s and
`letter_rows`' business; what happens to a line that passes `lines`'.  "Without text" are the 58 pictures that the bench of
`tests.unit.pixels.bench` plants into, with nothing planted: what is said of them was seen in all three views.
"""

from __future__ import annotations

from gradient_assets.deid.pixels.boxes import FoundText
from gradient_assets.deid.pixels.networks import Quad

# A box is the letters and half their height around them.  One taller than the larger of these two is an organ or a
# collimator's edge; in small pictures no more than a share, or a whole PET slice would count as a line.
TALLEST_PX = 140
TALLEST_SHARE_OF_SHORT_SIDE = 0.15
TALLEST_SHARE_OF_SMALL_PICTURE = 0.4
BOX_SCORE = 0.4
LETTERS_READ = 2
# A box in which nothing is read is kept up to this height and share of the short side, if the detector is sure of it.
TALLEST_UNREAD_PX = 32
TALLEST_UNREAD_SHARE = 0.12
UNREAD_SCORE = 0.6
# An alphabet that the recogniser does not know reads as nothing, but texture makes no boxes this long and straight.
LONGEST_UNREAD_PX, LONG_SHAPE, LONG_SCORE, LONG_TILT_DEG = 64, 4.0, UNREAD_SCORE, 3.0
# Burned-in lines run along the axes; a box further off, or a tall one, must be read with more letters: rows of teeth and
# vertebrae read as "00" (one CT lost 21 % of its area, three slices 3 to 7 %).
STRAIGHT_DEG = 15.0
LETTERS_READ_DOUBTFUL = 4
TALLEST_TILTED_PX = 48
TALLEST_DOUBTFUL_PX, TALLEST_DOUBTFUL_SHARE = 90, 0.2
# Read this surely, two letters are text at any height (without, 9 of 12 missed lines were the gate's, among them "ANN" of
# 90 px read at 1.00), unless they are rings and strokes, which anatomy draws too.  Without text, straight boxes were read
# at .94 at most with two letters (score .31), at .58 with three or more.
SURE, SURE_IN_POOR_BOX = 0.9, 0.97
MANY_LETTERS, SURE_OF_MANY = 3, 0.75
# In a box of which the detector is sure two letters need less, rings and strokes included ("LI" of 48 px, read as
# ideographs at .74): without text, no straight box above .6 was read above .41 with two letters.
SURE_IN_CLEAR_BOX = 0.6
# One letter alone ("M" of 90 px: score .9, read at 1.00): without text, above a score of .7 only rings were read above .89.
CLEAR_SCORE_OF_ONE, SURE_OF_ONE = 0.7, 0.95
# From here on nothing has to be read ("LI" again: .86, read as "0"): the organs of one PET slice reach .84, but are taller
# than `TALLEST_DOUBTFUL_SHARE`; nothing else without text reaches more than .75.
SEEN_SCORE = 0.8
DOUBTED = 0.5
RINGS_AND_STROKES = frozenset("0OoQCcUuDIl1iJjTtLrVvn口一丨〇")


def tallest(short_side: int) -> float:
    """The height in pixels that no line of a picture with this shorter side exceeds."""
    return min(max(TALLEST_PX, TALLEST_SHARE_OF_SHORT_SIDE * short_side), TALLEST_SHARE_OF_SMALL_PICTURE * short_side)


def is_text(quad: Quad, text: str, confidence: float, short_side: int) -> bool:
    """Whether a box of the detector is text, in a picture with this shorter side."""
    return _is_sure(quad, text, confidence, short_side) or (
        quad.score >= BOX_SCORE and _counts(quad, sum(map(str.isalnum, text)), short_side)
    )


def is_row_of_letters(text: str, confidence: float) -> bool:
    """Whether a row of shapes that no detector saw is text, by what was read in it alone.

    In 58 pictures without text (24 rows each) three letters or more were read at .66 at most, two at .91.
    """
    letters = sum(map(str.isalnum, text))
    least = SURE_OF_MANY if letters >= MANY_LETTERS else SURE_IN_POOR_BOX
    return letters >= LETTERS_READ and _is_telling(text) and confidence >= least


def may_be_letters(text: str, confidence: float) -> bool:
    """Whether a row that is no text by itself is worth comparing with known identifiers; texture reads as a letter or two."""
    return sum(map(str.isalnum, text)) >= LETTERS_READ and confidence >= DOUBTED


def neighbours(doubtful: list[FoundText], kept: list[FoundText]) -> list[FoundText]:
    """Doubtful boxes that continue a line: what stands beside a word at its height is more often text than not."""
    return [
        box
        for box in doubtful
        if box.height <= TALLEST_UNREAD_PX
        and any(
            min(box.top + box.height, line.top + line.height) - max(box.top, line.top) >= 0.6 * box.height
            and max(box.left - line.left - line.width, line.left - box.left - box.width) <= box.height
            and line.height <= 2 * box.height
            for line in kept
        )
    ]


def _is_telling(text: str) -> bool:
    return any(letter.isalnum() and letter not in RINGS_AND_STROKES for letter in text)


def _is_sure(quad: Quad, text: str, confidence: float, short_side: int) -> bool:
    """Whether it is text beyond doubt: by the score alone, or by what was read, however high the box is."""
    if quad.tilt > STRAIGHT_DEG:
        return False
    height = min(quad.width, quad.height)
    if quad.score >= SEEN_SCORE and height <= min(TALLEST_DOUBTFUL_PX, TALLEST_DOUBTFUL_SHARE * short_side):
        return True
    letters = sum(map(str.isalnum, text))
    if letters >= LETTERS_READ and quad.score >= UNREAD_SCORE and confidence >= SURE_IN_CLEAR_BOX:
        return True
    if not _is_telling(text):
        return False
    if letters >= LETTERS_READ:
        least = SURE if quad.score >= BOX_SCORE else SURE_IN_POOR_BOX
        return confidence >= (SURE_OF_MANY if letters >= MANY_LETTERS else least)
    return quad.score >= CLEAR_SCORE_OF_ONE and confidence >= SURE_OF_ONE


def _counts(quad: Quad, letters: int, short_side: int) -> bool:
    """Whether a box is text, by its shape and how much was read in it."""
    height, length = sorted((quad.width, quad.height))
    if quad.tilt > STRAIGHT_DEG:
        return letters >= LETTERS_READ_DOUBTFUL and height <= TALLEST_TILTED_PX
    if height > TALLEST_UNREAD_PX:
        long = length >= LONG_SHAPE * height and quad.score >= LONG_SCORE and quad.tilt <= LONG_TILT_DEG
        if long and height <= LONGEST_UNREAD_PX:
            return True
        if quad.score < UNREAD_SCORE or height > min(TALLEST_TILTED_PX, TALLEST_DOUBTFUL_SHARE * short_side):
            return letters >= LETTERS_READ_DOUBTFUL and height <= TALLEST_DOUBTFUL_PX
    low = height <= min(TALLEST_UNREAD_PX, TALLEST_UNREAD_SHARE * short_side)
    return letters >= LETTERS_READ or (low and (letters > 0 or quad.score >= UNREAD_SCORE))
