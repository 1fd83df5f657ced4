"""`gradient doctor` says which text finders are chosen, what they need and where."""

import pytest

from gradient_assets.cli.doctor import examine


def findings(monkeypatch, tmp_path, **environ):
    for name in ("TEXT_FINDER", "SECOND_FINDER", "VERIFYING_READER", "EASYOCR_MODELS", "HOSPITALS"):
        monkeypatch.delenv(f"GRADIENT_{name}", raising=False)
    for name, value in {"GRADIENT_HOME": str(tmp_path), **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return {finding.what: finding for finding in examine()}


def test_the_default_finders_are_opened_and_named(monkeypatch, tmp_path):
    told = findings(monkeypatch, tmp_path)
    assert told["text finder"].found.startswith("rapid (ppocr-v6-small")
    assert told["second finder"].found.startswith("rapid-v4 (ppocr-v4")
    assert told["verifying reader"].found.startswith("rapid-v3 (ppocr-v3")
    assert not told["text finder"].mend + told["second finder"].mend + told["verifying reader"].mend


@pytest.mark.parametrize(("languages", "file"), [("en", "english_g2.pth"), ("en,de", "latin_g2.pth")])
def test_missing_weight_files_are_told_by_name_digest_and_setting(monkeypatch, tmp_path, languages, file):
    chosen = {"GRADIENT_TEXT_FINDER": "easyocr", "GRADIENT_EASYOCR_LANGUAGES": languages}
    mend = findings(monkeypatch, tmp_path, **chosen)["text finder"].mend
    for expected in ("craft_mlt_25k.pth (MD5 2f8227d2def4037cdb3b34389dcf9ec1", file, "GRADIENT_EASYOCR_MODELS"):
        assert expected in mend


def test_what_other_finders_would_need_is_told_and_is_no_fault(monkeypatch, tmp_path):
    other = findings(monkeypatch, tmp_path)["other finders"]
    assert "craft_mlt_25k.pth" in other.found
    assert "the program `tesseract`" in other.found
    assert not other.mend


@pytest.mark.parametrize(
    ("variable", "what", "said"),
    [
        ("GRADIENT_SECOND_FINDER", "second finder", "none: releases are looked at once"),
        ("GRADIENT_VERIFYING_READER", "verifying reader", "none: nobody reads the pictures that were written"),
    ],
)
def test_an_engine_that_is_left_out_is_said_and_is_no_fault(monkeypatch, tmp_path, variable, what, said):
    told = findings(monkeypatch, tmp_path, **{variable: "none"})[what]
    assert (told.found, told.mend) == (said, "")
