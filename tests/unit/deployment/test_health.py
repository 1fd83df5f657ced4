"""Each process says whether it works, and no answer repeats what a server said."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import grpc
import pytest
from click.testing import CliRunner
from dagster._daemon.types import DaemonHeartbeat
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradient_assets.cli.health import health as command
from gradient_assets.deployment import health
from gradient_assets.instance import prepare_home

NAME = "Quillfeather"


@pytest.fixture
def code_location():
    """A gRPC server with the health protocol; its state can be set."""
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = grpc_health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", lambda status: servicer.set(health.SERVICE, status)
    server.stop(0)


def test_a_code_location_works_when_it_says_so(code_location):
    address, say = code_location
    assert health.code_location(address).found == "not_found"
    say(health_pb2.HealthCheckResponse.NOT_SERVING)
    assert health.code_location(address) == health.Health("code location", False, "not_serving")
    say(health_pb2.HealthCheckResponse.SERVING)
    assert health.code_location(address) == health.Health("code location", True, "serving")


def test_a_code_location_that_is_not_there_does_not_work():
    assert health.code_location("127.0.0.1:9", timeout_s=1).healthy is False


class Page(BaseHTTPRequestHandler):
    status, body = 200, b'{"dagster_version": "1.13.27"}'

    def do_GET(self):
        self.send_response(self.status if self.path == "/server_info" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    page = type("OwnPage", (Page,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", page
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "healthy", "found"),
    [
        (200, b'{"dagster_version": "1.13.27"}', True, "Dagster 1.13.27"),
        (500, NAME.encode(), False, "status 500"),
        (200, NAME.encode(), False, "JSONDecodeError"),
        (200, b'{"other": 1}', False, "KeyError"),
        (200, b'["Quillfeather"]', False, "TypeError"),
    ],
)
def test_a_web_server_works_when_it_says_its_version(web, status, body, healthy, found):
    address, page = web
    page.status, page.body = status, body
    answer = health.web_server(address)
    assert (answer.healthy, answer.found) == (healthy, found)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "file:///etc/passwd", "nothing"])
def test_a_web_server_that_is_not_there_does_not_work(address):
    assert health.web_server(address, timeout_s=1).healthy is False


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIENT_HOME", str(tmp_path))
    monkeypatch.delenv("GRADIENT_DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_home(tmp_path, {})))
    return tmp_path


def beat(age_s, leave_out=()):
    with dg.DagsterInstance.get() as instance:
        for kind in set(instance.get_required_daemon_types()) - set(leave_out):
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - age_s, kind, "1", []))


@pytest.mark.parametrize(("age_s", "leave_out", "healthy"), [(0, (), True), (7200, (), False), (0, ("SENSOR",), False)])
def test_a_daemon_works_while_all_its_hearts_beat(home, age_s, leave_out, healthy):
    beat(age_s, leave_out)
    answer = health.daemon()
    assert answer.healthy is healthy
    assert healthy or "sensor" in answer.found


def test_a_daemon_that_never_was_does_not_work(home):
    assert not health.daemon().healthy


@pytest.mark.parametrize("question", [health.storage, health.daemon])
def test_a_password_with_a_line_break_is_told_by_its_name(question, home, monkeypatch):
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "Quillfeather\n")
    found = question()
    assert (found.healthy, found.found) == (False, "DAGSTER_POSTGRES_PASSWORD holds a line break")
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "Quillfeather")
    assert "line break" not in question().found


def test_an_error_is_told_by_its_kind():
    def failing():
        raise RuntimeError(NAME)

    assert list(health.asked(iter([("storage", failing)]))) == [health.Health("storage", False, "RuntimeError")]


def test_the_command_asks_what_it_is_told_to_and_ends_with_three_when_one_does_not_work(home, code_location):
    address, say = code_location
    say(health_pb2.HealthCheckResponse.SERVING)
    beat(0)
    good = CliRunner().invoke(command, ["--code", address])
    assert (good.exit_code, good.output) == (0, "code location: works (serving)\n")
    both = CliRunner().invoke(command)
    assert both.exit_code == 0, both.output
    assert [line.partition(":")[0] for line in both.output.splitlines()] == ["storage", "daemon"]
    bad = CliRunner().invoke(command, ["--code", address, "--web", "http://127.0.0.1:9"])
    assert bad.exit_code == 3
    assert bad.output.count("does not work") == 1
