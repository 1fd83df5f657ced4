"""The review's page in a browser: looked at, decided with keyboard and mouse, and nothing but redacted pictures got there."""

import io
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from gradient_assets.review.decisions import AddedBox, decisions_of
from tests.fakes.sittings import serving, sitting
from tests.fakes.small_home import COLUMNS, DOUBTFUL, MISSED, NAME, PATIENT, ROWS, SURE, SmallHome

WAIT_MS = 60_000


@pytest.fixture
def home(tmp_path):
    return SmallHome.build(tmp_path / "home")


class Page:
    """The page as a person sees it, and everything the browser asked for."""

    def __init__(self, browser, server, home):
        self.home, self.asked, self.errors, self.answers = home, [], [], []
        self.tab = browser.new_page()
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("response", lambda answer: self.answers.append(answer))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)
        self.tab.goto(server.url)

    def name(self):
        """Which of the four is shown, once its picture is there."""
        self.tab.wait_for_selector("#sheet:not([hidden])", timeout=WAIT_MS)
        return self.home.name_of(self.tab.inner_text("#object"))

    def press(self, key):
        self.tab.keyboard.press(key)

    def says(self, text):
        self.tab.wait_for_function("text => document.getElementById('status').textContent.includes(text)", arg=text)

    def shows(self, window):
        self.tab.wait_for_function(
            "name => document.getElementById('sheet').dataset.shown.endsWith(name)", arg=window, timeout=WAIT_MS
        )

    def go_to(self, name):
        for _ in range(4):
            if self.name() == name:
                return
            here = self.tab.inner_text("#count")
            self.press("n")
            self.tab.wait_for_function("t => document.getElementById('count').textContent !== t", arg=here)
        raise AssertionError(name)

    def drag(self, left, top, width, height):
        """Drag over a rectangle of the picture, in stored pixels."""
        area = self.tab.locator("#overlay").bounding_box()
        scale = area["width"] / COLUMNS
        x, y = area["x"] + left * scale, area["y"] + top * scale
        self.tab.mouse.move(x, y)
        self.tab.mouse.down()
        self.tab.mouse.move(x + width * scale / 2, y + height * scale / 2)
        self.tab.mouse.move(x + width * scale, y + height * scale)
        self.tab.mouse.up()


def covers(box, place):
    left, top, width, height = place[:4]
    return (
        box.left <= left
        and box.top <= top
        and box.left + box.width >= left + width
        and box.top + box.height >= top + height
    )


def test_a_reviewer_accepts_draws_and_quarantines_and_it_is_kept(browser, home):
    with sitting(home) as session, serving(session) as server:
        page = Page(browser, server, home)
        assert page.name() == "doubtful"  # the low score comes first
        page.press("a")
        page.says("Accepted")

        page.go_to("missed")
        left, top, width, height = MISSED
        page.drag(left - 3, top - 3, width + 6, height + 6)
        page.says("added on all frames")
        page.press("Enter")
        page.says("Boxes kept")

        page.go_to("sure")
        page.press("q")
        page.says("Quarantined")

        page.go_to("missed")
        page.tab.reload()
        assert page.name() == "missed"
        assert "Boxes added" in page.tab.inner_text("#decision")
        assert page.errors == []

    decisions = decisions_of(home.resources, "st-mary")
    assert {home.name_of(name): one.verdict for name, one in decisions.items()} == {
        "doubtful": "accept",
        "missed": "box",
        "sure": "quarantine",
    }
    (box,) = decisions[home.pseudonym("missed")].boxes
    assert covers(box, MISSED)
    assert box.frame is None
    assert box.width <= MISSED[2] + 10
    assert {one.reviewer for one in decisions.values()} == {"Ada"}


def test_the_browser_gets_redacted_pictures_only_and_asks_nobody_else(browser, home):
    pictures = {}
    with sitting(home) as session, serving(session) as server:
        page = Page(browser, server, home)
        for _ in range(4):
            name = page.name()
            for window in ("full", "narrow", "shown"):
                page.press("w")
                page.shows(window)
            pictures[name] = [
                np.asarray(Image.open(io.BytesIO(answer.body())))
                for answer in page.answers
                if answer.url.endswith(".png")
            ]
            page.answers.clear()
            here = page.tab.inner_text("#count")
            page.press("ArrowRight")
            page.tab.wait_for_function("t => document.getElementById('count').textContent !== t", arg=here)
        html = page.tab.content()
        asked = page.asked

    assert set(pictures) == {"sure", "doubtful", "missed", "cine"}
    for name, places in (("sure", [SURE]), ("doubtful", [SURE, DOUBTFUL]), ("cine", [SURE])):
        assert len(pictures[name]) >= 3
        for picture in pictures[name]:
            assert picture.shape[:2] == (ROWS, COLUMNS)
            for left, top, width, height, _ in places:
                assert not picture[top : top + height, left : left + width].any(), name
            assert picture.any()
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(server.url).netloc}
    for value in (PATIENT, *NAME.split("^"), "1.2.3.4", "quillfeather"):
        assert value.casefold() not in html.casefold()
        assert not any(value.casefold() in url.casefold() for url in asked)


def test_a_box_by_keyboard_on_one_frame_is_removed_and_undone(browser, home):
    with sitting(home) as session, serving(session) as server:
        page = Page(browser, server, home)
        page.go_to("cine")
        page.press("ArrowDown")
        page.tab.wait_for_function("() => document.getElementById('frame').textContent === '2 of 3'")
        page.press("f")
        page.press("b")
        page.press("ArrowRight")
        page.press("Shift+ArrowDown")
        page.press("Enter")
        page.says("added on frame 2")
        (box,) = decisions_of(home.resources, "st-mary")[home.pseudonym("cine")].boxes
        assert box == AddedBox(66, 45, 32, 8, 1)
        page.press("Backspace")
        page.says("removed")
        assert decisions_of(home.resources, "st-mary") == {}
        page.press("u")
        page.says("Undone")
        assert decisions_of(home.resources, "st-mary")[home.pseudonym("cine")].boxes == (box,)


def test_keys_are_shown_and_the_picture_keeps_the_focus(browser, home):
    with sitting(home) as session, serving(session) as server:
        page = Page(browser, server, home)
        page.name()
        page.press("?")
        assert page.tab.locator("#keys").is_visible()
        page.press("q")  # behind the open list no key decides
        page.press("Escape")
        assert not page.tab.locator("#keys").is_visible()
        assert decisions_of(home.resources, "st-mary") == {}
        page.tab.click("#next")
        page.tab.wait_for_function("() => document.activeElement.id === 'viewer'")
