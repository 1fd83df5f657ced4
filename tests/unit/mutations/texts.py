"""Rules of the report engine, each with a sentence in which it is the one that counts.

Belongs here: cases.  A stranger is somebody of whom the hospital's records say nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import gradient_assets.deid.text.engine as engine
import gradient_assets.deid.text.names as names
import gradient_assets.deid.text.patterns as patterns
import gradient_assets.pipelines.reports as report_steps
from gradient_assets.deid.text.known import KnownMatcher
from gradient_assets.deid.text.replace import Replacer
from gradient_assets.deid.text.surrogates import Surrogates
from tests.unit.mutations.hospital import REPORTS, Outcome, Sent
from tests.unit.mutations.switching import Mutation, Off

SURROGATES: dict[str, object] = {"reports": {"replacement": "surrogates"}}


def rule(step: str, owner: object, name: str, text: str, planted: str | Callable[[Outcome], bool]) -> Mutation:
    """A rule that finds nothing any more."""
    return Mutation(step, REPORTS, Sent(reports=(text,)), planted, lambda off: off.nothing(owner, name))


def of_patterns(kind: str) -> Callable[[Off], None]:
    """The spans of one kind are left out of what the patterns find."""

    def found(original, *arguments):
        return [span for span in original(*arguments) if span.kind != kind]

    return lambda off: off.instead(engine, "find_patterns", found)


def pattern(step: str, kind: str, text: str, planted: str) -> Mutation:
    return Mutation(step, REPORTS, Sent(reports=(text,)), planted, of_patterns(kind))


def dates_off(off: Off) -> None:
    off.nothing(engine, "find_dates")
    off.nothing(engine, "find_short_dates")


def failing_open(original, self, text, *arguments, **named):
    """What an engine would do that passes on what it could not clean."""
    return engine.CleanedText(text, engine.Counter())


def names_of(outcome: Outcome) -> set[str]:
    """What stands for the patient's family name in each report."""
    return {text.partition("Patient ")[2].split()[1].rstrip(".") for text in outcome.texts if "Patient " in text}


def draws() -> Callable[..., object]:
    counter = iter(range(10**6))

    def digest(original, self, kind, *parts):
        return original(self, kind, *parts, str(next(counter)))

    return digest


CASES = [
    rule("known names: in full", KnownMatcher, "find_names", "zebulon quillfeather, cough.", "quillfeather"),
    rule("known names: one family name", KnownMatcher, "find_names", "quillfeather came for a scan.", "quillfeather"),
    rule("known numbers", KnownMatcher, "find_numbers", "Compare with 771204 there.", "771204"),
    rule("known numbers: written apart", KnownMatcher, "find_numbers", "Compare with 7 71204 there.", "71204"),
    rule("known places", KnownMatcher, "find_places", "Came back from thornaby reach.", "thornaby reach"),
    rule("known addresses", KnownMatcher, "find_places", "Lives in marrowbone lane.", "marrowbone"),
    pattern("phones", "PHONE", "Call (596)-268-0276 for questions.", "(596)"),
    pattern("phones without a shape", "PHONE", "Phone: 268 0276", "268 0276"),
    pattern("e-mails", "EMAIL", "Write to o.vint@northgate.net today.", "vint@northgate"),
    pattern("addresses of pages", "URL", "See https://northgate.net/p/4411 for images.", "northgate.net"),
    pattern("labelled numbers", "ID", "MRN: 99817263 was compared.", "99817263"),
    pattern("social security numbers", "ID", "The number 219-09-9999 was given.", "219-09-9999"),
    pattern("pagers", "PHONE", "Pager 88172 was called.", "88172"),
    rule("addresses", patterns, "find_addresses", "She lives at 482 Tamarind Street, Ashbrook, OR 97999.", "Tamarind"),
    rule("facilities", engine, "find_facilities", "Done at TVH hospital.", "TVH"),
    rule("places of care", engine, "find_places_of_care", "She was seen at Riverside Commons.", "Commons"),
    Mutation("dates", REPORTS, Sent(reports=("Compared with March 7, 2018.",)), "March 7, 2018", dates_off),
    Mutation("dates without a year", REPORTS, Sent(reports=("Compared with the study of 3/17.",)), "3/17", dates_off),
    pattern("ages of 90 and more in texts", "AGE", "A 94 year old woman with cough.", "94 year"),
    rule("titles", engine, "find_cued", "Dr. White agreed.", "White"),
    rule("cues", engine, "find_cued", "discussed with dr. rose.", "rose"),
    rule("signatures", engine, "find_signatures", "Stable.\n\nJohn Brown", "Brown"),
    rule("lists of names", engine, "find_listed", "It was Margaret Thompson who fell.", "Thompson"),
    rule("strangers", names, "find_strangers", "It was seen with Okonjowski there.", "Okonjowski"),
    rule("propagation", engine, "propagate", "Dr. Okonjowski called. OKONJOWSKI agreed.", "OKONJOWSKI"),
    rule("names joined to names", engine, "find_joined", "Dr. Rose and Cross came.", "Cross"),
    Mutation(
        "moved study date of a report",
        REPORTS,
        Sent(reports=("No effusion.",)),
        "datetime.date(2019, 3, 4)",
        lambda off: off.instead(report_steps, "date_under", lambda original, profile, day, days: day),
    ),
    Mutation(
        "failing closed: a text that can't be cleaned",
        REPORTS,
        Sent(reports=("Seen by Bexley Okonjo on rounds.",)),
        "Okonjo",
        lambda off: off.instead(engine.TextEngine, "clean", failing_open),
    ),
    Mutation(
        "tags: what is found is replaced",
        REPORTS,
        Sent(reports=("Discussed with Dr. Tamar.",)),
        "Tamar",
        lambda off: off.instead(Replacer, "replacement", lambda original, self, value, span: value),
    ),
    Mutation(
        "surrogates: one for one name",
        REPORTS,
        Sent(reports=("Patient Zebulon Quillfeather came.", "Patient Zebulon Quillfeather left."), settings=SURROGATES),
        lambda outcome: len(names_of(outcome)) > 1,
        lambda off: off.instead(Surrogates, "_digest", draws()),
    ),
    Mutation(
        "surrogates: never another patient",
        REPORTS,
        Sent(reports=("Patient Zebulon Quillfeather came.",), settings=SURROGATES),
        "Wobblethorpe",
        lambda off: off.nothing(Surrogates, "name", "Griselda Wobblethorpe"),
    ),
]
