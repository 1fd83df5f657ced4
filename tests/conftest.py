"""What holds for every test: no fake that switches an engine off is in force in the processes that run them.

Importing one module of `tests/fakes/counted` for a constant had replaced the text finder in the whole run: 29 tests failed,
and none did when their folder was run by itself.
"""

import sys

import pytest


def pytest_collection_finish(session):
    in_force = [name for name in sys.modules if name.startswith("tests.fakes.") and name.endswith(".sitecustomize")]
    if in_force:
        raise pytest.UsageError(f"{', '.join(in_force)} was imported by a test: its fakes are for other processes only")
