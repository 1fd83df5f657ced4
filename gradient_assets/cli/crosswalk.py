"""`gradient reidentify` and `gradient crosswalk`: the way back, inside the identified zone, with a reason.

Belongs here: arguments, printing, and the files.  Finding and logging is `gradient_assets.crosswalk`'s business.
"""

from __future__ import annotations

import csv
import getpass
import os
from collections.abc import Iterable
from pathlib import Path

import click

from gradient_assets.cli.run import Platform
from gradient_assets.crosswalk import CrosswalkError, Entry, Question, answer, everything

FILES = {"patient": "patients", "uid": "uids", "accession_number": "accession_numbers"}
"""Kind of an original → its mapping file, as MIDI-B names them."""

_HOSPITAL = click.option("--hospital", "-H", required=True, metavar="H", help="The hospital's id.")
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the log. Name nobody in it.")
_BY = click.option("--by", default=None, metavar="NAME", help="Who asks; by default the user of this process.")


def asker(by: str | None) -> str:
    """The name given, else that of the process's user.  Raises `CrosswalkError` where it has none."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        unnamed = "This process's user has no name: give one with --by."
    raise CrosswalkError(unnamed)


@click.command()
@click.argument("pseudonym")
@_HOSPITAL
@click.option("--recipient", default="", metavar="R", help="The pseudonym is of a copy delivered to R.")
@_REASON
@_BY
def reidentify(pseudonym: str, hospital: str, recipient: str, reason: str, by: str | None) -> None:
    """Print the original of one PSEUDONYM (of a patient, UID, accession number or report), and log who asked and why.

    It works for pseudonyms of every version of the key, also when the object is gone. Exit code 2 for an unknown one.
    """
    platform = Platform.open()
    question = Question(pseudonym, asker(by), reason, recipient)
    for entry in answer(platform.resources, platform.registry.get(hospital), question):
        for line in _shown(entry):
            click.echo(line)


@click.command()
@_HOSPITAL
@_REASON
@_BY
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def crosswalk(hospital: str, reason: str, by: str | None, folder: Path) -> None:
    """Write old and new ids of a hospital to FOLDER: patients.csv, uids.csv, accession_numbers.csv (id_old,id_new).

    The files are identified data: they are made readable for you alone and belong inside the identified zone. Each use is
    logged. For one pseudonym there is `gradient reidentify`.
    """
    platform = Platform.open()
    registered = platform.registry.get(hospital)
    for zone in ("landing", "deidentified", "public", "dagster"):
        if folder.resolve().is_relative_to((platform.home / zone).resolve()):
            raise click.UsageError(
                f"FOLDER lies in {zone}: a crosswalk is identified data. Choose a folder outside of it."
            )
    mappings: dict[str, dict[str, str]] = {name: {} for name in FILES.values()}
    for entry in everything(platform.resources, registered, by=asker(by), reason=reason):
        name = FILES.get(entry.original.kind)
        if name and entry.original.text:
            mappings[name][entry.original.text] = entry.pseudonym
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, mapping in mappings.items():
            _write(folder / f"{name}.csv", mapping.items())
            click.echo(f"{folder / name}.csv: {len(mapping)} rows")
    except OSError as error:
        raise click.UsageError(f"{folder} can't be written ({type(error).__name__}).") from None


def _shown(entry: Entry) -> Iterable[str]:
    original = entry.original
    kind = {"patient": "patient id", "uid": "UID", "accession_number": "accession number", "report": "report id"}
    text = original.text or f"none was sent; patient of {original.without_id}"
    yield f"{kind[original.kind]}: {text}"
    if entry.shift_days is not None:
        yield f"dates moved by: {entry.shift_days} days"
    else:
        yield f"patient's pseudonym in this hospital's tables: {entry.patient_pseudonym}"
    yield f"key version: {entry.key_version}"
    if entry.current_pseudonym:
        yield f"pseudonym under the key in use: {entry.current_pseudonym}"


def _write(path: Path, mapping: Iterable[tuple[str, str]]) -> None:
    """Write beside `path` and rename, so that an older file with laxer rights does not lend them to the new one."""
    beside = path.with_name(f".{path.name}.part")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id_old", "id_new"))
        writer.writerows(sorted(mapping))
    beside.replace(path)
