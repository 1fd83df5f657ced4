"""The report of a release on paper: all that an approver signs is on its first page."""

import pypdfium2
import pytest

from tests.fakes.small_release import Made, Person

ALONE = [Person(number, age=f"{20 + number:03d}Y") for number in range(16)]
"""Each the only one of their age: the page warns of it, and shows as many pictures as it ever does."""


@pytest.fixture
def printed(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    (folder / "report.html").write_bytes(Made.build(folder, ALONE, approvals=2).report())
    page = browser.new_page()
    page.goto((folder / "report.html").as_uri())
    page.pdf(path=folder / "report.pdf", prefer_css_page_size=True)
    return [one.get_textpage().get_text_range() for one in pypdfium2.PdfDocument(folder / "report.pdf")]


def test_what_is_signed_is_one_page_and_the_annex_begins_a_new_one(printed):
    first, second = printed[:2]
    for heading in ("Who was asked for", "Verification", "How many are alike", "A look at what leaves", "Approval"):
        assert heading in first
    assert "16 of 16 patients are alone in theirs" in " ".join(first.split())
    assert first.count("Name, date, signature") == 2
    assert ("Annex" in first, "Annex" in second) == (False, True)
