"""The finder keeps its floor over planted lines, and the bench counts what it says it counts."""

import random

import numpy as np
import pytest

from gradient_assets.deid.pixels import FoundText, RapidTextFinder
from tests.unit.pixels.bench.lettering import font_of, portable_fonts
from tests.unit.pixels.bench.planting import SCRIPTS, Line, packaged_grounds, planted, planted_scripts, script_of
from tests.unit.pixels.bench.scoring import Score, contrast_class, contrast_to_noise, score
from tests.unit.pixels.objects import FixedFinder

SEED, LINES = 1, 5
LEAST_COVERED, MOST_LOST = 0.88, 0.005
SCRIPT_NAMES = {
    **{script: {script} for script in SCRIPTS},
    "Chinese": {"Cjk"},
    "Japanese": {"Cjk", "Katakana", "Hiragana"},
    "Korean": {"Hangul"},
}
CYRILLIC = Line("DejaVuSans", 14, "white", 0, "edge", 6, "one.dcm", "CT", kind="script", script="Cyrillic")
LATIN = Line("DejaVuSans", 14, "white", 0, "edge", 6, "one.dcm", "CT", kind="words", script="Latin")


def test_the_default_finder_keeps_its_floor():
    result = score(RapidTextFinder(), packaged_grounds(), SEED, LINES, portable=True)
    figures = result.figures(with_misses=True)
    assert result.lines >= 15
    assert result.share_covered >= LEAST_COVERED, figures["misses"]
    assert result.clean_area_lost <= MOST_LOST, figures["worst_clean"]


@pytest.mark.parametrize("script", ["Cyrillic", "Greek", "Chinese", "Japanese"])
def test_the_default_finder_covers_names_in_other_scripts(script):
    if font_of(script) is None:
        pytest.skip(f"no font with the letters of this script: {script}")
    result = score(RapidTextFinder(), packaged_grounds()[:3], SEED, 1, scripts=(script,), clean=False)
    assert result.lines
    assert {line.script for line in result.seen} == {script}
    assert result.covered == result.lines, result.misses


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_is_planted_in_its_own_letters(script):
    assert all(script_of(text) in SCRIPT_NAMES[script] for text in SCRIPTS[script])
    font = font_of(script)
    if font is None:
        pytest.skip(f"no font with the letters of this script: {script}")
    missing = font.stencil("\U000e0fff", 24)  # a code point of nobody: what the font draws for it
    for letter in filter(str.isalpha, "".join(SCRIPTS[script])):
        drawn = font.stencil(letter, 24)
        assert drawn.shape != missing.shape or (drawn != missing).any(), letter


def test_lines_of_other_scripts_say_so_and_are_counted_by_script():
    score_of = Score(lines=2, covered=1, seen=[CYRILLIC, LATIN], misses=[(CYRILLIC, 0.1)])
    assert score_of.figures(with_misses=False)["missed_of_planted"]["script"] == {"Cyrillic": "1/1", "Latin": "0/1"}


def test_a_script_without_a_font_is_not_planted(monkeypatch):
    monkeypatch.setattr("tests.unit.pixels.bench.planting.font_of", lambda script: None)
    assert not list(planted_scripts(packaged_grounds()[0], random.Random(1), tuple(SCRIPTS)))


@pytest.mark.parametrize(
    ("text", "script"), [("MEIER 12", "Latin"), ("12 Иванова", "Cyrillic"), ("山田", "Cjk"), ("12.05", "none")]
)
def test_the_script_of_a_text_is_that_of_its_first_letter(text, script):
    assert script_of(text) == script


@pytest.mark.parametrize(("found", "covered", "lost"), [((), 0, 0.0), ((FoundText(0, 0, 4000, 4000, 1.0, 9),), 1, 1.0)])
def test_a_finder_that_sees_nothing_or_everything_is_told_apart(found, covered, lost):
    result = score(FixedFinder(*found, times=10_000), packaged_grounds(), SEED, 2, portable=True)
    assert result.share_covered == covered
    assert result.clean_area_lost == lost
    assert len(result.misses) == (0 if covered else result.lines)


def test_the_same_seed_plants_the_same_lines_and_another_one_others():
    ground = packaged_grounds()[0]

    def lines(seed):
        return [line for _, _, line in planted(ground, random.Random(seed), 4, portable=True)]

    assert lines(1) == lines(1)
    assert lines(1) != lines(2)


def test_a_planted_line_changes_the_stored_values_under_its_letters():
    ground = packaged_grounds()[0]
    for frame, glyphs, line in planted(ground, random.Random(3), 4, portable=True):
        assert (frame[glyphs] != ground.frame[glyphs]).mean() > 0.9, line
        assert frame.dtype == ground.frame.dtype


@pytest.mark.parametrize("font", portable_fonts(), ids=lambda font: font.name)
@pytest.mark.parametrize("height", [8, 14, 40])
def test_letters_are_about_as_high_as_asked_for(font, height):
    stencil = font.stencil("HEN", height)
    assert 0.6 * height <= stencil.shape[0] <= 1.5 * height
    assert np.ptp(stencil) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("noise", "ink", "least", "most"), [(0, 200, 99, 101), (20, 200, 3, 7), (20, 120, 0.3, 1.7)])
def test_contrast_to_noise_falls_with_the_noise_and_the_contrast(noise, ink, least, most):
    picture = np.random.default_rng(1).normal(100, noise, (60, 200)).clip(0, 255)
    glyphs = np.zeros(picture.shape, bool)
    stencil = portable_fonts()[0].stencil("MEIER", 16) > 0.5
    glyphs[20 : 20 + stencil.shape[0], 30 : 30 + stencil.shape[1]] = stencil
    picture[glyphs] += ink - 100
    assert least <= contrast_to_noise(picture.clip(0, 255).astype(np.uint8), glyphs) <= most


@pytest.mark.parametrize(
    ("ratio", "name"), [(0.9, "under 1"), (1.0, "under 2"), (19.9, "under 20"), (20.0, "from 20 on")]
)
def test_a_ratio_belongs_to_the_class_below_its_bound(ratio, name):
    assert contrast_class(ratio) == name
