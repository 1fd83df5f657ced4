"""The report of a release: what an approver reads and signs, and the recipient gets.  It needs nothing from outside.

Belongs here: laying out `evidence`.  Counts of people are shown as `statistics` hides small groups; counts of elements, boxes,
checks and refusals are no counts of people and are shown as they are.  Names of people don't stand here: who asked and who
approved is in the log (`states`).  Equal evidence is an equal page, so that a page can be approved by its digest.
"""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.resources import files

from pydicom.datadict import keyword_for_tag

from gradient_assets.deid.reasons import EXPLANATIONS, Reason
from gradient_assets.releases.charts import HALF, HATCHING, WIDTH, Bar, bars
from gradient_assets.releases.evidence import Evidence
from gradient_assets.releases.manifest import MANIFEST
from gradient_assets.releases.statistics import UNKNOWN, Cell, age_group, cells
from gradient_assets.releases.verification import BALANCE

_PICTURE = re.compile(rb"data:image/jpeg;base64,[A-Za-z0-9+/=]*")
_TAG = re.compile(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)")
_KEPT = frozenset({"keep", "keep_empty", "text_kept", "items"})
"""Actions after which an element has the value it had."""

_REMOVED = frozenset({"remove", "empty", "private", "unlisted", "time_removed", "time_emptied"})
_PRIVATE = re.compile(r"\(([0-9A-F]{3}[13579BDF]),[0-9A-Fx]{4}\)")
"""A private tag: its group is odd (PS3.5 section 7.8)."""
_MOVED = frozenset({"date_shifted", "date_year", "birth_date"})
_CLEANED = frozenset({"cleaned"})
_FAMILIES = (
    ("Removed or emptied", _REMOVED.__contains__),
    ("Dates moved or cut", _MOVED.__contains__),
    ("Texts cleaned", _CLEANED.__contains__),
    ("Replaced by a pseudonym or a dummy", lambda action: action not in _KEPT | _REMOVED | _MOVED | _CLEANED),
)
"""Actions of the header engine as a reader tells them apart; one that no family names is a replacement."""

ALONE = (
    "Who knows sex, ages and study years of a patient who is alone can find all objects of that patient here. "
    "For them the release is pseudonymous, not anonymous: let it leave under an agreement that forbids to look for people, or "
    "choose a wider cohort."
)
RESIDENCE = (
    "Where patients live is not counted in the classes: elements that hold a residence are removed under every profile, and an "
    "address or postal code that is found in a text is taken out or made up whole. The name of a state may stay in a text, and "
    "a place that no rule finds."
)
UNREAD = "but nobody has read the pixels again, which the registry allows (<code>releases.unread_pixels</code>)."
LOOK_FIRST = (
    "Nobody has looked at an object of this release that was drawn by chance: samples say nothing of text that is still to be "
    "seen. Look at some, drawn by chance, before you sign: <code>gradient review --only sample</code>."
)


def render_report(evidence: Evidence, pictures: Sequence[bytes]) -> str:
    """The page as HTML; `pictures` are JPEGs."""
    release = evidence.release
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    first_page = (_head, _cohort, _verification, _classes, partial(_pictures, pictures), _signing)
    annex = (_people, _class_sizes, _removed, _refused, _made)
    body = "".join(section(evidence) for section in first_page) + '<div class="annex"><h2>Annex</h2>'
    body += "".join(section(evidence) for section in annex) + "</div>"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Release {_e(release.name)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head><body>{HATCHING}{body}</body></html>\n"
    )


def without_pictures(report: bytes) -> bytes:
    """The page as it is searched for identifiers: letters that a picture's bytes happen to spell are nobody's name."""
    return _PICTURE.sub(b"", report)


def _head(evidence: Evidence) -> str:
    release, classes = evidence.release, evidence.classes
    searches = [outcome for outcome in evidence.outcomes if (outcome.asset, outcome.check) != BALANCE]
    searched = sum(outcome.searched for outcome in searches)
    found = sum(sum(outcome.found.values()) for outcome in searches)
    accepted = sum(outcome.accepted for outcome in searches)
    floor = evidence.rules.smallest_class
    tiles = (
        (_n(_patients(evidence)), "patients", ""),
        (_n(len({row["study_instance_uid"] for row in evidence.rows})), "studies", ""),
        (_n(len(evidence.rows)), "objects", ""),
        (
            _n(classes.smallest),
            "patients in the smallest class",
            "warn" if classes.smallest < max(floor, 2) else "good",
        ),
        (_n(sum(evidence.refusals.values())), "objects refused (annex)", ""),
        (
            _n(found + accepted),
            f"findings in {_n(searched)} looks" + (f", {_n(accepted)} accepted as false alarms" if accepted else ""),
            "warn" if found or accepted else "good",
        ),
    )
    shown = "".join(
        f'<li class="{kind}"><b>{_e(number)}</b><span>{_e(what)}</span></li>' for number, what, kind in tiles
    )
    return (
        f'<header><p class="over">Release report</p><h1>{_e(release.name)}</h1>'
        f"<p>De-identified DICOM objects for <b>{_e(release.recipient)}</b>, under pseudonyms of this recipient alone.</p>"
        f"<p>Cleaned under {_e(' and '.join(sorted(evidence.profiles)))}. Dates: {_e('; '.join(sorted(evidence.dates)))}.</p>"
        f'</header><ul class="tiles">{shown}</ul>'
        f'<p class="digest">An approval of this page is bound to what it describes: SHA-256 of <code>{MANIFEST}</code> '
        f"<code>{evidence.manifest}</code></p>"
    )


def _cohort(evidence: Evidence) -> str:
    balance = evidence.balance
    return _section(
        "Who was asked for",
        f"<pre>{_e(evidence.rule)}</pre>"
        f"<p>In the cohort: <b>{_n(balance.given or 0)}</b> instances = {_n(balance.out)} objects of this release + "
        f"{_n(balance.quarantined)} quarantined (annex) + {_n(balance.withdrawn)} left out as withdrawn.</p>"
        '<p class="note">A condition over the columns of <code>prod</code>. Texts that are no code are shown as …, since '
        "whoever wrote them may have typed a name.</p>",
    )


def _people(evidence: Evidence) -> str:
    facts, floor = evidence.facts, evidence.rules.smallest_cell

    def counted(title: str, groups: Sequence[Cell]) -> str:
        rows = [
            [
                cell.name,
                *(
                    [f"under {floor}, or hidden with it"]
                    if cell.hidden
                    else map(_n, (cell.patients, cell.studies, cell.objects))
                ),
            ]
            for cell in groups
        ]
        return f"<div><h3>{title}</h3>{_cell_table(rows)}</div>"

    by_hospital = cells(facts, lambda fact: f"hospital {fact['hospital_number']}", floor)
    by_modality = cells(facts, lambda fact: fact["modality"] or UNKNOWN, floor)
    by_sex = cells(facts, lambda fact: fact["patient_sex"] or UNKNOWN, floor)
    by_age = cells(facts, lambda fact: age_group(fact["patient_age"]), floor)
    by_year = cells(facts, lambda fact: str(fact["study_year"] or UNKNOWN), floor)
    return _section(
        "Who is in it",
        f'<div class="pair">{counted("By hospital", by_hospital)}{counted("By sex", by_sex)}</div>'
        f'<div class="pair">{counted("By modality", by_modality)}'
        f"{_people_chart('By age group', by_age, floor, width=HALF)}</div>"
        f"{_people_chart('By study year, as delivered', by_year, floor)}"
        f'<p class="note">Patients are counted, not objects; one who is in two groups counts in both. Groups of fewer than '
        f"{floor} patients are hidden, and others with them, so that none of them can be computed from the total.</p>",
    )


def _classes(evidence: Evidence) -> str:
    classes, floor = evidence.classes, evidence.rules.smallest_class
    singles = sum(size == 1 for size in classes.sizes)
    asked = (
        f"The registry asks for at least <b>{floor}</b>: {classes.too_small(floor)} classes are smaller."
        if floor > 1
        else "The registry sets no floor (<code>releases.smallest_class</code>)."
    )
    return _section(
        "How many are alike",
        "<p>Patients are told apart by sex, ages and study years, all studies together (residence: annex). "
        f"Those who agree in all are one class. The smallest class has <b>{_n(classes.smallest)}</b>; "
        f"{_n(singles)} of {_n(sum(classes.sizes))} patients are alone in theirs. {asked}</p>"
        + (f'<p class="warn">{ALONE}</p>' if singles else ""),
    )


def _class_sizes(evidence: Evidence) -> str:
    chart = bars(
        "Patients by size of their class",
        [
            Bar(
                f"{name} patient{'' if name == '1' else 's'}", patients, f"{_n(count)} classes, {_n(patients)} patients"
            )
            for name, count, patients in evidence.classes.distribution
        ],
    )
    return _section("Patients by the size of their class", f"<figure>{chart}</figure>")


def _verification(evidence: Evidence) -> str:
    rows = [
        [
            f"{outcome.check.replace('_', ' ')} ({outcome.asset.replace('release_', '').replace('dicoms', 'objects')})",
            _n(outcome.searched),
            _n(outcome.known) if outcome.known else "–",
            _n(sum(outcome.found.values())),
            _n(outcome.accepted),
            ("passed" if outcome.searched else "nothing was searched") if outcome.passed else "failed",
        ]
        for outcome in evidence.outcomes
    ]
    looks = [
        _sample_row(
            "Thumbnails of these hospitals that triage skipped",
            evidence.triage.skipped,
            evidence.triage.audited,
            evidence.triage.hits,
            evidence.triage.most_missed,
            "triage was not used",
        ),
        _sample_row(
            "Objects of this release, drawn by chance, that people reviewed",
            len(evidence.rows),
            evidence.reviewed.drawn,
            evidence.reviewed.drawn_hits,
            evidence.reviewed.most_missed,
            "nobody has looked yet",
        ),
    ]
    if chosen := evidence.reviewed.looked - evidence.reviewed.drawn:
        hits = evidence.reviewed.hits - evidence.reviewed.drawn_hits
        looks.append(
            ["Objects of this release that people chose", _n(len(evidence.rows)), _n(chosen), _n(hits), "says nothing"]
        )
    return _section(
        "Verification",
        "<p>Every object was cleaned from its original, written, read back and searched by code that shares no rule with the "
        f"engines; {_read_by(evidence)} The checks ran over exactly this manifest, and block delivery.</p>"
        + _table(
            ("check", "looked at", "looked for", "found", "accepted", "outcome"), rows, numbers=(1, 2, 3, 4), good=5
        )
        + '<p class="note">Looked for: forms of the names and numbers known in all hospitals. Accepted: findings that '
        "people declared false alarms; they are in the release.</p>"
        + "<h3>Text in pixels: what samples say</h3>"
        + _table(("sample", "of", "looked at", "with missed text", "at most, 95 %"), looks, numbers=(1, 2, 3, 4))
        + f'<p class="note">{_looks(evidence)} The bound is the one of Clopper '
        "and Pearson, one-sided (3 ÷ n when nothing was missed). It is taken from objects that a sample drew, and holds if its "
        "reviewers decided about each one they were shown; what people chose to look at does not lower it. A look counts for "
        "the object and engine it was made on. What people found missing was blacked out before this release was made.</p>",
    )


def _read_by(evidence: Evidence) -> str:
    """Who read the pixels that were written, and what follows for text that none of those who looked can read."""
    if not evidence.reader:
        return UNREAD
    return (
        f"text in pixels was read by <code>{_e(evidence.reader)}</code>, which cleaned none of them; what neither it nor those "
        "that cleaned can read is found by people alone."
    )


def _looks(evidence: Evidence) -> str:
    who = "two models" if evidence.finders > 1 else "one model"
    return f"Each frame that shows something new goes to {who}."


def _sample_row(what: str, of: int, looked: int, hits: int, bound: float, unused: str) -> list[str]:
    if not looked:
        return [
            what,
            _n(of),
            "0",
            unused if not of or unused.startswith("nobody") else "none drawn",
            "100 %" if of else "–",
        ]
    return [what, _n(of), _n(looked), _n(hits), f"{100 * bound:.2g} %"]


def _removed(evidence: Evidence) -> str:
    kinds = [Bar(name, count, _n(count)) for name, count in _by_count(evidence.kinds)]
    boxes = [Bar(name, count, _n(count)) for name, count in _by_count(evidence.boxes)]
    with_boxes = sum(row["boxes"] > 0 for row in evidence.rows)
    return _section(
        "What was removed",
        f"<h3>Identifiers, by kind</h3><figure>{bars('Identifiers removed, by kind', kinds)}</figure>"
        f"<h3>Boxes of text blacked out, by what found them</h3>"
        f"<p>{_n(sum(evidence.boxes.values()))} boxes in {_n(with_boxes)} of {_n(len(evidence.rows))} objects.</p>"
        f"<figure>{bars('Boxes by source', boxes) if boxes else ''}</figure><h3>Header elements</h3>"
        + "".join(_tags(title, evidence, belongs) for title, belongs in _FAMILIES)
        + f"<h3>Residence</h3><p>{RESIDENCE}</p>",
    )


def _tags(title: str, evidence: Evidence, belongs: Callable[[str], bool]) -> str:
    found: Counter[str] = Counter()
    for tag, actions in sorted(evidence.tags.items()):
        group = _PRIVATE.fullmatch(tag)
        # Hundreds of private elements, each known by a number alone: by group they fit a page.
        name = f"({group[1]},…) private" if group else f"{tag} {_keyword(tag)}"
        found[name] += sum(number for action, number in actions.items() if belongs(action))
    lines = "".join(f"<li><span>{_e(name)}</span><i>{_n(count)}</i></li>" for name, count in found.items() if count)
    return f'<h3>{title}: {_n(sum(found.values()))} elements</h3><ul class="tags">{lines}</ul>' if lines else ""


def _refused(evidence: Evidence) -> str:
    rows = [[reason, _n(count), EXPLANATIONS[Reason(reason)].meaning] for reason, count in _by_count(evidence.refusals)]
    listed = _table(("reason", "objects", "what it means"), rows, numbers=(1,)) if rows else ""
    total = sum(evidence.refusals.values())
    return _section(
        "What was refused",
        f"<p>{_n(total)} objects of the cohort were quarantined while this release was made; they are not in it.</p>{listed}",
    )


def _made(evidence: Evidence) -> str:
    rows = [
        *(["profile and standard", name, f"{_n(count)} objects"] for name, count in sorted(evidence.profiles.items())),
        *(["dates", rule, f"{_n(count)} objects"] for rule, count in sorted(evidence.dates.items())),
        *(["engines", name, f"{_n(count)} objects"] for name, count in sorted(evidence.engines.items())),
        ["software", f"gradient-assets {evidence.version}", ""],
        ["code revision", evidence.revision or f"that of version {evidence.version}", ""],
    ]
    return _section("Made by", _table(("what", "which", ""), rows))


def _pictures(pictures: Sequence[bytes], evidence: Evidence) -> str:
    if not pictures:
        return ""
    shown = "".join(
        f'<img alt="picture {number} of {len(pictures)}" src="data:image/jpeg;base64,{base64.b64encode(one).decode("ascii")}">'
        for number, one in enumerate(pictures, start=1)
    )
    pictured = sum(row["frames"] > 0 for row in evidence.rows)
    return _section(
        "A look at what leaves",
        f"<p>{len(pictures)} of {_n(pictured)} objects with pixels, drawn by chance from those of this release (the digest "
        f'above is the seed), middle frame.</p><div class="pictures">{shown}</div>',
    )


def _signing(evidence: Evidence) -> str:
    needed = evidence.rules.approvals
    who = {0: "No approval is asked for.", 1: "One person other than who asked for it approves."}.get(
        needed, f"{needed} different people, none of them who asked for it, approve."
    )
    pictured = any(row["frames"] > 0 for row in evidence.rows)
    look = f'<p class="warn">{LOOK_FIRST}</p>' if pictured and not evidence.reviewed.drawn else ""
    command = f"gradient approve {evidence.release.name} --by NAME --digest {evidence.manifest[:12]}"
    lines = "".join("<div>Name, date, signature</div>" for _ in range(needed))
    signing = f'<div class="signing">{lines}</div>' if lines else ""
    return _section("Approval", f'<div class="approval">{look}<p>{who}</p><pre>{_e(command)}</pre>{signing}</div>')


def _people_chart(title: str, groups: Sequence[Cell], floor: int, *, width: int = WIDTH) -> str:
    of = [
        Bar(
            c.name,
            None if c.hidden else c.patients,
            f"under {floor}, or hidden" if c.hidden else f"{_n(c.patients)} patients",
        )
        for c in groups
    ]
    return f"<div><h3>{title}</h3><figure>{bars(title, of, width=width)}</figure></div>"


def _cell_table(rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for name, *numbers in rows:
        shown = (
            f'<td class="n hidden" colspan="3">{_e(numbers[0])}</td>'
            if len(numbers) == 1
            else "".join(f'<td class="n">{_e(number)}</td>' for number in numbers)
        )
        lines.append(f"<tr><td>{_e(name)}</td>{shown}</tr>")
    heading = "".join(f'<th class="n">{name}</th>' for name in ("patients", "studies", "objects"))
    return f"<table><thead><tr><th></th>{heading}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _table(
    heading: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = (), good: int = -1
) -> str:
    def cell(kind: str, place: int, text: str) -> str:
        names = (["n"] if place in numbers else []) + (
            ["good" if text == "passed" else "warn"] if kind == "td" and place == good else []
        )
        return f'<{kind} class="{" ".join(names)}">{_e(text)}</{kind}>' if names else f"<{kind}>{_e(text)}</{kind}>"

    head = "".join(cell("th", place, text) for place, text in enumerate(heading))
    body = "".join(f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_e(title)}</h2>{body}</section>"


def _patients(evidence: Evidence) -> int:
    return len({row["patient_pseudonym"] for row in evidence.rows})


def _keyword(tag: str) -> str:
    match = _TAG.fullmatch(tag)
    return keyword_for_tag(int(match[1] + match[2], 16)) if match else ""


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _n(number: int) -> str:
    return f"{number:,}"


def _e(text: object) -> str:
    return html.escape(str(text))
