"""A small hospital, made once; each test gets a copy that it may change."""

import shutil

import pytest

from tests.fakes.sittings import sitting
from tests.fakes.small_home import SmallHome


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return SmallHome.build(tmp_path_factory.mktemp("small") / "home")


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "home", copy_function=shutil.copy2)
    return SmallHome(tmp_path / "home")


@pytest.fixture
def session(home):
    with sitting(home) as opened:
        yield opened
