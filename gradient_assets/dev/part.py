"""What every part of the local stand has in common: recipes, one or more servers, what to export.

Belongs here: the interface.  The parts themselves are `stores`, `bigquery`, `runners` and `postgres`.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from gradient_assets.dev.recipes import Recipe, Say
from gradient_assets.dev.server import TEMPORARY, Server


class Part(ABC):
    """One real server or engine, made of recipes and kept in a folder: its data, its settings, its logs.

    `with Part(folder) as part:` fetches it, starts it and stops it.  Raises `PartUnavailable` when it can't be had,
    `ServerFailed` when it does not come up.
    """

    name: ClassVar[str]
    recipes: ClassVar[Sequence[Recipe]] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._running = ExitStack()

    @property
    def version(self) -> str:
        """What runs, for a summary."""
        return ", ".join(recipe.title for recipe in self.recipes)

    def fetch(self, say: Say = lambda line: None) -> None:
        """Make what is not in the cache yet.  Raises `PartUnavailable`."""
        for recipe in self.recipes:
            recipe.have(say)

    def start(self) -> Self:
        """Fetch and start; ready when it returns."""
        self.fetch()
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._start()
            undo.pop_all()
        return self

    def stop(self) -> None:
        """End all that was started, last first, and delete its temporary files."""
        self._running.close()
        shutil.rmtree(self.folder / TEMPORARY, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def exports(self) -> dict[str, str]:
        """Environment variables by which the platform, or a client library, finds it."""
        return {}

    def log(self, name: str) -> Path:
        """Where a server's output goes."""
        return self.folder / f"{name}.log"

    def serve(self, server: Server) -> None:
        """Start a server of this part; it is stopped with the part."""
        self._running.callback(server.stop)
        server.start()

    @abstractmethod
    def _start(self) -> None:
        """Start what is needed, with `serve`."""
