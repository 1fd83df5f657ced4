"""`gradient quarantine`: the work list of refused objects and records, and what people decide about it.

Belongs here: arguments, tables on the terminal, JSON.  What a decision is and when it ends is `gradient_assets.quarantine`'s
business.  Object keys may hold names: one is shown only to who asks for it by `--show-key`, after
that was logged as any way back from a pseudonym is, and never in a list.
"""

from __future__ import annotations

import getpass
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

from gradient_assets.cli.crosswalk import asker
from gradient_assets.crosswalk.log import Outcome, Use, check_words, record
from gradient_assets.deid.reasons import EXPLANATIONS, Reason
from gradient_assets.hospitals import Hospital, Registry, home_path, load_registry, registry_path
from gradient_assets.quarantine import (
    Decisions,
    QuarantineError,
    Refusal,
    Today,
    Wanted,
    acceptable,
    accepted_and_passed,
    by_status,
    chosen,
    counts,
    decide,
    decisions_of,
    outdated,
    refusals,
)
from resources import Resources, resources_for

_HOSPITAL = click.option(
    "--hospital", "-H", "hospitals", multiple=True, metavar="H", help="A hospital's id; all without it."
)
_STAGE = click.option("--stage", "stages", multiple=True, metavar="STAGE", help="A stage, like deidentified_reports.")
_REASON = click.option("--reason", "reasons", multiple=True, metavar="CODE", help="A reason code (docs/quarantine.md).")
_RELEASE = click.option("--release", "releases", multiple=True, metavar="NAME", help="Refusals of this release.")
_NAMES = click.argument("pseudonyms", nargs=-1, metavar="[PSEUDONYM]...")


@dataclass(frozen=True)
class _Lists:
    """The work lists of the hospitals that were named, or of all."""

    registry: Registry
    resources: Resources
    hospitals: tuple[Hospital, ...]

    @classmethod
    def open(cls, names: tuple[str, ...]) -> _Lists:
        registry = load_registry(registry_path(), home=home_path())
        chosen_ids = names or tuple(registry.ids)
        return cls(registry, resources_for(), tuple(registry.get(name) for name in chosen_ids))

    def logs(self) -> Iterator[tuple[Hospital, Decisions]]:
        for hospital in self.hospitals:
            yield hospital, decisions_of(self.resources, hospital)

    def refused(self) -> list[Refusal]:
        return [one for hospital, log in self.logs() for one in refusals(self.resources, hospital.id, log)]

    def everything(self) -> list[Refusal]:
        """What is refused, and what passed because somebody accepted the risk."""
        passed = (one for hospital, log in self.logs() for one in accepted_and_passed(self.resources, hospital.id, log))
        return [*self.refused(), *passed]


@click.group()
def quarantine() -> None:
    """What was refused and why; try again, accept a false alarm, or give up on it.

    The objects stay in the hospital's bucket. Items are named by pseudonym; PSEUDONYM:N is record N of a report file. A
    decision is logged, and the next run does what it says.
    """


@quarantine.command("list")
@click.argument("hospitals", nargs=-1, metavar="[HOSPITAL]...")
@_STAGE
@_REASON
@_RELEASE
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(["open", "accepted", "dropped"]), help="How it stands."
)
@click.option("--json", "as_json", is_flag=True, help="Counts and rows as JSON.")
def list_(
    hospitals: tuple[str, ...],
    stages: tuple[str, ...],
    reasons: tuple[str, ...],
    releases: tuple[str, ...],
    statuses: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the counts, then each item by its pseudonym; of all hospitals, or of those named."""
    wanted = Wanted(stages=stages, reasons=reasons, releases=releases, statuses=statuses)
    found = [one for one in _Lists.open(hospitals).everything() if wanted.fits(one)]
    if as_json:
        counted = [
            dict(zip(("hospital", "stage", "reason", "status", "count"), (*key, count), strict=True))
            for key, count in sorted(counts(found).items())
        ]
        click.echo(json.dumps({"counts": counted, "items": [one.as_dict() for one in found]}, indent=1))
        return
    if not found:
        click.echo("Nothing in the quarantine is like that." if wanted != Wanted() else "The quarantine is empty.")
        return
    _print_counts(counts(found))
    _print_items(found)
    statuses_found = ", ".join(f"{count:,} {status}" for status, count in by_status(found).items())
    click.echo(f"{_items(found)}: {statuses_found}. `gradient quarantine show PSEUDONYM` tells what to do about one.")


@quarantine.command()
@click.argument("pseudonym")
@_HOSPITAL
@click.option(
    "--show-key",
    is_flag=True,
    help="Print the object's key in the hospital's bucket too, and log who asked. It may hold a patient's name.",
)
@click.option("--name", help="With --show-key: who asks for it; the user of this terminal without it.")
@click.option("--why", help="With --show-key: why; kept in the log. Never a patient's name.")
def show(pseudonym: str, hospitals: tuple[str, ...], show_key: bool, name: str | None, why: str | None) -> None:
    """Everything known of an item without an identifier: where, why, what to do, and what was decided.

    Its object's key is printed with --show-key --why TEXT alone, and each time is logged with the ways back.
    """
    if show_key != (why is not None) or (name is not None and not show_key):
        raise click.UsageError("--show-key needs a --why; --why and --name go with --show-key alone.")
    by, why = asker(name) if show_key else "", why or ""
    if show_key:
        check_words(by, why)
    lists = _Lists.open(hospitals)
    found = chosen(lists.everything(), Wanted(names=(pseudonym,)))
    for one in found:
        _print_item(one)
        if show_key:
            outcome: Outcome = "found" if one.object_key else "unknown"
            record(lists.resources.way_back_log, Use("show-key", one.hospital_id, one.name, outcome, by, why))
            where = one.object_key or "not kept: it is no longer in the quarantine"
            click.echo(f"  object key: {where}  (identified: it may name the patient)")
    _print_history(lists, found)


@quarantine.command()
@_NAMES
@_HOSPITAL
@_STAGE
@_REASON
@_RELEASE
@click.option("--name", help="Who asks for it; the user of this terminal without it.")
@click.option("--why", default="", help="Why, for the log. Never a patient's name.")
def retry(
    pseudonyms: tuple[str, ...],
    hospitals: tuple[str, ...],
    stages: tuple[str, ...],
    reasons: tuple[str, ...],
    releases: tuple[str, ...],
    name: str | None,
    why: str,
) -> None:
    """Let the next run do items again: those named, or all of a stage or reason.

    Without any, those that another engine or profile than today's has refused. Takes an earlier accept-risk or drop back.
    """
    lists = _Lists.open(hospitals)
    wanted = Wanted(pseudonyms, stages, reasons, releases)
    if wanted == Wanted():
        refused = lists.refused()
        today = {hospital.id: Today.of(lists.resources, hospital) for hospital in lists.hospitals}
        found = outdated(refused, today)
        if not found:
            click.echo(
                f"Nothing to retry: today's engines and profiles made all {len(refused):,} refusals. Name pseudonyms, --stage "
                "or --reason to do some again all the same."
            )
            return
    else:
        found = chosen(lists.everything() if pseudonyms else lists.refused(), wanted)
    decide(lists.resources, lists.registry, "retry", found, name or getpass.getuser(), why)
    _print_done(found, "will be done again", releases_too=True)


@quarantine.command("accept-risk")
@click.argument("pseudonym")
@_HOSPITAL
@_STAGE
@_RELEASE
@click.option("--reason-code", required=True, metavar="CODE", help="The code it was refused with, as `show` says it.")
@click.option("--name", required=True, help="Who takes the responsibility.")
@click.option("--why", required=True, help="Why it is a false alarm. Never a patient's name.")
def accept_risk(
    pseudonym: str,
    hospitals: tuple[str, ...],
    stages: tuple[str, ...],
    releases: tuple[str, ...],
    reason_code: str,
    name: str,
    why: str,
) -> None:
    """Say that what a search found in an item is a false alarm: the item passes that finding in the next run.

    Holds for this finding in this object under this engine and profile. Another one is a new decision.
    """
    lists = _Lists.open(hospitals)
    item = acceptable(chosen(lists.refused(), Wanted((pseudonym,), stages, (), releases)), reason_code)
    decide(lists.resources, lists.registry, "accept", [item], name, why)
    _print_done([item], "will pass this finding", releases_too=True)


@quarantine.command()
@_NAMES
@_HOSPITAL
@_STAGE
@_REASON
@_RELEASE
@click.option("--name", help="Who decides; the user of this terminal without it.")
@click.option("--why", required=True, help="Why it won't be mended. Never a patient's name.")
def drop(
    pseudonyms: tuple[str, ...],
    hospitals: tuple[str, ...],
    stages: tuple[str, ...],
    reasons: tuple[str, ...],
    releases: tuple[str, ...],
    name: str | None,
    why: str,
) -> None:
    """Take items off the open list that won't be mended. They stay quarantined, and are counted as such."""
    wanted = Wanted(pseudonyms, stages, reasons, releases)
    if wanted == Wanted():
        raise QuarantineError(
            "Name pseudonyms, --stage or --reason: the whole list is not dropped. Nothing was changed."
        )
    lists = _Lists.open(hospitals)
    found = chosen(lists.refused(), wanted)
    decide(lists.resources, lists.registry, "drop", found, name or getpass.getuser(), why)
    _print_done(found, "dropped; they stay quarantined", releases_too=False)


def _items(found: list[Refusal]) -> str:
    return f"{len(found):,} {'item' if len(found) == 1 else 'items'}"


def _print_counts(found: Counter[tuple[str, str, str, str]]) -> None:
    table = Table(title="Quarantine", title_justify="left")
    for heading in ("hospital", "stage", "reason", "status"):
        table.add_column(heading, no_wrap=True)
    table.add_column("count", justify="right")
    for key, count in sorted(found.items()):
        table.add_row(*key, f"{count:,}")
    Console().print(table)


def _print_items(found: list[Refusal]) -> None:
    # Plain lines: a pseudonym or code that a narrow terminal cuts can't be copied.
    for one in found:
        release = f"  release {one.release}" if one.release else ""
        click.echo(f"{one.name}  {one.stage}  {one.reason}  {one.status}  {one.engine_version}{release}")


def _print_item(one: Refusal) -> None:
    meaning = EXPLANATIONS[Reason(one.reason)]
    lines = (
        ("hospital", one.hospital_id),
        ("release", one.release),
        ("stage", one.stage),
        ("reason", one.reason),
        ("meaning", meaning.meaning),
        ("what to do", meaning.remedy),
        ("may be accepted", "yes, if it is a false alarm" if one.may_be_accepted else "no"),
        ("detail", one.detail),
        ("engine version", one.engine_version),
        ("status", one.status),
    )
    click.echo(one.name)
    for label, value in lines:
        if value:
            click.echo(f"  {label}: {value}")


def _print_history(lists: _Lists, found: list[Refusal]) -> None:
    about = {one.hospital_id: one.object_pseudonym for one in found}
    lines = [
        f"  {decision.decided_at[:19]}Z  {decision.action} by {decision.decided_by}: {item.stage}, {item.reason}"
        + (f". {decision.why}" if decision.why else "")
        for hospital, log in lists.logs()
        if hospital.id in about
        for decision, item in log.of(about[hospital.id])
    ]
    click.echo("decided so far:" if lines else "Nothing was decided about it yet.")
    for line in lines:
        click.echo(line)


def _print_done(found: list[Refusal], what: str, *, releases_too: bool) -> None:
    by_reason = Counter(one.reason for one in found)
    told = ", ".join(f"{count:,} × {reason}" for reason, count in sorted(by_reason.items()))
    click.echo(f"{_items(found)} ({told}) {what}.")
    if not releases_too:
        return
    for hospital_id in sorted({one.hospital_id for one in found if not one.release}):
        click.echo(f"`gradient run --hospital {hospital_id}` does it.")
    for release in sorted({one.release for one in found if one.release}):
        click.echo(f"`gradient release {release}` does it.")
