"""`gradient deidentify` with another text finder: chosen by option or variable, refused before anything is written."""

import pytest

from tests.unit.folder.conftest import make_instance


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("GRADIENT_TEXT_FINDER", "GRADIENT_SECOND_FINDER", "GRADIENT_EASYOCR_MODELS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text-finder", "easyocr"], "craft_mlt_25k.pth"),
        (["--second-finder", "easyocr"], "craft_mlt_25k.pth"),
        (["--text-finder", "tesseract", "--second-finder", "tesseract"], "misses the same text twice"),
        (["--text-finder", "none"], "--text-finder"),
        (["--second-finder", "rapid"], "--second-finder"),
    ],
)
def test_a_finder_that_cannot_be_used_ends_in_one_line_and_writes_nothing(place, arguments, words):
    make_instance(place.source / "a")
    result = place.run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not place.out.exists()
    assert not place.crosswalk.exists()


def test_the_variable_chooses_too(place, monkeypatch):
    make_instance(place.source / "a")
    monkeypatch.setenv("GRADIENT_TEXT_FINDER", "easyocr")
    result = place.run()
    assert (result.exit_code, "GRADIENT_EASYOCR_MODELS" in result.stderr) == (2, True)


def test_a_second_finder_looks_after_the_first(place):
    make_instance(place.source / "a")
    assert place.run("--second-finder", "rapid-v4").exit_code == 0
