"""Numbers, places and addresses of a generated report, in the shapes that departments give them.

Belongs here: identifiers other than names and dates.  Each maker takes the report's own value or draws one; telephone
numbers use the exchange kept for fiction, addresses and practices don't exist (`places.json`).  What stands in `«»` is no
part of the identifier, as in `dates.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from .people import Name, folded

PLACES: dict[str, Any] = json.loads((Path(__file__).parent / "places.json").read_text(encoding="utf-8"))


def digits(rng: Random, count: int) -> str:
    """`count` digits, the first not zero."""
    return str(rng.randrange(1, 10)) + "".join(str(rng.randrange(10)) for _ in range(count - 1))


def draw_mrn(rng: Random) -> str:
    """A hospital number as the column holds it."""
    shape = rng.choice(["7", "8", "letter", "zeros", "dashed"])
    if shape == "letter":
        return rng.choice("EHKTW") + digits(rng, 7)
    if shape == "zeros":
        return "000" + digits(rng, 6)
    if shape == "dashed":
        return f"{digits(rng, 2)}-{digits(rng, 2)}-{digits(rng, 2)}"
    return digits(rng, int(shape))


MRN_FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda v: v,
    "zeros-dropped": lambda v: v.lstrip("0"),
    "regrouped": lambda v: v if "-" in v else f"{v[:-4]}-{v[-4:]}",
    "spaced": lambda v: " ".join([v.replace("-", "")[:3], v.replace("-", "")[3:]]),
    "ungrouped": lambda v: v.replace("-", ""),
}


def draw_accession(rng: Random, year: int) -> str:
    """An accession number as the column holds it."""
    return rng.choice(_ACCESSIONS)(rng, year)


_ACCESSIONS: list[Callable[[Random, int], str]] = [
    lambda r, year: f"{year % 100}-{r.choice(['XR', 'CT', 'US', 'MG'])}-{digits(r, 5)}",
    lambda r, _: f"ACC{digits(r, 8)}",
    lambda r, _: digits(r, 9),
    lambda r, year: f"{r.choice('RXWQ')}{year % 100}{digits(r, 6)}",
    lambda r, year: f"{year}{digits(r, 6)}-{r.randrange(1, 4)}",
    lambda r, _: f"{digits(r, 4)}.{digits(r, 5)}",
]


def _phone(rng: Random) -> tuple[str, str, str]:
    return str(rng.randrange(201, 989)), "555", f"01{rng.randrange(100):02}"


PHONE_FORMS: dict[str, Callable[[Random], str]] = {
    "(a) e-n": lambda r: "({}) {}-{}".format(*_phone(r)),
    "a-e-n": lambda r: "{}-{}-{}".format(*_phone(r)),
    "a.e.n": lambda r: "{}.{}.{}".format(*_phone(r)),
    "a/e-n": lambda r: "{}/{}-{}".format(*_phone(r)),
    "a e n": lambda r: "{} {} {}".format(*_phone(r)),
    "ten-digits": lambda r: "".join(_phone(r)),
    "+1": lambda r: "+1 {} {} {}".format(*_phone(r)),
    "1-a": lambda r: "1-{}-{}-{}".format(*_phone(r)),
    "seven": lambda r: "{}-{}".format(*_phone(r)[1:]),
    "with-x": lambda r: "{}-{}-{} x{}".format(*_phone(r), r.randrange(100, 9999)),
    "with-ext": lambda r: "({}) {}-{} ext. {}".format(*_phone(r), r.randrange(100, 9999)),
    "extension": lambda r: str(r.randrange(1000, 79999)),
    "dash-extension": lambda r: f"{r.randrange(2, 9)}-{r.randrange(1000, 9999)}",
    "pager": lambda r: digits(r, r.choice([4, 5])),
    "pager-dashed": lambda r: f"{digits(r, 3)}-{digits(r, 4)}",
    "uk": lambda r: f"01632 960{r.randrange(100, 999)}",
    "uk-intl": lambda r: f"+44 (0)1632 960 {r.randrange(100, 999)}",
    "au": lambda r: f"(02) 5550 {r.randrange(1000, 9999)}",
    "spoken": lambda r: " ".join(
        r.choice(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh"]) for _ in range(7)
    ),
}
PHONE_USUAL = ["(a) e-n", "a-e-n", "a.e.n", "a/e-n", "a e n", "+1", "1-a", "with-x", "with-ext", "ten-digits", "seven"]

ID_FORMS: dict[str, Callable[[Random], str]] = {
    "order": lambda r: digits(r, 9),
    "order-prefixed": lambda r: f"ORD-{digits(r, 7)}",
    "claim": lambda r: f"CLM{digits(r, 4)}-{digits(r, 5)}",
    "policy": lambda r: f"{r.choice(['XQW', 'ZGP', 'YLH'])}{digits(r, 9)}",
    "policy-letters": lambda r: (
        f"{digits(r, 1)}{r.choice('EGH')}{digits(r, 1)}-{r.choice('TKM')}{r.choice('EX')}{digits(r, 1)}-MK{digits(r, 2)}"
    ),
    "group": lambda r: f"{digits(r, 6)}-00{r.randrange(1, 9)}",
    "licence": lambda r: f"{r.choice(['MD', 'G', 'ME'])}{digits(r, 6)}",
    "npi": lambda r: digits(r, 10),
    "account": lambda r: f"V{digits(r, 9)}",
    "encounter": lambda r: digits(r, 8),
    "job": lambda r: digits(r, 6),
    "document": lambda r: f"{digits(r, 6)}/{digits(r, 3)}",
    "ssn": lambda r: f"8{digits(r, 2)}-{digits(r, 2)}-{digits(r, 4)}",
    "ssn-last-four": lambda r: digits(r, 4),
    "ssn-masked": lambda r: f"«xxx-xx-»{digits(r, 4)}",
    "serial": lambda r: r.choice(
        [
            f"SN{digits(r, 7)}",
            f"{digits(r, 5)}-{r.choice('ABCX')}",
            f"{r.choice('KLPR')}{r.choice('XZ')}{digits(r, 6)}{r.choice('HS')}",
        ]
    ),
    "lot": lambda r: f"{digits(r, 2)}{r.choice('ABC')}{digits(r, 4)}",
    "udi": lambda r: f"«(01)»0{digits(r, 13)}«(21)»{digits(r, 6)}",
    "uid": lambda r: f"1.2.840.{digits(r, 6)}.{digits(r, 2)}.{r.randrange(9)}.{digits(r, 10)}.{digits(r, 4)}",
    "pathology": lambda r: f"S{r.randrange(10, 24)}-{digits(r, 5)}",
    "nhs": lambda r: f"{digits(r, 3)} {digits(r, 3)} {digits(r, 4)}",
    "study": lambda r: f"{r.choice(['KP', 'LUNGSCR', 'ARM'])}-{digits(r, 4)}",
    "plate": lambda r: f"{r.choice('BCDF')}{r.choice('KLM')}{r.choice('TVZ')} {digits(r, 4)}",
    "driver": lambda r: f"{r.choice('DNW')}{digits(r, 7)}",
}


def facility(rng: Random, own: str, form: str) -> str:
    """The report's own place or another, whole, in capitals or as letters."""
    if form == "acronym":
        return str(rng.choice(PLACES["acronyms"]))
    name = own if form.startswith("own") else str(rng.choice(PLACES["facilities"]))
    return name.upper() if form.endswith("upper") else name


def draw_address(rng: Random) -> tuple[str, str]:
    """Street and town of one household; one in six stands outside the United States."""
    if rng.random() < 1 / 6:
        street, city, code = rng.choice(PLACES["streets_foreign"])
        return street, f"{city} {code}"
    street = f"{rng.randrange(1, 19999)} {rng.choice(PLACES['streets'])}"
    street += rng.choice(["", "", "", ", Apt 3C", " #12", ", Unit 204"])
    zip_code = digits(rng, 5) + rng.choice(["", "", f"-{digits(rng, 4)}"])
    return street, f"{rng.choice(PLACES['cities'])}, {rng.choice(PLACES['states'])} {zip_code}"


def address(rng: Random, own: tuple[str, str], form: str) -> str:
    """The patient's or another household, as one line or two, or a post office box."""
    street, town = own if form.startswith("own") else draw_address(rng)
    if form == "po-box":
        return f"{rng.choice(['P.O. Box', 'PO Box'])} {digits(rng, 4)}"
    if form.endswith("street"):
        return street
    return town if form.endswith("town") else f"{street}, {town}"


def email(rng: Random, name: Name, form: str) -> str:
    """A private address, or one of a department."""
    user = (
        folded(name.given).lower().replace(" ", "")
        + rng.choice([".", "_", ""])
        + "".join(c for c in folded(name.family).lower() if c.isalpha())
    )
    if form == "department":
        return f"{rng.choice(['radfilms', 'imaging.desk', 'msk-reports'])}@{rng.choice(PLACES['domains'])}"
    return f"{user}@{rng.choice(PLACES['mailhosts'])}"


def url(rng: Random, form: str) -> str:
    """A link to pictures or a portal, with or without its scheme."""
    domain = rng.choice(PLACES["domains"])
    if form == "bare":
        return f"www.{domain}/mychart"
    if form == "no-scheme":
        return f"portal.{domain}/view?acc={digits(rng, 8)}"
    return f"https://pacs.{domain}/v/{digits(rng, 6)}#s={rng.randrange(1, 9)}"
