"""Which character set was meant, where bytes do not look like the one that is declared.

Belongs here: the judgement over the undecoded texts of one level, by what letters of a script look like.  Chinese, Japanese,
Korean and Cyrillic under a Latin declaration (or under none, or as UTF-8 that it is not) are the usual case; read as Latin, a
name is a row of signs in which no word can be found.  Text that fits nothing is doubtful: it is removed, not passed on.
How bytes are decoded is `charsets`' business.  PS3.3 C.12.1.1.2; layouts of GB 2312, JIS X 0208, KS X 1001, Big5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

DOUBTFUL = "doubtful"
"""Stands behind the declared codecs of a level whose texts fit neither them nor any other set."""

_LATIN = frozenset(
    {"iso8859", "latin_1", "latin-1", "iso8859_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9", "iso8859_15"}
)
JUDGED = _LATIN | {"utf8"}
"""First codecs of levels that are looked at.  In other sets any row of high bytes is what was declared."""

_RUN = re.compile(rb"[\x80-\xff]+")
_QUOTES = b"\xa0\xab\xbb"
_LONG_RUN = 4
"""Bytes above 7F in a row.  Words of Latin scripts have up to three; Polish `Żółć` and Estonian `jäääär` are the exceptions."""
_LEAST_SCORE = 0.5
_LEAST_FREQUENT = 0.45
"""Share of the frequent letters; they make up 65 % of Russian text and more of Greek."""
_LEAST_LETTERS = 0.85
"""Share of letters in well-formed words; the rest is `№` and quotation marks."""
_HANGUL_TELLS = 4
"""Characters from which on all of them being Hangul is no chance: a Chinese one looks like Hangul in half of all cases."""


class Judged(tuple[str, ...]):
    """The codecs that a level declares or inherits; which are meant is asked at the first text above ASCII.

    Most levels have none, and looking at each element of each level took a twentieth of the cleaning time.
    """

    _outer: Judged | None
    _values: Callable[[], Iterable[bytes]]
    _meant: tuple[str, ...] | None

    @classmethod
    def at(cls, declared: tuple[str, ...], values: Callable[[], Iterable[bytes]]) -> Judged:
        """`declared` for a level whose texts above ASCII are `values`; what is inherited is judged where it was declared."""
        self = cls(declared)
        self._outer = declared if isinstance(declared, Judged) else None
        self._values, self._meant = values, None
        return self

    def meant(self) -> tuple[str, ...]:
        """See `meant`."""
        if self._meant is None:
            outer = self._outer.meant() if self._outer else None
            settled = outer is not None and outer[0] not in JUDGED
            self._meant = outer if outer is not None and settled else meant(tuple(self), self._values())
        return self._meant


def judged(codecs: tuple[str, ...]) -> tuple[str, ...]:
    """The codecs to decode with."""
    return codecs.meant() if isinstance(codecs, Judged) else codecs


def meant(codecs: tuple[str, ...], values: Iterable[bytes]) -> tuple[str, ...]:
    """The codecs that hold for a level that declares or inherits `codecs`, given its text values above ASCII.

    The same; one other; or the same with `DOUBTFUL` behind them.
    """
    doubted = [value for value in values if b"\x1b" not in value and not _is_utf8(value)]
    is_latin = codecs[0] in _LATIN
    if not doubted or (is_latin and not any(_is_odd(value, codecs[0]) for value in doubted)):
        return codecs
    joined = b"\n".join(doubted)
    score, codec = max(((_score(joined, codec), codec) for codec in _PLAUSIBLE), key=lambda scored: scored[0])
    if score >= _LEAST_SCORE and (is_latin or any(len(run) >= _LONG_RUN for run in _RUN.findall(joined))):
        return (codec,)
    return (*codecs, DOUBTFUL) if is_latin else codecs


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf8")
    except UnicodeDecodeError:
        return False
    return True


def _is_odd(value: bytes, codec: str) -> bool:
    """Whether bytes above 7F stand as no Latin script has them: in long rows, or letters mixed with signs."""
    for found in _RUN.finditer(value):
        run = found[0].strip(_QUOTES)
        if len(set(run)) < 2:  # a lone letter, or a drawn line
            continue
        text = run.decode("latin_1" if codec == "iso8859" else codec, "replace")
        around = value[max(0, found.start() - 1) : found.start()] + value[found.end() : found.end() + 1]
        in_a_word = any(sign.isalpha() for sign in around.decode("ascii", "replace") if sign.isascii())
        if len(run) >= _LONG_RUN:
            is_word = text.isalpha() and (text.isupper() or text[1:].islower())
            if not is_word or (len(run) > _LONG_RUN and not (in_a_word and text.islower())):
                return True
        elif not in_a_word and any(map(str.isalpha, text)) and not text.isalpha():
            return True
    return False


def _score(joined: bytes, codec: str) -> float:
    """How much of the text above ASCII is what the codec's script is mostly written with, 0 to 1."""
    try:
        text = joined.decode(codec)
    except UnicodeDecodeError:
        return 0.0
    return _PLAUSIBLE[codec](text)


def _share(text: str, worth: Callable[[str], float]) -> float:
    high = [sign for sign in text if not sign.isascii()]
    return sum(map(worth, high)) / len(high)


def _bytes_of(sign: str, codec: str) -> bytes:
    return sign.encode(codec, "ignore")


def _chinese(text: str) -> float:
    """Rows of punctuation, and the 3,755 frequent characters of GB 2312 (rows 16 to 55)."""

    def worth(sign: str) -> float:
        lead = _bytes_of(sign, "gb2312")[:1]
        return float(b"\xa1" <= lead <= b"\xa3" or b"\xb0" <= lead <= b"\xd7")

    return _share(text, worth)


def _traditional(text: str) -> float:
    """The 5,401 frequent characters of Big5 and its punctuation; just below Chinese, whose bytes they can be."""
    return _share(text, lambda sign: 0.95 * (b"\xa1" <= _bytes_of(sign, "big5")[:1] <= b"\xc6"))


def _japanese(text: str) -> float:
    """Kana and the 2,965 frequent characters of JIS X 0208; half-width kana, which any bytes may be, count half."""

    def worth(sign: str) -> float:
        coded = _bytes_of(sign, "shift_jis")
        if len(coded) < 2:
            return 0.5 * len(coded)
        return float(b"\x81" <= coded[:1] <= b"\x83" or b"\x88" <= coded[:1] <= b"\x98")

    return _share(text, worth)


def _korean(text: str) -> float:
    """Hangul syllables; alone and enough of them, they beat Chinese, whose bytes they can be."""
    hangul = [sign for sign in text if "\uac00" <= sign <= "\ud7a3"]
    share = _share(text, lambda sign: float("\uac00" <= sign <= "\ud7a3"))
    return 1.1 if share == 1 and len(hangul) >= _HANGUL_TELLS else 0.9 * share


def _cased(first: str, last: str, frequent: str) -> Callable[[str], float]:
    """Words of an alphabet in capitals, in small letters, or with one capital before small ones, with its frequent letters:
    any bytes may be letters of some Cyrillic set, but hardly those."""
    word_of_script = re.compile(rf"[{first}-{last}]+")

    def score(text: str) -> float:
        words = word_of_script.findall(text)
        shaped = [word.lower() for word in words if word.isupper() or word[1:].islower() or word.islower()]
        letters = sum(map(len, shaped))
        known = sum(letter in frequent for word in shaped for letter in word)
        high = sum(not sign.isascii() for sign in text)
        if known < _LEAST_FREQUENT * letters or letters < _LEAST_LETTERS * high:
            return 0.0
        return (0.55 * letters + 0.7 * known) / high

    return score


_RUSSIAN, _GREEK = "оеаинтсрвл", "αοιετσνηυρςπάόέίώ"
_PLAUSIBLE: dict[str, Callable[[str], float]] = {
    "gb18030": _chinese,
    "big5": _traditional,
    "euc_kr": _korean,
    "shift_jis": _japanese,
    "iso8859_5": _cased("\u0401", "\u045f", _RUSSIAN),
    "cp1251": _cased("\u0401", "\u0491", _RUSSIAN),
    "koi8_r": _cased("\u0401", "\u0451", _RUSSIAN),
    "iso8859_7": _cased("\u0386", "\u03ce", _GREEK),
}
