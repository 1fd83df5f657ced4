"""Finders to choose from: what is missing is missed at the start, nothing is downloaded, nothing that was read is left."""

import hashlib
import importlib.util
import pickle
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.pixels import (
    FoundText,
    MissingWeightsError,
    PixelEngine,
    RapidTextFinder,
    ResidualTextFinder,
    VerifyingTextFinder,
)
from gradient_assets.deid.pixels.finders import FINDERS, MissingEngineError, described, finder_named
from gradient_assets.deid.pixels.finders import easyocr as easyocr_finder
from gradient_assets.deid.pixels.finders import tesseract as tesseract_finder
from gradient_assets.deid.pixels.finders.easyocr import EasyOcrTextFinder, ExpectedFile, expected_files
from gradient_assets.deid.pixels.finders.lines import Gate
from gradient_assets.deid.pixels.finders.tesseract import TesseractTextFinder
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.pipelines.thumbnails import stage_version
from gradient_assets.tables import PIXEL_TEXT, RELEASE_MANIFEST
from tests.fakes.small_home import PlantedFinder, SmallHome
from tests.unit.pixels.objects import object_of

FAKES = Path(__file__).parents[2] / "fakes" / "easyocr_package"
WEIGHTS = {"craft_mlt_25k.pth": b"not a network", "english_g2.pth": b"neither"}
EXPECTED = [ExpectedFile(name, hashlib.md5(content).hexdigest(), len(content)) for name, content in WEIGHTS.items()]


def written(text="MEIER ANNA 12.03.1954", at=(20, 60), shape=(200, 400), ink=255, size=0.6):
    image = np.full(shape, 30, np.uint8)
    return cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)


def covered(found, image, above=120):
    mask = np.zeros(image.shape, bool)
    for one in found:
        mask[one.top : one.top + one.height, one.left : one.left + one.width] = True
    return float(mask[image > above].mean())


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def fake_easyocr(monkeypatch, tmp_path):
    """The fake package in place of the real one, with a distribution's metadata beside it."""
    about = tmp_path / "site" / "easyocr-1.7.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: easyocr\nVersion: 1.7.2\n")
    monkeypatch.syspath_prepend(str(about.parent))
    monkeypatch.syspath_prepend(str(FAKES))
    kept = {name: sys.modules.pop(name) for name in ("easyocr", "torch") if name in sys.modules}
    import easyocr

    easyocr.made.clear()
    easyocr.rotations.clear()
    yield easyocr
    for name in ("easyocr", "torch"):
        sys.modules.pop(name, None)
    sys.modules.update(kept)


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name, content in WEIGHTS.items():
        (folder / name).write_bytes(content)
    return folder


# --- EasyOCR -----------------------------------------------------------------------------------------------------------


def test_easyocr_without_a_folder_says_which_files_it_must_hold():
    with pytest.raises(MissingWeightsError) as missing:
        finder_named("easyocr")
    for file in expected_files(("en",)):
        assert file.name in str(missing.value)
        assert file.md5 in str(missing.value)


@pytest.mark.skipif(importlib.util.find_spec("easyocr") is not None, reason="the extra easyocr is installed")
def test_easyocr_without_its_package_is_refused_at_the_start(weights):
    with pytest.raises(MissingEngineError, match="gradient-assets\\[easyocr\\]"):
        EasyOcrTextFinder(str(weights), expected=EXPECTED)


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_file_that_is_not_there_is_named_at_the_start(fake_easyocr, weights, no_network, name):
    (weights / name).unlink()
    with pytest.raises(MissingWeightsError, match=name):
        EasyOcrTextFinder(str(weights), expected=EXPECTED)
    assert fake_easyocr.made == []


@pytest.mark.parametrize("content", [b"not a networq", b""])
def test_a_weight_file_with_another_digest_is_never_opened(fake_easyocr, weights, no_network, content):
    (weights / "craft_mlt_25k.pth").write_bytes(content)
    with pytest.raises(MissingWeightsError, match="another one"):
        EasyOcrTextFinder(str(weights), expected=EXPECTED)
    assert fake_easyocr.made == []


@pytest.mark.parametrize(
    ("languages", "recogniser"),
    [
        (("en",), "english_g2.pth"),
        (("en", "de"), "latin_g2.pth"),
        (("fr",), "latin_g2.pth"),
        (("ru", "en"), "cyrillic_g2.pth"),
    ],
)
def test_the_recogniser_follows_from_the_languages(languages, recogniser):
    assert [file.name for file in expected_files(languages)] == ["craft_mlt_25k.pth", recogniser]


@pytest.mark.parametrize("languages", [(), ("xx",), ("ru", "de")])
def test_languages_without_a_recogniser_are_refused(languages):
    with pytest.raises(ValueError, match="recogniser"):
        expected_files(languages)


def test_easyocr_is_opened_once_without_downloads_and_reads_on_one_thread(fake_easyocr, weights, no_network):
    finder = EasyOcrTextFinder(str(weights), expected=EXPECTED)
    assert fake_easyocr.made == []
    again = pickle.loads(pickle.dumps(finder))
    image = written()
    found = finder.find(image) + again.find(image)
    assert fake_easyocr.made == [{"languages": ["en"], "gpu": False, "verbose": False, "models": str(weights)}]
    assert all(one.letters == 9 and one.text == fake_easyocr.TEXT and one.confidence == 0.9 for one in found)
    assert covered(found, image) > 0.99
    assert fake_easyocr.TEXT not in repr(found) + repr(finder.read(image)) + repr(vars(finder))


def test_easyocr_sees_colours_and_says_the_lines_of_a_page(fake_easyocr, weights):
    image = np.zeros((200, 400, 3), np.uint8)
    image[..., 2] = written()
    (line,) = EasyOcrTextFinder(str(weights), expected=EXPECTED).read(image)
    assert line.text == fake_easyocr.TEXT


def test_easyocr_reads_upright_lines_in_both_directions(fake_easyocr, weights):
    finder = EasyOcrTextFinder(str(weights), expected=EXPECTED)
    finder.find(np.ascontiguousarray(np.rot90(written())))
    finder.find(written())
    assert fake_easyocr.rotations == [[90, 270], None]


@pytest.mark.parametrize("image", [np.zeros((300, 300), np.uint8), np.eye(6, dtype=np.uint8)])
def test_a_picture_that_can_hold_no_line_is_not_looked_at(fake_easyocr, weights, image):
    assert EasyOcrTextFinder(str(weights), expected=EXPECTED).find(image) == []
    assert fake_easyocr.made == []


def test_easyocr_that_takes_too_long_refuses_the_object(fake_easyocr, weights, monkeypatch):
    monkeypatch.setattr(easyocr_finder, "TIME_LIMIT_S", -1.0)
    with pytest.raises(Refused) as refused:
        PixelEngine(EasyOcrTextFinder(str(weights), expected=EXPECTED)).clean(object_of(written()[None]))
    assert (refused.value.reason, refused.value.detail) == (Reason.PIXEL_ENGINE_FAILED, "TimeoutError")


def test_the_real_easyocr_opens_weight_files_and_looks_without_a_network(tmp_path, monkeypatch, no_network):
    easyocr = pytest.importorskip("easyocr", reason="needs the extra easyocr")
    import torch
    from easyocr.config import detection_models, recognition_models
    from easyocr.craft import CRAFT
    from easyocr.model.vgg_model import Model

    english = recognition_models["gen2"]["english_g2"]
    networks = {
        "craft_mlt_25k.pth": CRAFT(pretrained=False),
        "english_g2.pth": Model(1, 256, 256, len(english["characters"]) + 1),
    }
    for name, network in networks.items():
        torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / name)
    expected = [ExpectedFile(name, hashlib.md5((tmp_path / name).read_bytes()).hexdigest()) for name in networks]
    monkeypatch.setitem(detection_models["craft"], "md5sum", expected[0].md5)
    monkeypatch.setitem(english, "md5sum", expected[1].md5)
    finder = EasyOcrTextFinder(str(tmp_path), expected=expected)
    assert finder.version.startswith(easyocr.__version__)
    assert all(isinstance(one, FoundText) for one in finder.find(written()))
    assert {path.name for path in tmp_path.iterdir()} == set(networks)


def test_the_table_of_weight_files_is_the_real_easyocrs():
    pytest.importorskip("easyocr", reason="needs the extra easyocr")
    from easyocr.config import cyrillic_lang_list, detection_models, latin_lang_list, recognition_models

    published = {entry["filename"]: entry["md5sum"] for entry in recognition_models["gen2"].values()}
    published[detection_models["craft"]["filename"]] = detection_models["craft"]["md5sum"]
    for languages in (("en",), ("de",), ("ru",)):
        for file in expected_files(languages):
            assert published[file.name] == file.md5
    table = {entry["file"]: set(entry["languages"]) for entry in easyocr_finder._table()["recognisers"]}
    assert table["latin_g2.pth"] == set(latin_lang_list)
    assert table["cyrillic_g2.pth"] <= {*cyrillic_lang_list, "en"}


# --- Tesseract ---------------------------------------------------------------------------------------------------------

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="the program tesseract is not installed (Debian: tesseract-ocr)"
)
HEADINGS = (
    "level",
    "page_num",
    "block_num",
    "par_num",
    "line_num",
    "word_num",
    "left",
    "top",
    "width",
    "height",
    "conf",
    "text",
)


def table(*rows):
    return "\n".join("\t".join(map(str, row)) for row in [HEADINGS, *rows]) + "\n"


def program(folder, answer="", *, exit_code=0, languages="eng", wait_s=0):
    """A program that answers as Tesseract does, with one table for every picture."""
    path = folder / "tesseract"
    (folder / "answer.tsv").write_text(answer or table())
    path.write_text(
        "#!/bin/sh\n"
        f'case "$1" in --list-langs) printf "List of languages:\\n{languages}\\n"; exit 0;; '
        '--version) echo "tesseract 5.3.0"; exit 0;; esac\n'
        f'sleep {wait_s}\ncat > /dev/null\ncat "{folder}/answer.tsv"\necho SECRET NAME >&2\nexit {exit_code}\n'
    )
    path.chmod(0o755)
    return str(path)


def test_tesseract_without_its_program_is_refused_at_the_start():
    with pytest.raises(MissingEngineError, match="tesseract-ocr"):
        TesseractTextFinder(program="gradient-no-such-program")


def test_tesseract_without_a_language_is_refused_at_the_start_with_what_it_has(tmp_path):
    with pytest.raises(MissingEngineError, match=r"no deu .* it has eng"):
        TesseractTextFinder(("eng", "deu"), program=program(tmp_path))


def test_a_program_that_is_no_tesseract_is_refused_at_the_start(tmp_path):
    broken = tmp_path / "tesseract"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    with pytest.raises(MissingEngineError, match="list-langs"):
        TesseractTextFinder(program=str(broken))


def test_words_of_one_line_are_joined_and_a_wide_gap_parts_them(tmp_path):
    words = [
        (5, 1, 1, 1, 1, 1, 20, 40, 40, 20, 91, "MEIER"),
        (5, 1, 1, 1, 1, 2, 66, 40, 40, 20, 20, "ANNA"),
        (5, 1, 1, 1, 1, 3, 200, 42, 40, 18, 95, "1954"),
        (4, 1, 1, 1, 2, 0, 0, 0, 999, 999, -1, ""),
        (5, 1, 1, 1, 2, 1, 0, 0, 999, 999, 95, "   "),
    ]
    look = TesseractTextFinder(program=program(tmp_path, table(*words))).read(written())
    lines = {(line.text, line.confidence) for line in look}
    assert lines == {("MEIER ANNA", 0.91), ("1954", 0.95)}
    first = next(line.box for line in look if line.text == "1954")
    assert (first.left, first.top, first.width, first.height) == (100, 21, 20, 9)


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_rectangle_of_a_turned_view_comes_back_to_its_place(turns):
    rows, columns = 40, 100
    picture = np.zeros((rows, columns), np.uint8)
    picture[5:9, 70:90] = 1
    down, across = np.nonzero(np.rot90(picture, turns))
    bounds = across.min(), down.min(), across.max() + 1, down.max() + 1
    assert tesseract_finder._turned_back(bounds, turns, rows, columns) == (70, 5, 90, 9)


def test_a_tesseract_that_fails_refuses_the_object_without_its_words(tmp_path):
    engine = PixelEngine(TesseractTextFinder(program=program(tmp_path, exit_code=3)))
    with pytest.raises(Refused) as refused:
        engine.clean(object_of(written()[None]))
    assert (refused.value.reason, refused.value.detail) == (Reason.PIXEL_ENGINE_FAILED, "SubprocessError")


def test_a_tesseract_that_hangs_is_ended_and_refuses_the_object(tmp_path, monkeypatch):
    monkeypatch.setattr(tesseract_finder, "TIME_LIMIT_S", 0.2)
    engine = PixelEngine(TesseractTextFinder(program=program(tmp_path, wait_s=30)))
    with pytest.raises(Refused) as refused:
        engine.clean(object_of(written()[None]))
    assert (refused.value.reason, refused.value.detail) == (Reason.PIXEL_ENGINE_FAILED, "TimeoutExpired")


@needs_tesseract
@pytest.mark.parametrize("turns", [0, 1, 3])
def test_tesseract_finds_a_line_whichever_way_it_runs_and_leaves_no_file(tmp_path, monkeypatch, no_network, turns):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    image = np.ascontiguousarray(np.rot90(written(), turns))
    found = pickle.loads(pickle.dumps(TesseractTextFinder())).find(image)
    assert covered(found, image) > 0.95
    assert "MEIER" not in repr(found)
    assert list(tmp_path.iterdir()) == []


@needs_tesseract
def test_tesseract_finds_nothing_where_nothing_is_written():
    gradient = np.tile(np.arange(0, 200, dtype=np.uint8), (200, 1))
    assert TesseractTextFinder().find(gradient) == []


# --- all ---------------------------------------------------------------------------------------------------------------


def test_a_name_that_nobody_bears_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="rapid, rapid-v4, rapid-v3, easyocr, tesseract"):
        finder_named("ocr")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("rapid", RapidTextFinder), ("rapid-v4", ResidualTextFinder), ("rapid-v3", VerifyingTextFinder)],
)
def test_the_shipped_finders_are_made_by_name(name, kind):
    assert type(finder_named(name)) is kind


@pytest.mark.parametrize("version", ["", "1.7.2-2f8227-586478", "5.3.0-eng-chi_sim-deu-fra-spa-ita-rus", "V 5"])
def test_what_a_finder_is_called_fits_the_columns_it_is_written_to(version):
    class Called:
        name = "tesseract"

        def find(self, image):
            return []

    finder = Called()
    finder.version = version
    patterns = {column.name: column.pattern for spec in (PIXEL_TEXT, RELEASE_MANIFEST) for column in spec.columns}
    assert re.fullmatch(patterns["engine_version"], f"10+10+{described(finder)}+{described(finder)}")


def test_another_version_of_a_finder_is_described_otherwise_however_long_it_is():
    class Called:
        name = "tesseract"

        def __init__(self, version):
            self.version = version

    assert len({described(Called(f"5.3.0-{'eng-' * 20}{n}")) for n in range(3)}) == 3


def test_another_finder_and_another_version_of_it_look_at_every_object_anew(tmp_path):
    home = SmallHome.build(tmp_path, with_thumbnails=False)

    def tokens(finder):
        version = stage_version(finder, Profile.named("longitudinal"))
        return {item["work_token"] for item in home.source.pixels(version)}

    first = tokens(PlantedFinder())
    assert len(first) == 4
    assert tokens(PlantedFinder()) == first
    for other in (PlantedFinder(version="2"), PlantedFinder(name="other"), RapidTextFinder()):
        assert tokens(other).isdisjoint(first)


def test_every_finders_name_fits_the_column_of_sources():
    (pattern,) = [column.pattern for column in PIXEL_TEXT.columns if column.name == "source"]
    shipped = (RapidTextFinder, ResidualTextFinder, VerifyingTextFinder)
    names = [finder.name for finder in (*shipped, EasyOcrTextFinder, TesseractTextFinder)]
    assert len(names) == len(FINDERS) == len(set(names))
    assert all(re.fullmatch(pattern, name) for name in names)


@pytest.mark.parametrize(
    ("text", "confidence", "height", "passes"),
    [
        ("MEIER", 0.5, 12, True),
        ("MEIER", 0.1, 12, False),
        ("M", 0.5, 12, False),
        ("M", 0.9, 12, True),
        (":.-", 0.9, 12, False),
        ("", 0.9, 12, False),
        ("MEIER", 0.9, 200, False),
    ],
)
def test_what_was_read_decides_whether_a_box_is_text(text, confidence, height, passes):
    letters = sum(map(str.isalnum, text))
    box = FoundText(10, 10, 300, height, confidence, letters, text, confidence)
    assert Gate(letters=2, confidence=0.3, sure=0.6).passes(box, 400) is passes


def test_a_program_that_wrote_to_its_error_output_is_not_quoted(tmp_path):
    with pytest.raises(subprocess.SubprocessError) as failed:
        TesseractTextFinder(program=program(tmp_path, exit_code=3)).find(written())
    assert "SECRET" not in str(failed.value)
