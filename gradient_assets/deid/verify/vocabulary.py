"""Words that are no names by themselves, read once from the text files in `words/`.

Belongs here: loading and asking the lists.  The lists belong to this package alone: the report engine has its own, so that
a wrong word in one is not a wrong word in both.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources

from pydicom._dicom_dict import DicomDictionary

_FOLDER = resources.files("gradient_assets.deid.verify") / "words"
_DICTIONARY_NAME = 2
"""Place of an element's name in pydicom's dictionary entries: (VR, VM, name, retired, keyword)."""


@cache
def words(name: str) -> frozenset[str]:
    """The words of `words/<name>.txt`; lines that start with `#` are comments."""
    lines = (_FOLDER / f"{name}.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def table(name: str) -> dict[str, list[str]]:
    """A table of `words/tables.json` that maps a word or number to spellings."""
    found: dict[str, list[str]] = json.loads((_FOLDER / "tables.json").read_text("utf-8"))[name]
    return found


@cache
def word_set(name: str) -> frozenset[str]:
    """A list of `words/tables.json` as a set."""
    return frozenset(json.loads((_FOLDER / "tables.json").read_text("utf-8"))[name])


@cache
def ordinary_words() -> frozenset[str]:
    """Everyday, clinical, maker's and placeholder words, month names, and the words of the DICOM dictionary."""
    dictionary = {
        word.lower()
        for entry in DicomDictionary.values()
        for word in re.findall(r"[A-Za-z]{3,}", entry[_DICTIONARY_NAME])
    }
    months = {spelling for spellings in table("months").values() for spelling in spellings}
    return words("ordinary") | words("placeholders") | dictionary | months


def is_ordinary(part: str) -> bool:
    """Whether a folded name part is also an ordinary word."""
    return part in ordinary_words()


def is_placeholder(part: str) -> bool:
    """Whether a folded word stands in for an identifier; digits at its end don't matter (`ct1`)."""
    bare = part.rstrip("0123456789")
    return not bare or bare in words("placeholders")


def is_degenerate(value: str) -> bool:
    """Whether a folded value names nobody: blank, one sign, one sign repeated, or placeholder words only."""
    signs = [sign for sign in value if sign.isalnum()]
    if len(signs) < 2 or len(set(signs)) == 1:
        return True
    tokens = re.findall(r"[^\W_]+", value)
    return all(token in words("placeholders") for token in tokens)
