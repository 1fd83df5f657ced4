"""`gradient review`: look at redacted pictures in a local page, and decide about them.

Belongs here: arguments, the address on the terminal, Ctrl-C.
"""

from __future__ import annotations

import getpass
from typing import cast, get_args

import click

from gradient_assets.hospitals import home_path, load_registry, registry_path
from gradient_assets.review.decisions import ReviewError, check_reviewer
from gradient_assets.review.listing import Only
from gradient_assets.review.server import ReviewServer
from gradient_assets.review.session import Session
from resources import resources_for


class _Unfit(click.ClickException):
    exit_code = 2


@click.command()
@click.option("--hospital", "-H", required=True, metavar="H", help="The hospital's id.")
@click.option(
    "--only",
    type=click.Choice([name for name in get_args(Only) if name != "all"]),
    help="Instances with boxes, those with a sign of doubt, or a random sample; all without it.",
)
@click.option("--port", default=0, metavar="N", help="Port of the page on this machine; a free one without it.")
@click.option("--reviewer", metavar="NAME", help="Who decides; the user of this terminal without it.")
def review(hospital: str, only: str | None, port: int, reviewer: str | None) -> None:
    """Look at redacted pictures in the browser, and accept them, add boxes or quarantine them.

    Decisions are kept in the identified zone; the next run applies them. The page is served to this machine alone, until
    Ctrl-C.
    """
    registered = load_registry(registry_path(), home=home_path()).get(hospital)
    try:
        name = check_reviewer(reviewer or getpass.getuser())
        session = Session.open(resources_for(), registered, name, cast(Only, only or "all"))
        try:
            server = ReviewServer(session, port)
            session.redactor.start()
            _serve(server, session)
        finally:
            session.close()
    except ReviewError as error:
        raise _Unfit(str(error)) from None


def _serve(server: ReviewServer, session: Session) -> None:
    count = len(session.subjects)
    click.echo(f"{count:,} instances of '{session.hospital_id}'. Whoever has this address can look and decide:")
    click.echo(f"  {server.url}")
    click.echo("Ctrl-C ends it.", err=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo(
                f"\n{session.decisions_made:,} decisions made. `gradient run --hospital {session.hospital_id}` applies them."
            )
