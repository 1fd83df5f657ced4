"""The example in the docstring of `gradient_assets.deid` runs, and every name of its face is there."""

import os
import subprocess
import sys
import textwrap

import pytest

from gradient_assets import deid
from tests.unit.folder.conftest import make_instance


def example():
    lines = deid.__doc__.splitlines()
    return textwrap.dedent("\n".join(line for line in lines if line.startswith("    ") or not line.strip()))


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_instance(tmp_path / "image.dcm")
    names = {}
    exec(compile(example(), "example", "exec"), names)
    assert b"Quillfeather" not in (tmp_path / "cleaned.dcm").read_bytes()
    assert names["report"] == "[NAME] was seen on [DATE]."


@pytest.mark.parametrize("name", deid.__all__)
def test_each_name_is_there(name):
    assert getattr(deid, name) is not None
    assert name in dir(deid)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = deid.no_such_name


def test_the_package_itself_loads_no_engine():
    program = (
        "import sys, gradient_assets.deid; print(any(name in sys.modules for name in ('pydicom', 'cv2', 'numpy')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.strip() == "False"
