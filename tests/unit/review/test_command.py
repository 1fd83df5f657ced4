"""`gradient review` at the prompt."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[3]


def started(home, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")}
    environ = {**kept, "GRADIENT_HOME": str(home.path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gradient_assets", "review", *arguments]
    return subprocess.Popen(
        command,
        env=environ,
        cwd=home.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def refused(home, *arguments):
    process = started(home, *arguments)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_an_unknown_hospital_is_one_line(home):
    assert refused(home, "-H", "nowhere").startswith(
        "Error: hospital 'nowhere' is not registered; registered are: st-mary"
    )


def test_a_hospital_without_thumbnails_is_one_line(home):
    (home.path / "deidentified/warehouse/pixel_text/st-mary.parquet").unlink()
    assert "has no thumbnails yet" in refused(home, "-H", "st-mary")


def test_a_reviewer_without_a_name_is_one_line(home):
    assert "1 to 60 characters" in refused(home, "-H", "st-mary", "--reviewer", "x" * 61)


def test_a_decision_that_cannot_be_read_is_one_line(home):
    folder = home.path / "identified/release_requests/_reviews/st-mary"
    folder.mkdir(parents=True)
    (folder / f"{'a' * 32}.json").write_text("{")
    assert "Restore the files" in refused(home, "-H", "st-mary")


def test_a_busy_port_is_one_line(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "another program listens" in refused(home, "-H", "st-mary", "--port", str(taken.getsockname()[1]))


def test_it_serves_until_it_is_stopped(home):
    process = started(home, "-H", "st-mary", "--only", "redacted", "--reviewer", "Ada")
    try:
        assert process.stdout.readline().startswith("3 instances of 'st-mary'.")
        url = urlsplit(process.stdout.readline().strip())
        assert re.fullmatch(r"127\.0\.0\.1:\d+", url.netloc)
        connection = http.client.HTTPConnection(url.netloc, timeout=30)
        connection.request("GET", url.path)
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "0 decisions made. `gradient run --hospital st-mary` applies them." in out
