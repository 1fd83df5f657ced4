"""What holds for every test, and what several folders share: no fake that switches an engine off is in force in the processes
that run them.

Importing one module of `tests/fakes/counted` for a constant had replaced the text finder in the whole run: 29 tests failed,
and none did when their folder was run by itself.
"""

import sys

import pytest


def pytest_collection_finish(session):
    in_force = [name for name in sys.modules if name.startswith("tests.fakes.") and name.endswith(".sitecustomize")]
    if in_force:
        raise pytest.UsageError(f"{', '.join(in_force)} was imported by a test: its fakes are for other processes only")


@pytest.fixture(scope="session")
def commands():
    """What runs commands in small homes without importing everything each time."""
    from tests.graph.forked import serving_commands

    with serving_commands() as commands:
        yield commands
