"""`gradient ui`: Dagster's web server and daemon over this project's definitions.

Belongs here: starting them with the right home.
"""

from __future__ import annotations

import os
import sys

import click

from gradient_assets.hospitals import home_path, load_registry, registry_path
from gradient_assets.instance import prepare_home
from gradient_assets.silence import no_core_files


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port of the web page.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others can't reach the default."
)
def ui(port: int, host: str) -> None:
    """Open the platform in the browser: web server and daemon, until Ctrl-C."""
    load_registry(registry_path(), home=home_path())
    no_core_files()  # the servers that take this process's place inherit it
    os.environ["DAGSTER_HOME"] = str(prepare_home(home_path()))
    os.environ["GRADIENT_HOME"] = str(home_path())
    os.environ["GRADIENT_HOSPITALS"] = str(registry_path())
    click.echo(f"http://{host}:{port} — Ctrl-C ends it.")
    arguments = [
        "-W",
        "ignore",
        "-m",
        "dagster",
        "dev",
        "-m",
        "gradient_assets.definitions",
        "-p",
        str(port),
        "-h",
        host,
    ]
    os.chdir(home_path())  # Dagster warns of the dagster.yaml in the project's own folder
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606  our own interpreter, no shell
