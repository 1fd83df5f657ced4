"""Sittings of a review over a `SmallHome`, and their server, for as long as a `with` block lasts."""

import threading
from contextlib import contextmanager

from gradient_assets.review.server import ReviewServer
from gradient_assets.review.session import Session
from tests.fakes.small_home import PlantedFinder

LOOKS = 60
"""Times that a picture is asked for; each waits up to two seconds."""


@contextmanager
def sitting(home, only="all", finder=None):
    session = Session.open(home.resources, home.hospital, "Ada", only, finder or PlantedFinder())
    try:
        yield session
    finally:
        session.close()


@contextmanager
def serving(session, port=0):
    server = ReviewServer(session, port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def index_of(session, home, name):
    return [subject.pseudonym for subject in session.subjects].index(home.pseudonym(name))


def looked(session, index):
    """The instance's state once it is known."""
    for _ in range(LOOKS):
        state = session.look(index)
        if state["state"] != "working":
            return state
    raise AssertionError("the picture was never made")
