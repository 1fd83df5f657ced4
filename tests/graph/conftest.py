"""One run of the whole graph over the sample hospitals, shared by the tests that look at what it left."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gradient_assets.hospitals import Registry, load_registry
from gradient_assets.samples import build_samples
from resources import Resources, Settings, resources_for

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Home:
    """A GRADIENT_HOME and the commands that are run in it."""

    path: Path

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIENT_", "DAGSTER_"))}
        return {**kept, "GRADIENT_HOME": str(self.path), "COLUMNS": "200", "PYTHONPATH": str(ROOT)}

    def gradient(self, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess:
        """Run the command as a user would; stdout and stderr are text."""
        command = [sys.executable, "-m", "gradient_assets", *arguments]
        done = subprocess.run(command, env=self.environ, cwd=self.path, capture_output=True, text=True)
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done

    @property
    def registry(self) -> Registry:
        return load_registry(self.path / "hospitals.yaml", home=self.path)

    @property
    def resources(self) -> Resources:
        return resources_for(Settings.from_environment({"GRADIENT_HOME": str(self.path)}))


@dataclass(frozen=True)
class Demo(Home):
    """The home after `gradient demo`, and what the command printed."""

    printed: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Demo:
    home = Home(tmp_path_factory.mktemp("demo"))
    done = home.gradient("demo")
    return Demo(home.path, done.stdout + done.stderr)


@pytest.fixture(scope="session")
def samples(tmp_path_factory) -> Path:
    """The sample hospitals with their keys, which nobody has run yet: to be copied."""
    home = Home(tmp_path_factory.mktemp("samples") / "home")
    home.path.mkdir()
    build_samples(home.path)
    for hospital in home.registry:
        home.resources.vault.create(hospital.secret_name)
    return home.path
