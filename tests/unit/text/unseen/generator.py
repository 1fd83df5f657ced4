"""Reports that no rule was written for: templates, filled from a seed, with every identifier's place.

Belongs here: the small language of `templates.txt` and `phrases.txt`, the people and numbers of one report, its columns
as an export would have them, and the gold spans.  How values are written is `people.py`'s, `dates.py`'s and `marks.py`'s.

The language: `‹a¦b›` takes one of its parts; `{@pool*3}` three sentences of a pool (`n` behind the number: on lines of
their own, `#`: numbered); `{what:form,form@place}` one value in one of its forms, `place` being where it stands;
`{!kind:text}` words that must stay (a hard negative); `{?kind:text}` words that may go or stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random

from . import dates, marks, people
from .people import Name

HERE = Path(__file__).parent
SLOT = re.compile(r"(\w+)(?::(.*?))?(?:@([\w-]+))?")
BREAKS = {"tilde": "~", "br": r"\.br\ ".rstrip(), "crlf": "\r\n"}
PHYSICIANS = ("reader", "referrer", "doctor", "resident", "surgeon", "fellow")


@dataclass(frozen=True)
class Gold:
    """One identifier: offsets into the text, the kind of the shared gold, the class that names how and where it is written."""

    start: int
    end: int
    kind: str
    form: str
    known: str


@dataclass(frozen=True)
class Report:
    """A report, its columns, and the spans that must go (`gold`), may go (`neutral`), or must stay (`hard`: kind)."""

    report_id: str
    text: str
    columns: dict[str, str]
    gold: tuple[Gold, ...]
    neutral: tuple[tuple[int, int], ...]
    hard: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Patient:
    """What stays the same over the reports of one patient."""

    name: Name
    sex: str
    born: date
    mrn: str
    address: tuple[str, str]
    phone: str
    referrer: Name


@dataclass
class Visit:
    """What one report is about; values are drawn when first asked for and kept."""

    rng: Random
    seed_family: int
    patient: Patient
    study: date
    accession: str
    place: str
    people: dict[str, Name] = field(default_factory=dict)
    days: dict[str, date] = field(default_factory=dict)

    def person(self, role: str) -> Name:
        """The one who plays `role`; relatives may share the patient's family name."""
        if role not in self.people:
            drawn = people.draw_name(self.rng, self.seed_family, self.rng.choice("FM"))
            if role.startswith("relative") and self.rng.random() < 0.5:
                drawn = Name(drawn.given, self.patient.name.family, drawn.middle)
            self.people[role] = drawn
        return self.people[role]

    def day(self, which: str) -> date:
        """`study`, `dob`, or a day drawn before or after the study."""
        if which not in self.days:
            spans = {
                "prior": (40, 1500),
                "event": (1, 35),
                "follow": (-200, -20),
                "dictated": (-2, 0),
                "old": (900, 6000),
            }
            low, high = spans[which.rstrip("0123456789")]
            self.days[which] = self.study - timedelta(days=self.rng.randrange(low, high + 1))
        return self.days[which]

    @property
    def age(self) -> int:
        """Whole years at the study."""
        return (self.study - self.patient.born).days * 4 // 1461


def read_blocks(path: Path, mark: str) -> list[tuple[str, str]]:
    """(head, body) of each block of a file; heads begin with `mark`."""
    blocks = re.split(rf"^{mark} ?(.*)\n", path.read_text(encoding="utf-8"), flags=re.M)
    return [(blocks[at].strip(), blocks[at + 1].strip("\n")) for at in range(1, len(blocks), 2)]


TEMPLATES = read_blocks(HERE / "templates.txt", "===")
POOLS = {head: body.split("\n") for head, body in read_blocks(HERE / "phrases.txt", "@@")}


def generate(seed: int, count: int = 600) -> list[Report]:
    """`count` reports of one seed, always the same.  Each family of seeds lacks a third of the templates."""
    rng = Random(f"unseen {seed}")
    family = seed % people.FAMILIES
    usable = [one for at, one in enumerate(TEMPLATES) if at % people.FAMILIES != family]
    reports: list[Report] = []
    while len(reports) < count:
        patient = _patient(rng, family)
        fitting = [one for one in usable if _fits(one[0], patient)]
        for head, body in rng.sample(fitting, min(len(fitting), rng.choice([1, 2, 2, 3, 4]))):
            visit = _visit(rng, family, patient)
            reports.append(_report(f"U{seed}-{len(reports):04}", head, body, visit))
    return reports[:count]


def draw_visit(rng: Random, seed_family: int) -> Visit:
    """One visit of one patient, for a value by itself."""
    return _visit(rng, seed_family, _patient(rng, seed_family))


def written(kind: str, form: str, visit: Visit) -> str:
    """A value of one class, as `Gold.form` names it: `date:m/d@call`, `name:full@cc`, `phone:pager`."""
    what, forms, place = SLOT.fullmatch(form).groups(default="")  # type: ignore[union-attr]  # as in a template
    roles = {"PATIENT": "patient", "PHYSICIAN": "doctor", "OTHER_NAME": "nurse"}
    days = "dob" if place == "dob" else "prior"
    slot = {"name": roles.get(kind, "nurse"), "date": days}.get(what, what)
    if what == "age":
        visit.study = visit.patient.born + timedelta(days=365 * 94)
    return "".join(piece.text for piece in _slot(f"{slot}:{forms}@{place}" if place else f"{slot}:{forms}", visit))


def _fits(head: str, patient: Patient) -> bool:
    wants = head.split("|")[1].split()
    child = patient.born.year >= 2006
    return ("child" in wants) == child and ("F" not in wants or patient.sex == "F")


def _patient(rng: Random, family: int) -> Patient:
    sex = rng.choice("FM")
    year = rng.choice([rng.randrange(2006, 2011)] + [rng.randrange(1915, 1927)] * 2 + [rng.randrange(1930, 1996)] * 6)
    born = date(year, 1, 1) + timedelta(days=rng.randrange(365))
    phone = marks.PHONE_FORMS[rng.choice(["(a) e-n", "a-e-n", "a.e.n"])](rng)
    return Patient(
        name=people.draw_name(rng, family, sex),
        sex=sex,
        born=born,
        mrn=marks.draw_mrn(rng),
        address=marks.draw_address(rng),
        phone=phone,
        referrer=people.draw_name(rng, family, rng.choice("FM")),
    )


def _visit(rng: Random, family: int, patient: Patient) -> Visit:
    study = date(2011, 1, 1) + timedelta(days=rng.randrange(365 * 12))
    visit = Visit(
        rng, family, patient, study, marks.draw_accession(rng, study.year), rng.choice(marks.PLACES["facilities"])
    )
    visit.people |= {"patient": patient.name, "referrer": patient.referrer}
    visit.days |= {"study": study, "dob": patient.born}
    return visit


def _columns(report_id: str, visit: Visit) -> dict[str, str]:
    """The columns of an export: some blank, some in another habit than the text, some wrong."""
    rng, patient = visit.rng, visit.patient

    def maybe(value: str, share: float) -> str:
        return value if rng.random() < share else ""

    name = rng.choice(
        [patient.name.dicom] * 6
        + [f"{patient.name.family}, {patient.name.given}", f"{patient.name.given} {patient.name.family}"]
    )
    reader, referrer = visit.person("reader"), patient.referrer
    birth = patient.born if rng.random() < 0.96 else patient.born.replace(day=1)
    return {
        "report_id": report_id,
        "patient_name": maybe(name, 0.93),
        "patient_birth_date": maybe(f"{birth:%Y%m%d}", 0.88),
        "patient_sex": maybe(patient.sex, 0.9),
        "mrn": maybe(patient.mrn, 0.95),
        "accession_number": maybe(visit.accession, 0.93),
        "study_date": maybe(f"{visit.study:%Y%m%d}", 0.95),
        "referring_physician_name": maybe(
            rng.choice([referrer.dicom, referrer.dicom, f"DR {referrer.family}".upper()]), 0.6
        ),
        "reading_physician_name": maybe(
            rng.choice([reader.dicom, reader.dicom, f"{reader.given} {reader.family} MD"]), 0.65
        ),
        "institution_name": maybe(rng.choice([visit.place, visit.place.upper()]), 0.6),
        "patient_address": maybe(", ".join(patient.address), 0.6),
        "patient_phone": maybe(patient.phone, 0.6),
    }


@dataclass(frozen=True)
class Piece:
    """A part of a text: `kind` a gold kind, or "" for plain words, `?` for neutral, `!` for a hard negative."""

    text: str
    kind: str = ""
    form: str = ""


def _report(report_id: str, head: str, body: str, visit: Visit) -> Report:
    columns = _columns(report_id, visit)
    habits = (head.split("|")[2] if head.count("|") > 1 else "").split()
    text, gold, neutral, hard = "", [], [], []
    for piece in pieces(body, visit):
        written = _habit(piece.text, habits, visit.rng, piece.kind)
        start, end = len(text), len(text) + len(written)
        if piece.kind == "?":
            neutral.append((start, end))
        elif piece.kind == "!":
            hard.append((start, end, piece.form))
        elif piece.kind:
            gold.append(Gold(start, end, piece.kind, piece.form, _relation(written, columns)))
        text += written
    return Report(report_id, text, columns, tuple(gold), tuple(neutral), tuple(hard))


def _habit(text: str, habits: list[str], rng: Random, kind: str) -> str:
    if "upper" in habits:
        text = text.upper()
    if "lower" in habits:
        text = text.lower()
    if "hardwrap" in habits and not kind:
        text = re.sub(r"(?<=[a-z,]) (?=[a-z])", lambda _: "\n" if rng.random() < 0.09 else " ", text)
    for habit, mark in BREAKS.items():
        if habit in habits:
            text = text.replace("\n", mark)
    return text


def _relation(text: str, columns: dict[str, str]) -> str:
    """`exact`, `variant` or `unknown` against the record's own columns, as in the shared gold."""

    def plain(value: str) -> list[str]:
        return re.sub(r"[\W_]+", " ", people.folded(value).lower()).split()

    words = plain(text)
    held = [plain(value) for key, value in columns.items() if key not in ("report_id", "patient_sex")]
    if any(sorted(words) == sorted(value) or "".join(words) == "".join(value) for value in held if value):
        return "exact"
    return "variant" if any(len(word) > 2 and word in value for value in held for word in words) else "unknown"


def pieces(body: str, visit: Visit) -> list[Piece]:
    """The template with its choices taken and its slots filled."""
    rng = visit.rng
    while "{@" in body or "‹" in body:
        body = re.sub(r"\{@(\w+)(?:\*(\d+))?([n#]?)\}", lambda m: _pool(rng, m[1], int(m[2] or 1), m[3]), body)
        body = re.sub(r"‹([^‹›]*)›", lambda m: rng.choice(m[1].split("¦")), body)
    parts: list[Piece] = []
    for at, part in enumerate(re.split(r"\{([^{}]*)\}", body)):
        parts += _slot(part, visit) if at % 2 else [Piece(part)]
    return [piece for piece in parts if piece.text]


def _pool(rng: Random, name: str, count: int, layout: str) -> str:
    sentences = rng.sample(POOLS[name], min(count, len(POOLS[name])))
    if layout == "#":
        return "\n".join(f"{at}. {sentence}" for at, sentence in enumerate(sentences, 1))
    return ("\n" if layout == "n" else " ").join(sentences)


def _slot(slot: str, visit: Visit) -> list[Piece]:
    """Pieces of one slot: `what:form,form@place`."""
    if slot[0] in "!?":
        form, _, text = slot[1:].partition(":")
        return [Piece(text, slot[0], form)]
    what, forms, place = SLOT.fullmatch(slot).groups(default="")  # type: ignore[union-attr]  # a slot that doesn't fit is an error here
    form = visit.rng.choice(forms.split(",")) if forms else ""
    if what in WORDS:
        return [Piece(WORDS[what](visit))]
    if what == "age":
        return _age(visit, form)
    if what == "time":
        hour, minute = visit.rng.randrange(24), visit.rng.randrange(60)
        written = [
            f"{hour:02}:{minute:02}",
            f"{hour:02}{minute:02}",
            f"{hour % 12 or 12}:{minute:02} {'ap'[hour > 11]}m",
        ]
        return [Piece(visit.rng.choice(written), "?", "time")]
    if what == "year":
        return [Piece(str(visit.day(form or "prior").year), "?", "year")]
    if form == "usual":
        form = visit.rng.choice(marks.PHONE_USUAL)
    if what in MAKERS:
        kind, make = MAKERS[what]
        return _parts(make(visit, form), kind, _class(what, form, place))
    if what in _DAYS:
        return _date(visit, what, form, place)
    name = visit.person(what)
    role = what.rstrip("0123456789")
    kind = "PATIENT" if role == "patient" else "PHYSICIAN" if role in PHYSICIANS else "OTHER_NAME"
    return [Piece(people.FORMS[form](name, visit.rng), kind, _class("name", form, place))]


def _class(what: str, form: str, place: str) -> str:
    return f"{what}:{form or 'plain'}{'@' + place if place else ''}"


def _date(visit: Visit, what: str, form: str, place: str) -> list[Piece]:
    form = visit.rng.choice(dates.GROUPS.get(form, [form]))
    rendered = dates.FORMS[form](visit.day(what), visit.rng)
    return _parts(rendered, "DATE", _class("date", form, place or ("dob" if what == "dob" else "")))


def _parts(rendered: str, kind: str, form: str) -> list[Piece]:
    """What stands in `«»` as neutral pieces, the rest as identifiers."""
    parts = re.split(r"(«[^»]*»)", rendered)
    return [Piece(part.strip("«»"), "?", form) if part[:1] == "«" else Piece(part, kind, form) for part in parts]


_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _age(visit: Visit, form: str) -> list[Piece]:
    """The age: an identifier from 90 on, a hard negative before."""
    age = max(visit.age, 0)
    digits, after = (
        str(age),
        {"yo": " yo", "y.o.": " y.o.", "sex": visit.patient.sex, "Y": "Y", "year": "-year-old", "years": " years"},
    )
    if form == "words" and 100 > age > 19:
        digits = _TENS[age // 10 - 2] + (f"-{_ONES[age % 10 - 1]}" if age % 10 else "")
    elif form == "Y":
        digits = f"{age:03}"
    kind, name = ("AGE_90PLUS", f"age:{form}") if age >= 90 else ("!", "age under 90")
    return [Piece(digits, kind, name), Piece(after.get(form, " year old"), "?" if form == "sex" else "")]


Maker = Callable[[Visit, str], str]
MAKERS: dict[str, tuple[str, Maker]] = {
    "mrn": ("MRN", lambda v, form: marks.MRN_FORMS[form or "plain"](v.patient.mrn)),
    "acc": (
        "ACCESSION",
        lambda v, form: v.accession if form != "other" else marks.draw_accession(v.rng, v.study.year - 1),
    ),
    "phone": ("PHONE", lambda v, form: _phone(v, form)),
    "email": ("EMAIL", lambda v, form: marks.email(v.rng, v.patient.name, form)),
    "url": ("URL", lambda v, form: marks.url(v.rng, form)),
    "address": ("ADDRESS", lambda v, form: marks.address(v.rng, v.patient.address, form)),
    "facility": ("FACILITY", lambda v, form: marks.facility(v.rng, v.place, form)),
    "id": ("ID", lambda v, form: marks.ID_FORMS[form](v.rng)),
}


def _phone(visit: Visit, form: str) -> str:
    if form == "own":
        return visit.patient.phone
    return marks.PHONE_FORMS[form](visit.rng)


_DAYS = frozenset(
    f"{day}{number}"
    for day in ("study", "dob", "prior", "event", "follow", "dictated", "old")
    for number in ("", "2", "3")
)
WORDS: dict[str, Callable[[Visit], str]] = {
    "he": lambda v: "she" if v.patient.sex == "F" else "he",
    "He": lambda v: "She" if v.patient.sex == "F" else "He",
    "his": lambda v: "her" if v.patient.sex == "F" else "his",
    "Poss": lambda v: "Her" if v.patient.sex == "F" else "His",
    "him": lambda v: "her" if v.patient.sex == "F" else "him",
    "man": lambda v: (
        ("girl" if v.patient.sex == "F" else "boy") if v.age < 16 else "woman" if v.patient.sex == "F" else "man"
    ),
    "sex": lambda v: v.patient.sex,
    "Mr": lambda v: v.rng.choice(["Ms.", "Mrs.", "Ms"]) if v.patient.sex == "F" else v.rng.choice(["Mr.", "Mr"]),
}
