"""Names told by what stands around them: titles, labels, verbs of talking, relations, credentials.

Belongs here: the cues and where behind (or before) them a name begins.  The cue words are data
(`languages/<code>/cues.json`); how far the name reaches is `name_reader`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradient_assets.deid.text.name_reader import NameReader, Trust
from gradient_assets.deid.text.reading import CAPITAL, LETTER, LOWER, UPPER
from gradient_assets.deid.text.spans import Span

MAX_LISTED_NAMES = 8

MAX_TITLE_PARTS = 6
"""`Dr. med. univ. habil.`; a text of nothing but titles must not be read anew from each of them."""


def find_cued(reader: NameReader) -> Iterator[Span]:
    """Names at cues, in one pass over the words."""
    reading, cues = reader.reading, reader.lexicon.cues
    yield from _signed_for(reader)
    for index, word in enumerate(reading.words):
        if word in cues["titles"]:
            yield from _after_title(reader, index)
        if word in cues["labels"]:
            yield from _after_label(reader, index)
        if word in cues["patient_words"]:
            yield from _after_patient(reader, index)
        if word in cues["agent_words"]:
            yield from _after_by(reader, index)
        if word in cues["communication_words"]:
            yield from _after_communication(reader, index)
        if word in cues["direct_verbs"]:
            yield from _after_verb(reader, index)
        if word in cues["relations"]:
            yield from _after_relation(reader, index)
        if (
            word in cues["credentials"]
            or word in cues["credentials_after_comma"]
            or (reading.shapes[index] == LETTER and _dotted_credential(reader, index))
        ):
            yield from _before_credential(reader, index)


def _signed_for(reader: NameReader) -> Iterator[Span]:
    """`i.A. Przybilla`: who signs for another."""
    for match in reader.lexicon.expressions["signed_for"].finditer(reader.reading.text):
        behind = reader.reading.words_between(match.end(), match.end() + 1)
        if behind:
            yield from _listed_names(reader, behind[0], Trust.STRONG, "signed-for")


def _after_title(reader: NameReader, index: int) -> Iterator[Span]:
    reading, cues = reader.reading, reader.lexicon.cues
    gap = reading.soft_gap(index)
    if gap.strip(" .:,") or len(gap) > 4:
        return
    if (
        reading.shapes[index] == UPPER
        and reading.words[index] in cues["titles_also_upper_words"]
        and not reading.shouted[index]
        and "." not in gap
    ):
        return  # MS is a disease, MR a modality
    if (
        reading.words[index] in cues["titles_also_shouted_words"]
        and reading.shouted[index]
        and "." not in gap
        and not _surely_name(reader, index + 1)
    ):
        return
    if reading.shapes[index] == LETTER and (reading.after(index) != "." or not _mixed_capital(reader, index + 1)):
        return  # D. Juan, not vitamin D
    following = index + 1
    while following < min(len(reading), index + MAX_TITLE_PARTS) and reading.words[following] in cues["title_parts"]:
        if reading.shapes[following] == LETTER or reading.gap(following).strip(" .-"):
            return
        following += 1
    yield from _listed_names(reader, following, Trust.TITLE, "title")


def _mixed_capital(reader: NameReader, index: int) -> bool:
    reading = reader.reading
    return (
        index < len(reading) and reading.shapes[index] == CAPITAL and reading.words[index] not in reader.lexicon.guarded
    )


def _surely_name(reader: NameReader, index: int) -> bool:
    if index >= len(reader.reading):
        return False
    word = reader.reading.words[index]
    return word not in reader.lexicon.guarded and (word in reader.lexicon.family or reader.known.is_known(word))


def _listed_names(reader: NameReader, index: int, trust: Trust, rule: str) -> Iterator[Span]:
    """One name, or several: `Drs. A, B and C`."""
    reading = reader.reading
    plural = index > 0 and reading.words[index - 1] in reader.lexicon.cues["titles_plural"]
    for _ in range(5):
        if index >= len(reading):
            return
        found = reader.forward(index, trust, comma=not plural)
        if found is None:
            yield from _dotted(reader, index, rule)
            return
        yield reader.span(*found, rule)
        index = found[1] + 1
        if index >= len(reading):
            return
        gap = reading.gap(found[1]).strip(" .")
        if reading.words[index] in reader.lexicon.cues["and"] and gap in ("", ",", "/"):
            index += 1
            trust = trust if plural else Trust.MEDIUM
        elif gap in ("&", "/") or (plural and gap == ","):
            trust = trust if plural else Trust.MEDIUM
        else:
            return


def _dotted(reader: NameReader, index: int, rule: str) -> Iterator[Span]:
    """Initials alone: `Dr. J.C.`, `per R.P.`"""
    match = _INITIALS.match(reader.reading.text, reader.reading.starts[index])
    if match and match.group().lower() not in reader.lexicon.cues["abbreviations"]:
        yield Span(match.start(), match.end(), "NAME", rule)


_INITIALS = re.compile(r"[A-Z]\.\ ?(?:[A-Z]\.\ ?)?[A-Z](?:\.|(?!\w))")


def _after_label(reader: NameReader, index: int) -> Iterator[Span]:
    """`Patient: …`, `Dictated by: …`, `cc: …`, `Patient Name (Last, First): …`."""
    reading = reader.reading
    gap = reading.gap(index)
    mark = gap.find(":")
    if mark < 0:
        return
    between = gap[:mark].strip(" .#)(s/'")
    if between or len(gap) - mark > 12 or any(c.isdigit() for c in gap):
        return
    rest = gap[mark + 1 :].strip(" ")
    if rest not in ("", "\n", "(", "'", '"', "\n\n"):
        return
    if index + 1 < len(reading) and reading.words[index + 1] in reader.lexicon.cues["titles"]:
        return
    index += 1
    for _ in range(MAX_LISTED_NAMES):  # cc: A. Smith; B. Jones, MD; C. Lee
        last = index - 1
        for name in _listed_names(reader, index, Trust.STRONG, "label"):
            yield name
            last = reading.words_between(name.start, name.end)[-1]
        if last < index:
            return
        while last + 1 < len(reading) and reading.words[last + 1] in reader.lexicon.cues["credentials"]:
            last += 1
        if reading.gap(last).strip(" .") not in (";", "|"):
            return
        index = last + 1


def _after_patient(reader: NameReader, index: int) -> Iterator[Span]:
    """`Patient Cross presents`, `pt Okafor was`: a capital that no sentence begins with."""
    reading, following = reader.reading, index + 1
    if following >= len(reading) or reading.soft_gap(index) != " " or reading.shapes[following] == LOWER:
        return
    word = reading.words[following]
    if reader.known.is_known(word):
        if not reading.shouted[following] or word not in reader.lexicon.guarded or _verb_follows(reader, following):
            yield reader.span(*(reader.forward(following, Trust.TITLE) or (following, following)), "patient")
    elif reading.shouted[following]:
        if word in reader.lexicon.frequent_family and word not in reader.lexicon.guarded and len(word) > 2:
            yield reader.span(following, following, "patient")
    elif reader.lexicon.nouns_in_capitals and not reader.lexicon.is_name(word) and not _verb_follows(reader, following):
        return  # Patient Sturz
    elif reading.shapes[following] == CAPITAL and not reading.shouted[following] and word not in reader.lexicon.guarded:
        found = reader.forward(following, Trust.STRONG if reader.lexicon.nouns_in_capitals else Trust.MEDIUM)
        if found:
            yield reader.span(*found, "patient")


def _verb_follows(reader: NameReader, index: int) -> bool:
    return index + 1 < len(reader.reading) and reader.reading.words[index + 1] in reader.lexicon.cues["person_verbs"]


def _after_by(reader: NameReader, index: int) -> Iterator[Span]:
    reading = reader.reading
    previous = reading.words[max(0, index - 7) : index]
    if not any(word in reader.lexicon.cues["by_verbs"] for word in previous):
        return
    gap = reading.soft_gap(index)
    if len(gap) > 4 or gap.strip(" :\n"):
        return
    trust = Trust.STRONG if previous and previous[-1] in reader.lexicon.cues["sure_by_verbs"] else Trust.MEDIUM
    yield from _listed_names(reader, _skip_role(reader, index + 1), trust, "by")


def _after_communication(reader: NameReader, index: int) -> Iterator[Span]:
    reading = reader.reading
    before = range(max(0, index - 6), index)
    if not any(reading.words[b] in reader.lexicon.cues["communication_verbs"] for b in before):
        return
    gap = reading.soft_gap(index)
    if len(gap) > 2 or gap.strip(" /:"):
        return
    yield from _listed_names(reader, _skip_role(reader, index + 1), Trust.MEDIUM, "communication")


def _after_verb(reader: NameReader, index: int) -> Iterator[Span]:
    reading = reader.reading
    gap = reading.soft_gap(index)
    if len(gap) > 4 or gap.strip(" ,:-/w"):
        return
    trust = Trust.STRONG if reading.words[index] in reader.lexicon.cues["strong_verbs"] else Trust.MEDIUM
    yield from _listed_names(reader, _skip_role(reader, index + 1), trust, "verb")


def _skip_role(reader: NameReader, index: int) -> int:
    """`by technologist Ann Lee`, `to nurse Kim`, `to the patient's nurse, Kim`."""
    reading = reader.reading
    for _ in range(4):
        if index < len(reading) - 1 and (
            reading.words[index] in reader.lexicon.cues["roles"]
            or reading.words[index] in reader.lexicon.cues["role_fillers"]
        ):
            gap = reading.soft_gap(index)
            if gap.strip(" ,'(-"):
                break
            index += 1
    return index


def _after_relation(reader: NameReader, index: int) -> Iterator[Span]:
    reading = reader.reading
    if (
        index >= 2 and reading.words[index - 1] in reader.lexicon.cues["possessive"] and reading.gap(index - 2) == "'"
    ):  # April's daughter
        owner = index - 2
        if reading.shapes[owner] == CAPITAL and (
            reader.known.is_known(reading.words[owner]) or _surely_name(reader, owner)
        ):
            yield reader.span(owner, owner, "relation")
    following = index + 1
    if following < len(reading) and reading.words[following] in reader.lexicon.cues["named"]:
        following += 1
    if following >= len(reading):
        return
    gap = reading.soft_gap(following - 1)
    if len(gap) > 3 or gap.strip(" ,(:"):
        return
    if reading.words[index] in reader.lexicon.cues["relations_also_words"] and reading.shouted[index]:
        return
    if reading.shapes[following] == LOWER and reading.words[following] in reader.lexicon.also_words:
        return  # Nurse drew blood
    found = reader.forward(following, Trust.MEDIUM, comma=False)
    if found:
        yield reader.span(*found, "relation")


def _dotted_credential(reader: NameReader, index: int) -> bool:
    """`M.D.`, `M. D.`: two letters that are a credential."""
    reading = reader.reading
    return (
        index + 1 < len(reading)
        and reading.gap(index) in (".", ". ")
        and f"{reading.words[index]}.{reading.words[index + 1]}" in reader.lexicon.cues["credentials_in_letters"]
    )


def _before_credential(reader: NameReader, index: int) -> Iterator[Span]:
    reading, cues = reader.reading, reader.lexicon.cues
    word = reading.words[index]
    if index == 0:
        return
    gap = reading.soft_gap(index - 1)
    if len(gap) > 3 or gap.strip(" .") not in ("", ",", "-"):
        return
    if reading.shapes[index] == LETTER:
        if not _dotted_credential(reader, index):
            return
    elif reading.shapes[index] == LOWER and not (
        word in cues["credentials_in_lower_case"] and reading.shapes[index - 1] != LOWER
    ):
        return
    if word in cues["credentials_after_comma"] and "," not in gap:
        return
    if "," not in gap and word in cues["credentials_also_words"] and reading.shouted[index]:
        return
    last = index - 1
    for _ in range(3):  # Jane Doe, MD, PhD
        if last > 0 and (
            reading.words[last] in cues["credentials"] or reading.words[last] in cues["credentials_after_comma"]
        ):
            last -= 1
    first = reader.backward(last, Trust.STRONG if "," in gap else Trust.MEDIUM)
    if first is None:
        return
    if reader._name_words(first, last) == 1 and reading.shapes[first] != CAPITAL and not _surely_name(reader, last):
        return
    yield reader.span(first, last, "credential")
