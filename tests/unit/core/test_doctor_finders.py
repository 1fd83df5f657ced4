"""`gradient doctor` says which text finders are chosen, what they need and where."""

import pytest

from gradient_assets.cli.doctor import examine


def findings(monkeypatch, tmp_path, **environ):
    for name in ("GRADIENT_TEXT_FINDER", "GRADIENT_SECOND_FINDER", "GRADIENT_EASYOCR_MODELS", "GRADIENT_HOSPITALS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"GRADIENT_HOME": str(tmp_path), **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return {finding.what: finding for finding in examine()}


def test_the_default_finders_are_opened_and_named(monkeypatch, tmp_path):
    told = findings(monkeypatch, tmp_path)
    assert told["text finder"].found.startswith("rapid (ppocr-v6-small")
    assert told["second finder"].found.startswith("rapid-v4 (ppocr-v4")
    assert not told["text finder"].mend + told["second finder"].mend


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


def test_no_second_look_is_said_and_is_no_fault(monkeypatch, tmp_path):
    second = findings(monkeypatch, tmp_path, GRADIENT_SECOND_FINDER="none")["second finder"]
    assert (second.found, second.mend) == ("none: releases are looked at once", "")
