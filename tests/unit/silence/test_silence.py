"""A silent process: what Python, libraries and threads say by themselves names a place and no text."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAME = "Zzyzxson^Quilla"

SAYINGS = {
    "a warning": f"import warnings; warnings.warn('{NAME}')",
    "a log line without a handler": f"import logging; logging.getLogger('foreign').error('{NAME}')",
    "a log line whose arguments do not fit": (
        f"import logging; logging.basicConfig(); logging.getLogger('foreign').error('%d', '{NAME}')"
    ),
    "a log line with a handler of a library": (
        f"import logging; logging.basicConfig(); logging.getLogger('foreign').warning('%s', '{NAME}')"
    ),
    "an error in a log line of our own": (
        "import logging; logging.basicConfig()\n"
        f"try: raise ValueError('{NAME}')\nexcept ValueError: logging.getLogger('dagster.daemon').exception('a:b')"
    ),
    "an uncaught error": f"raise ValueError('{NAME}')",
    "an uncaught error of a thread": (
        f"import threading\ndef fail(): raise ValueError('{NAME}')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()"
    ),
    "an error while an object is deleted": f"class Bad:\n def __del__(self): raise ValueError('{NAME}')\nbad = Bad(); del bad",
}


def said(code, *, silent=True, home=None):
    given = home and f"Path({str(home)!r})"
    begin = f"from pathlib import Path\nfrom gradient_assets.silence import fall_silent\nfall_silent({given})\n"
    done = subprocess.run(
        [sys.executable, "-c", (begin if silent else "") + code], capture_output=True, text=True, cwd=ROOT
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("saying", SAYINGS)
def test_what_is_said_names_a_place_and_no_text(saying):
    assert NAME in said(SAYINGS[saying], silent=False)
    heard = said(SAYINGS[saying])
    assert NAME not in heard
    assert ":" in heard or saying == "a log line whose arguments do not fit"


def test_a_dead_process_leaves_no_core_file():
    assert "(0, 0)" in said("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")


def test_temporary_files_lie_in_the_identified_zone_closed_to_others_and_go_with_the_process(tmp_path):
    code = (
        "import os, tempfile, subprocess, sys\n"
        "file = tempfile.NamedTemporaryFile(delete=False)\n"
        "print(file.name, oct(os.stat(os.path.dirname(file.name)).st_mode & 0o777))\n"
        "print(subprocess.run([sys.executable, '-c', 'import tempfile; print(tempfile.gettempdir())'],"
        " capture_output=True, text=True).stdout)"
    )
    first, second = (line for line in said(code, home=tmp_path).splitlines() if line)
    name, mode = first.split()
    assert Path(name).is_relative_to(tmp_path / "identified/tmp")
    assert mode == "0o700"
    assert Path(second) == Path(name).parent
    assert not Path(name).parent.exists()


def test_temporary_files_of_a_killed_process_are_swept_by_the_next(tmp_path):
    killed = "import os, tempfile; open(tempfile.mkstemp()[1], 'w').write('x'); os.kill(os.getpid(), 9)"
    said(killed, home=tmp_path)
    assert [path for path in (tmp_path / "identified/tmp").rglob("tmp*") if path.is_file()]
    said("", home=tmp_path)
    assert [path for path in (tmp_path / "identified/tmp").rglob("tmp*") if path.is_file()] == []


def test_falling_silent_twice_keeps_one_folder(tmp_path):
    code = (
        f"fall_silent(Path({str(tmp_path)!r}))\nimport os\nprint(len(os.listdir({str(tmp_path / 'identified/tmp')!r})))"
    )
    assert said(code, home=tmp_path).strip() == "1"


def test_a_record_that_travels_between_processes_keeps_its_words():
    code = (
        "import logging\nprint(logging.makeLogRecord({'name': 'dagster', 'msg': 'said', 'levelno': 20}).getMessage())"
    )
    assert said(code).strip() == "said"
