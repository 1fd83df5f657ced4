"""Processes of the local stand: up when healthy, told when not, gone with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradient_assets.dev.server import GUARD, Server, ServerFailed, answers, free_port, listens

ROOT = Path(__file__).parents[3]
WEB = """
from http.server import HTTPServer, SimpleHTTPRequestHandler
HTTPServer(("127.0.0.1", {port}), SimpleHTTPRequestHandler).serve_forever()
"""


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone_within(pid, seconds):
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


@pytest.fixture
def web(tmp_path):
    port = free_port()
    return port, Server(
        [sys.executable, "-c", WEB.format(port=port)],
        log=tmp_path / "web.log",
        healthy=lambda: listens(port),
        deadline_s=60,
    )


def test_a_server_is_up_when_start_returns_and_gone_when_stop_does(web):
    port, server = web
    assert not listens(port)
    server.start()
    assert listens(port)
    assert answers(f"http://127.0.0.1:{port}/nothing-there"), "404 is an answer too"
    assert server.running
    server.stop()
    assert not listens(port)
    assert not server.running
    server.stop()


def test_what_a_server_writes_where_it_stands_is_no_file_of_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = tmp_path / "logs" / "tmp" / "pipeline_options.json"
    program = "import time; open('pipeline_options.json', 'w').close(); time.sleep(600)"
    written.parent.parent.mkdir()
    server = Server([sys.executable, "-c", program], log=Path("logs/log"), healthy=written.exists, deadline_s=60)
    server.start()
    server.stop()
    assert not (tmp_path / "pipeline_options.json").exists()


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path):
    server = Server(
        [sys.executable, "-c", "import sys; print('no such setting'); sys.exit(3)"],
        log=tmp_path / "log",
        healthy=lambda: False,
        deadline_s=60,
    )
    with pytest.raises(ServerFailed, match=r"(?s)ended while it started.*no such setting"):
        server.start()


def test_a_server_that_is_never_healthy_is_ended_at_the_deadline(tmp_path):
    program = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    healthy = (tmp_path / "pid").exists
    server = Server(
        [sys.executable, "-c", program], log=tmp_path / "log", healthy=lambda: healthy() and False, deadline_s=5
    )
    with pytest.raises(ServerFailed, match="not healthy within 5 s"):
        server.start()
    assert not server.running


FAMILY = """
import os, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf])
open({path!r} + ".new", "w").write(f"{{os.getpid()}} {{child.pid}}")
os.rename({path!r} + ".new", {path!r})
time.sleep(600)
"""

PARENT = """
import sys, time
from pathlib import Path
from gradient_assets.dev.server import Server
family = Path({path!r})
Server([sys.executable, "-c", {family!r}], log=Path({log!r}), healthy=family.exists, deadline_s=60).start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_server_and_its_children_go_with_a_parent_that_is_killed(tmp_path, how):
    path = str(tmp_path / "family")
    source = PARENT.format(path=path, family=FAMILY.format(path=path), log=str(tmp_path / "log"))
    parent = subprocess.Popen(
        [sys.executable, "-c", source],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        # Where a shell runs the tests in the background Ctrl-C is ignored, then Dagster ignores SIGTERM too, and children do as
        # they inherit: the parent lived on for 30 s, where graph tests had run before in the same process.
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    )
    assert parent.stdout.readline() == b"up\n"
    pids = [int(word) for word in Path(path).read_text().split()]
    assert all(alive(pid) for pid in pids)
    parent.send_signal(how)
    parent.wait(30)
    assert all(gone_within(pid, 60) for pid in pids), "the child that ignores SIGTERM too"


def test_the_guard_tells_the_programs_own_exit_code():
    ended = subprocess.Popen(
        [sys.executable, "-I", GUARD, sys.executable, "-c", "raise SystemExit(7)"], stdin=subprocess.PIPE
    )
    assert ended.wait(60) == 7
    ended.stdin.close()


def test_a_free_port_is_free():
    assert not listens(free_port())
    assert os.name == "posix"
