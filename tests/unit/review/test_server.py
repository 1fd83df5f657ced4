"""Who may ask: this machine, this address, this page.  Everybody else gets one line."""

import http.client
import json
import re

import pytest

from gradient_assets.review.decisions import ReviewError, decisions_of
from gradient_assets.review.server import MAX_BODY_BYTES, ReviewServer
from tests.fakes.sittings import index_of, looked, serving
from tests.fakes.small_home import NAME, PATIENT

QUARANTINE = json.dumps({"verdict": "quarantine", "boxes": []})
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(session):
    with serving(session) as server:
        yield server


def ask(server, path, method="GET", body=None, headers=None, token=None):
    """Status, headers and text of an answer."""
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    try:
        connection.request(method, f"/{token or server.token}/{path}", body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, dict(answer.getheaders()), content
    finally:
        connection.close()


def test_it_listens_on_this_machine_alone_behind_a_long_token(server):
    assert server.server_address[0] == "127.0.0.1"
    assert re.fullmatch(rf"http://127\.0\.0\.1:{server.server_address[1]}/[\w-]{{43}}/", server.url)


def test_two_sittings_have_two_tokens(session):
    with ReviewServer(session) as one, ReviewServer(session) as other:
        assert one.token != other.token


def test_the_page_allows_nothing_from_outside_and_is_not_kept(server):
    status, headers, content = ask(server, "")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'nonce-")
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    nonce = re.search(r"'nonce-([\w-]+)'", policy)[1]
    assert content.count(f'nonce="{nonce}"'.encode()) == 2
    assert b"{{" not in content
    assert re.findall(rb"(?:src|href)=|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", content) == []


def test_two_pages_have_two_nonces(server):
    one, other = (ask(server, "")[1]["Content-Security-Policy"] for _ in range(2))
    assert one != other


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_host_name_is_refused(server, host):
    status, _, content = ask(server, "", headers={"Host": host})
    assert (status, content.count(b"\n")) == (421, 1)


@pytest.mark.parametrize("token", ["x", "x" * 43, "..", "%00"])
def test_another_token_is_refused(server, token):
    status, _, content = ask(server, "about/0", token=token)
    assert (status, content.count(b"\n")) == (404, 1)
    assert server.token.encode() not in content


def test_a_token_that_is_almost_right_is_refused(server):
    assert ask(server, "about/0", token=server.token[:-1])[0] == 404
    assert ask(server, "about/0", token=server.token + "A")[0] == 404
    assert ask(server, "about/0")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["about/99", "about/-1", "about/x", "about", "nothing", "frame/0/0/original.png", "../identified", "frame/0/0"],
)
def test_what_is_not_there_is_one_line(server, path):
    status, headers, content = ask(server, path)
    assert (status, content.count(b"\n")) == (404, 1)
    assert headers["Cache-Control"] == "no-store"


def test_a_frame_is_a_png_that_is_not_kept(server, session, home):
    index = index_of(session, home, "sure")
    looked(session, index)
    status, headers, content = ask(server, f"frame/{index}/0/shown.png")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "image/png", "no-store")
    assert content.startswith(b"\x89PNG")
    assert ask(server, f"frame/{index}/7/shown.png")[0] == 404


def test_a_frame_before_its_time_is_a_conflict(server):
    assert ask(server, "frame/3/0/shown.png")[0] == 409


def test_a_decision_from_the_page_is_kept(server, session, home):
    index = index_of(session, home, "sure")
    status, _, content = ask(server, f"decide/{index}", "POST", QUARANTINE, {**JSON, "Origin": server.origin})
    assert (status, json.loads(content)["decision"]["verdict"]) == (200, "quarantine")
    assert list(decisions_of(home.resources, "st-mary")) == [home.pseudonym("sure")]
    assert ask(server, "undo", "POST", "{}", JSON)[0] == 200
    assert decisions_of(home.resources, "st-mary") == {}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (QUARANTINE, {**JSON, "Origin": "http://evil.example"}, 403),
        (QUARANTINE, {**JSON, "Origin": "null"}, 403),
        (QUARANTINE, {"Content-Type": "text/plain"}, 415),
        (QUARANTINE, {}, 415),
        ("x" * (MAX_BODY_BYTES + 1), JSON, 413),
        ("{", JSON, 400),
        ("[]", JSON, 400),
        ("[" * 60_000, JSON, 400),
        ('{"verdict": "perhaps", "boxes": []}', JSON, 409),
        ('{"verdict": "accept", "boxes": []}', JSON, 409),
    ],
)
def test_a_decision_that_is_not_the_pages_own_is_refused(server, home, body, headers, status):
    found, _, content = ask(server, "decide/0", "POST", body, headers)
    assert (found, content.count(b"\n")) == (status, 1)
    assert decisions_of(home.resources, "st-mary") == {}


def test_nothing_is_decided_by_looking(server, home):
    assert ask(server, "decide/0")[0] == 404
    assert ask(server, "undo")[0] == 404
    assert decisions_of(home.resources, "st-mary") == {}


def test_no_answer_names_anybody(server, session, home, capfd):
    for index in range(4):
        looked(session, index)
    paths = ["", "nothing", *(f"{what}/{index}" for what in ("about", "look") for index in range(4))]
    said = b"".join(ask(server, path)[2] for path in paths).lower()
    for value in (PATIENT, *NAME.split("^"), "1.2.3.4", "landing", str(home.path)):
        assert value.lower().encode() not in said
    assert capfd.readouterr() == ("", "")  # the address is the key: nothing is logged


def test_an_error_nobody_foresaw_is_told_without_its_text(server, session):
    def broken(index):
        raise ValueError("QUILLFEATHER")

    session.about = broken
    status, _, content = ask(server, "about/0")
    assert (status, b"QUILLFEATHER" in content, b"ValueError" in content) == (500, False, True)


def test_a_port_in_use_is_one_line(session):
    with ReviewServer(session) as first:
        port = first.server_address[1]
        with pytest.raises(ReviewError, match=rf"^Port {port} can't be used: another program listens there\. Choose"):
            ReviewServer(session, port)


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_is_none_is_one_line(session, port):
    with pytest.raises(ReviewError, match="there is no such port"):
        ReviewServer(session, port)
