"""A small home whose tables and thumbnails were written as the assets write them; each test gets its own copy."""

import hashlib
import shutil

import pytest
from click.testing import CliRunner

from gradient_assets.cli.verify import verify
from tests.fakes.small_home import SmallHome


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    return SmallHome.build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def home(built, tmp_path):
    shutil.copytree(built.path, tmp_path / "home")
    return SmallHome(tmp_path / "home")


@pytest.fixture
def verified(home, monkeypatch):
    """Runs `gradient verify` in the home; gives exit code and what was printed."""
    monkeypatch.setenv("GRADIENT_HOME", str(home.path))
    monkeypatch.delenv("GRADIENT_HOSPITALS", raising=False)

    def run(*arguments):
        done = CliRunner().invoke(verify, arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return run


def tree(path, *, without=()):
    """Relative path → digest of every file."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part in without for part in file.relative_to(path).parts)
    }
