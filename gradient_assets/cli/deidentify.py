"""`gradient deidentify IN OUT` and `gradient keygen K`: one folder, no graph.

Belongs here: arguments, the progress bar, the summary, exit codes.  The work is `gradient_assets.folder`'s.  Nothing that
is printed names a patient: counts and the places that were asked for, never an input's path; those stand in FILE.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_assets.deid.pixels import TextFinder
    from gradient_assets.folder import FolderRequest, ReportsRequest, Summary
    from gradient_assets.folder.job import OnDone

DONE, INTERNAL_ERROR, BAD_INPUT, QUARANTINED = 0, 1, 2, 3

_FINDER_SETTINGS = ("GRADIENT_EASYOCR_MODELS", "GRADIENT_EASYOCR_LANGUAGES", "GRADIENT_TESSERACT_LANGUAGES")

_EPILOG = """
\b
Exit codes:
  0  everything was delivered
  1  internal error, told by its type and place
  2  wrong usage or input that can't be used, told in one line
  3  done, but something was quarantined: FILE says what and why
\b
FILE has one line for each input, sorted by path:
  input_path, status (ok, quarantined), reason, detail, output_path, and old and
  new SOP, Series and Study Instance UID and patient id. It is identified data:
  mode 0600, outside OUT. Report rows that were refused stand in it as `CSV#row N`.
\b
IN is walked recursively; files of any name are looked at, hidden ones too. Files
named by other options are no inputs. Links that lead out of IN are not followed.
OUT must be new, empty, or the result of an earlier run, which is replaced.
The same input and key give the same bytes.
"""


class BadInputError(click.ClickException):
    """Wrong usage, or input that can't be used: one line on stderr."""

    exit_code = BAD_INPUT


class InternalError(click.ClickException):
    """An error nobody foresaw: its type and place in one line on stderr."""

    exit_code = INTERNAL_ERROR


class _OneLineCommand(click.Command):
    """A command whose usage errors take one line too."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            message = " ".join(error.format_message().split())
            raise BadInputError(f"{message} See `gradient {info_name} --help`.") from None


_PATH = click.Path(path_type=Path)


@click.command(cls=_OneLineCommand, epilog=_EPILOG)
@click.argument("source", metavar="IN", type=_PATH)
@click.argument("out", metavar="OUT", type=_PATH)
@click.option(
    "--key-file", required=True, metavar="K", type=_PATH, help="The secret key; make one with `gradient keygen K`."
)
@click.option("--crosswalk", required=True, metavar="FILE", type=_PATH, help="Where to say what became of each input.")
@click.option(
    "--profile",
    metavar="NAME|FILE",
    default="safe_harbor",
    show_default=True,
    help="safe_harbor keeps years only; longitudinal shifts all dates of a patient by one number of days; a file with options "
    "of your own (docs/profiles.md).",
)
@click.option(
    "--text-finder",
    type=click.Choice(["rapid", "easyocr", "tesseract"]),
    default="rapid",
    show_default=True,
    envvar="GRADIENT_TEXT_FINDER",
    help="What finds text in pictures. Weight files and languages: GRADIENT_EASYOCR_MODELS and others (docs/operations.md).",
)
@click.option(
    "--second-finder",
    type=click.Choice(["rapid-v4", "easyocr", "tesseract", "none"]),
    default="none",
    show_default=True,
    envvar="GRADIENT_SECOND_FINDER",
    help="What looks at the redacted pictures once more.",
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Worker processes.  [default: one for each processor]")
@click.option("--reports", metavar="CSV", type=_PATH, help="Reports to clean as well, into OUT/reports.csv.")
@click.option(
    "--columns",
    "columns",
    multiple=True,
    metavar="ROLE=COLUMN,...",
    help="What the columns of the reports hold. Roles: report_id and text (needed), accession_number, study_instance_uid, "
    "patient_id, patient_name, patient_birth_date, study_date, referring_physician_name, reading_physician_name, "
    "institution_name, patient_address, patient_phone.",
)
@click.option(
    "--identifiers",
    metavar="CSV",
    type=_PATH,
    help="More columns about the reports, named by their roles (mrn counts as patient_id), joined by report_id.",
)
@click.option(
    "--replace",
    type=click.Choice(["tags", "surrogates"]),
    default="tags",
    show_default=True,
    help="What stands in a report where an identifier stood.",
)
@click.option("--keep-report-id", is_flag=True, help="Keep report ids as they are instead of pseudonyms.")
@click.option(
    "--delimiter", default="auto", show_default=True, metavar="C", help="Of both CSV files: a character or `tab`."
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of both CSV files; `auto` guesses.")
@click.option(
    "--date-order", type=click.Choice(["mdy", "dmy", "ymd"]), default="mdy", show_default=True, help="In both."
)
@click.option(
    "--language",
    type=click.Choice(["en", "de", "es", "nl"]),
    default="en",
    show_default=True,
    help="The language of the reports.",
)
@click.option(
    "--undeclared-language",
    type=click.Choice(["pass", "quarantine"]),
    default="pass",
    show_default=True,
    help="What becomes of a report that looks like another language.",
)
def deidentify(**given: Any) -> None:
    """Clean a folder of DICOM files, and a CSV of reports, without any server.

    Cleaned objects go to OUT/dicom, cleaned reports to OUT/reports.csv. What can't be cleaned, or can't be proved clean,
    is not in OUT.
    """
    with told_in_one_line(), _progress() as on_done:
        from gradient_assets.folder import FolderJob

        request = _request(given)
        finder, second = _finders(given)
        summary = FolderJob(request, on_done=on_done, finder=finder, second=second).run()
    _show(request, summary)
    if summary.quarantined:
        sys.exit(QUARANTINED)  # click's own Exit is a return value outside its standalone mode


@click.command(
    cls=_OneLineCommand, epilog="\b\nExit codes: 0 made; 2 something is there already, or K can't be written."
)
@click.argument("key_file", metavar="K", type=_PATH)
def keygen(key_file: Path) -> None:
    """Make a new secret key in the file K (mode 0600). Whoever has it can tell who a pseudonym is: keep it apart."""
    with told_in_one_line():
        from gradient_assets.deid.identity import create_key_file

        try:
            key = create_key_file(key_file)
        except OSError as error:
            raise BadInputError(f"K can't be written ({type(error).__name__}).") from None
        click.echo(
            f"Made a key with fingerprint {key.fingerprint}. Without it, pseudonyms can't be made again: keep a copy."
        )


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turns every error into one line and an exit code; an unforeseen one shows its type and place, never its text."""
    from gradient_assets.deid.headers import ProfileError
    from gradient_assets.deid.identity import KeyFileError
    from gradient_assets.deid.pixels import MissingWeightsError
    from gradient_assets.folder import FolderError
    from gradient_assets.pipelines.pool import PoolError
    from gradient_assets.pipelines.steps import foreseen
    from resources import SettingsError

    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except (FolderError, KeyFileError, ProfileError, MissingWeightsError, PoolError, SettingsError) as error:
        raise BadInputError(str(error)) from None
    except Exception as error:
        number = f" ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else ""
        raise InternalError(f"{foreseen(error)}{number}. Nothing was delivered.") from None


def _request(given: dict[str, Any]) -> FolderRequest:
    from gradient_assets.folder import FolderRequest

    return FolderRequest(
        source=given["source"],
        out=given["out"],
        key_file=given["key_file"],
        crosswalk=given["crosswalk"],
        profile=given["profile"],
        jobs=given["jobs"] or os.cpu_count() or 1,
        reports=_reports_request(given),
    )


def _finders(given: dict[str, Any]) -> tuple[TextFinder, TextFinder | None]:
    from resources import Settings, resources_for

    chosen = {"GRADIENT_TEXT_FINDER": given["text_finder"], "GRADIENT_SECOND_FINDER": given["second_finder"]}
    told = {name: os.environ.get(name, "") for name in _FINDER_SETTINGS}
    opened = resources_for(Settings.from_environment({**told, **chosen}))
    return opened.text_finder, opened.second_finder


def _reports_request(given: dict[str, Any]) -> ReportsRequest | None:
    from gradient_assets.folder import FolderError, ReportsRequest
    from gradient_assets.folder.request import parse_columns

    if given["reports"] is None:
        for name in ("columns", "identifiers"):
            if given[name]:
                raise FolderError(f"--{name} is given without --reports")
        return None
    delimiter = {"tab": "\t", "\\t": "\t"}.get(given["delimiter"], given["delimiter"])
    return ReportsRequest(
        path=given["reports"],
        columns=parse_columns(given["columns"]),
        identifiers=given["identifiers"],
        replace=given["replace"],
        keep_report_id=given["keep_report_id"],
        delimiter=delimiter,
        encoding=given["encoding"],
        date_order=given["date_order"],
        language=given["language"],
        undeclared_language=given["undeclared_language"],
    )


@contextmanager
def _progress() -> Iterator[OnDone]:
    """A bar on stderr where that is a terminal; else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def on_done(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.advance(tasks[what], done)

        yield on_done


def _show(request: FolderRequest, summary: Summary, echo: Callable[[str], None] = click.echo) -> None:
    """The summary on stdout."""
    from gradient_assets.deid.reasons import EXPLANATIONS
    from gradient_assets.folder.delivery import DICOM, REPORTS

    echo(f"objects in            {summary.files:>8,}")
    echo(f"  delivered           {summary.delivered:>8,}")
    echo(f"  quarantined         {summary.files - summary.delivered:>8,}")
    if request.reports is not None:
        echo(f"reports in            {summary.reports:>8,}")
        echo(f"  delivered           {summary.reports_delivered:>8,}")
        echo(f"  quarantined         {summary.reports - summary.reports_delivered:>8,}")
    echo(f"header elements       {summary.elements_removed:>8,} removed, {summary.elements_changed:,} changed")
    echo(f"identifiers removed   {summary.identifiers_removed:>8,} from texts")
    echo(f"boxes blacked out     {summary.boxes:>8,} in {summary.objects_with_boxes:,} objects")
    if summary.quarantined:
        echo("quarantined, by reason:")
        for reason, count in sorted(summary.quarantined.items(), key=lambda found: (-found[1], found[0])):
            echo(f"  {count:>6,} × {reason.value}: {EXPLANATIONS[reason].meaning} {EXPLANATIONS[reason].remedy}")
    echo(f"cleaned objects: {request.out / DICOM}" if summary.delivered else "cleaned objects: none")
    if request.reports is not None:
        echo(f"cleaned reports: {request.out / REPORTS}")
    echo(f"what became of each input (identified data): {request.crosswalk}")
