"""How a part comes onto this machine: built or fetched once, by its own package manager, at a pinned version.

Belongs here: go, pip, Maven, and the cache folder that their results are kept in (`GRADIENT_PARTS`, by default
`~/.cache/gradient-parts`).  What is made of it is `parts`' business.

A result is made in a folder beside its place and renamed, under a lock: what stands in the cache is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gradient_assets.dev.one_jar import write_one_jar

BUILD_DEADLINE_S = 1800.0
"""Flink's 157 MB of jars took 100 s, a gateway in Go 80 s, on two cores with nothing beside them."""

OUTPUT_LINES = 15

Say = Callable[[str], None]


class PartUnavailable(Exception):  # noqa: N818  the name says what happened
    """A part can't be had on this machine.  The message says what to install, or what its package manager said."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that a recipe needs."""

    program: str
    install: str

    def path(self) -> str:
        """Where it is.  Raises `PartUnavailable`."""
        found = shutil.which(self.program)
        if found is None:
            raise PartUnavailable(f"{self.program} is absent: {self.install}")
        return found


GO = Tool("go", "install Go 1.24 or newer (Debian: apt-get install golang-go, or go.dev)")
JAVA = Tool("java", "install Java 17 (Debian: apt-get install openjdk-17-jre-headless)")
MAVEN = Tool("mvn", "install Maven 3.8 or newer (Debian: apt-get install maven)")


def cache_folder() -> Path:
    """`GRADIENT_PARTS`, else `gradient-parts` in the user's cache folder."""
    given = os.environ.get("GRADIENT_PARTS")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "gradient-parts"


class Recipe(ABC):
    """One thing to fetch.  Its folder's name holds everything that its content depends on."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name and version, for people and as the beginning of the folder's name."""

    @property
    @abstractmethod
    def ingredients(self) -> Sequence[str]:
        """What the result depends on."""

    @property
    def made_with(self) -> Sequence[Tool]:
        """Programs it needs to be made."""
        return ()

    @property
    def run_with(self) -> Sequence[Tool]:
        """Programs it needs to run, also when it lies in the cache."""
        return ()

    @abstractmethod
    def make(self, folder: Path, place: Path) -> None:
        """Fill the folder, which will be renamed to `place`.  Raises `PartUnavailable`."""

    def place(self) -> Path:
        """Where the result lies, or will lie."""
        digest = hashlib.sha256("\n".join(self.ingredients).encode()).hexdigest()[:12]
        return cache_folder() / f"{self.title.replace(' ', '-')}-{digest}"

    @property
    def tools(self) -> Sequence[Tool]:
        """Programs it needs now: what lies in the cache is not made again."""
        return self.run_with if self.place().is_dir() else (*self.run_with, *self.made_with)

    def have(self, say: Say = lambda line: None) -> Path:
        """The result's folder, made now if it is not there.  Raises `PartUnavailable`."""
        for tool in self.tools:
            tool.path()
        place = self.place()
        if place.is_dir():
            return place
        with _locked(place):
            if not place.is_dir():
                say(f"fetching {self.title} …")
                with tempfile.TemporaryDirectory(dir=place.parent, prefix=".making-") as made:
                    folder = Path(made) / "part"
                    folder.mkdir()
                    self.make(folder, place)
                    folder.rename(place)
        return place


@dataclass(frozen=True)
class GoProgram(Recipe):
    """`go install package@version`; the program is `<folder>/<name>`."""

    package: str
    version: str

    @property
    def name(self) -> str:
        return self.package.rpartition("/")[2]

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def ingredients(self) -> Sequence[str]:
        return (self.package, self.version)

    @property
    def made_with(self) -> Sequence[Tool]:
        return (GO,)

    def make(self, folder: Path, place: Path) -> None:
        run([GO.path(), "install", f"{self.package}@{self.version}"], {"GOBIN": str(folder), "GOFLAGS": "-p=2"})


@dataclass(frozen=True)
class PythonPrograms(Recipe):
    """Packages in a virtual environment of their own; `then` is Python code that is run in it once."""

    name: str
    requirements: tuple[str, ...]
    then: str = ""

    @property
    def title(self) -> str:
        return self.requirements[0].replace("==", " ")

    @property
    def ingredients(self) -> Sequence[str]:
        return (*self.requirements, self.then, f"{sys.version_info.major}.{sys.version_info.minor}")

    def make(self, folder: Path, place: Path) -> None:
        # Scripts hold their interpreter's path, so that a renamed environment runs its programs as `python -m` only.
        run([sys.executable, "-m", "venv", str(folder)])
        python = folder / "bin" / "python"
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.requirements])
        if self.then:
            run([str(python), "-c", self.then])


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>parts</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement>
  <dependencies>{dependencies}</dependencies>
</project>
"""


@dataclass(frozen=True)
class Jars(Recipe):
    """A Java library with all it depends on, as one file; `managed` holds other versions of what comes along."""

    name: str
    dependency: str
    managed: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.name} {self.dependency.rpartition(':')[2]}"

    @property
    def ingredients(self) -> Sequence[str]:
        return (self.dependency, *self.managed, "one jar")

    @property
    def made_with(self) -> Sequence[Tool]:
        return (MAVEN,)

    @property
    def run_with(self) -> Sequence[Tool]:
        return (JAVA,)

    def make(self, folder: Path, place: Path) -> None:
        pom = folder.parent / "pom.xml"
        managed = "".join(_dependency(one) for one in self.managed)
        pom.write_text(POM.format(managed=managed, dependencies=_dependency(self.dependency)), encoding="utf-8")
        fetched = folder.parent / "jars"
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
        run([MAVEN.path(), "--quiet", "--batch-mode", "--file", str(pom), *copy])
        write_one_jar(fetched.glob("*.jar"), folder / f"{self.name}.jar")


@dataclass(frozen=True)
class SourceArchive(Recipe):
    """A package's source archive of PyPI, unpacked but not built."""

    name: str
    version: str

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def ingredients(self) -> Sequence[str]:
        return (self.name, self.version)

    @property
    def run_with(self) -> Sequence[Tool]:
        return (JAVA,)

    def make(self, folder: Path, place: Path) -> None:
        wanted = f"{self.name}=={self.version}"
        download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"]
        with tempfile.TemporaryDirectory(dir=folder.parent) as archives:
            run([sys.executable, "-m", "pip", *download, "--no-build-isolation", "--dest", archives, wanted])
            with tarfile.open(next(Path(archives).glob("*.tar.gz"))) as archive:
                archive.extractall(folder, filter="data")


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a package manager to its end.  Raises `PartUnavailable` with the last lines it said."""
    try:
        done = subprocess.run(  # noqa: S603  our own command
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PartUnavailable(f"{Path(command[0]).name} did not end within {BUILD_DEADLINE_S:.0f} s") from None
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-OUTPUT_LINES:])
        raise PartUnavailable(f"{' '.join([Path(command[0]).name, *command[1:3]])} failed:\n{last}")


def _dependency(coordinates: str) -> str:
    group, artifact, version = coordinates.split(":")
    return f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """One process makes a part; the others wait for it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place.parent / f".{place.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
