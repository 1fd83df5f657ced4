"""`gradient health`: are the processes of a deployment fit for work?

Belongs here: which are asked, printing, the exit code.  The questions are `gradient_assets.deployment.health`'s.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator

import click

from gradient_assets.hospitals import home_path
from gradient_assets.instance import dagster_folder


@click.command()
@click.option("--code", metavar="HOST:PORT", help="Ask a code location by gRPC's health protocol.")
@click.option("--web", metavar="URL", help="Ask a web server, like http://127.0.0.1:3000.")
@click.option("--daemon", is_flag=True, help="Look for the daemon's heartbeats.")
@click.option("--storage", is_flag=True, help="Read from Dagster's storage.")
def health(code: str | None, web: str | None, daemon: bool, storage: bool) -> None:
    """Ask processes of a deployment whether they work; a line for each.

    Without options, Dagster's storage and the daemon are asked. Exit code 3 when one does not work.
    """
    from gradient_assets.deployment import health as asking

    if not (code or web or daemon or storage):
        daemon = storage = True

    def questions() -> Iterator[tuple[str, Callable[[], asking.Health]]]:
        if storage:
            yield "storage", asking.storage
        if code:
            yield "code location", lambda: asking.code_location(code)
        if web:
            yield "web server", lambda: asking.web_server(web)
        if daemon:
            yield "daemon", asking.daemon

    if daemon or storage:
        os.environ["DAGSTER_HOME"] = str(dagster_folder(home_path()))
    warnings.simplefilter("ignore")
    answers = list(asking.asked(questions()))
    for answer in answers:
        click.echo(f"{answer.what}: {'works' if answer.healthy else 'does not work'} ({answer.found})")
    if not all(answer.healthy for answer in answers):
        sys.exit(3)
