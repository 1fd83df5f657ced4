"""What a killed process leaves in a folder that stands for a bucket is swept, and nothing else is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resources.buckets import local_folder
from resources.buckets.local_folder import LocalFolder, create_file, write_file

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from resources.buckets import local_folder
setattr(local_folder.os, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
getattr(local_folder, sys.argv[1])(Path(sys.argv[3]), b"a patient's name")
"""
STILL_WRITING = """
import sys
from pathlib import Path
from resources.buckets.local_folder import _unfinished
with _unfinished(Path(sys.argv[1])) as (part, file):
    print(part.name, flush=True)
    sys.stdin.read()
"""


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize(
    ("function", "killed_at"),
    [("write_file", "fsync"), ("write_file", "replace"), ("create_file", "fsync"), ("create_file", "link")],
)
def test_what_a_killed_writer_left_goes_with_the_next_write_to_the_folder(tmp_path, function, killed_at):
    arguments = [sys.executable, "-c", KILLED_WHILE_WRITING, function, killed_at, str(tmp_path / "a.json")]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    assert len(parts(tmp_path)) == 1
    assert not list(LocalFolder(tmp_path).listing("", None))
    write_file(tmp_path / "b.json", b"")
    assert os.listdir(tmp_path) == ["b.json"]


def test_what_a_living_process_is_writing_stays(tmp_path):
    arguments = [sys.executable, "-c", STILL_WRITING, str(tmp_path / "a.json")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        held = other.stdout.readline().strip()
        create_file(tmp_path / "b.json", b"")
        assert parts(tmp_path) == [held]
        other.communicate()
    assert os.listdir(tmp_path) == ["b.json"]


@pytest.mark.parametrize(
    "name", [".gradient-lakeside.part", ".gradient-0123456789abcdef.part", "report.part", ".gradient-notes"]
)
def test_other_files_are_not_swept(tmp_path, name):
    (tmp_path / name).write_bytes(b"kept")
    write_file(tmp_path / "b.json", b"")
    assert sorted(os.listdir(tmp_path)) == sorted([name, "b.json"])


RIVAL = """
import sys
from pathlib import Path
from resources.buckets.local_folder import LocalFolder
folder, own = LocalFolder(Path(sys.argv[1])), sys.argv[2]
for number in range(100):
    folder.write(f"a/b/{own}", b"")
    folder.delete(f"a/b/{own}")
    folder.create(f"a/b/{own}", b"")
    folder.move(f"a/b/{own}", f"c/d/{own}")
    folder.delete(f"c/d/{own}")
"""


def test_two_processes_that_empty_a_folder_do_not_take_it_from_each_other(tmp_path):
    command = [sys.executable, "-c", RIVAL, str(tmp_path)]
    rivals = [subprocess.Popen([*command, own], stderr=subprocess.PIPE, text=True) for own in ("one", "two", "three")]
    said = [one.communicate()[1] for one in rivals]
    assert [(one.returncode, text[-300:]) for one, text in zip(rivals, said, strict=True)] == [(0, "")] * 3
    assert list(LocalFolder(tmp_path).listing("", None)) == []


def test_an_object_that_is_gone_can_not_be_moved(tmp_path):
    with pytest.raises(FileNotFoundError):
        LocalFolder(tmp_path).move("a/gone", "b/gone")


def test_a_folder_that_is_always_taken_away_ends_the_write(tmp_path, monkeypatch):
    taken = []

    def take_away(folder):
        taken.append(folder.rmdir())

    monkeypatch.setattr(local_folder, "_sweep", take_away)
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "a" / "b.json", b"")
    assert len(taken) == local_folder.FOLDER_ATTEMPTS
