"""Detectors beside the rules: what is missing is told at the start, what they find is removed, what fails is refused."""

import importlib.util
import pickle
import socket
import sys

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import Span, TextEngine
from gradient_assets.deid.text.detectors import DetectorUnavailableError, detector_named
from gradient_assets.deid.text.detectors.interface import widened

PERSON = Pseudonymizer(SecretKey(bytes(32)), "hospital").person("4711")
NOBODY = KnownIdentifiers()


def needs(*packages):
    absent = [package for package in packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(absent), reason=f"optional packages are absent: {', '.join(absent)}")


needs_presidio = needs("presidio_analyzer", "spacy")
needs_transformers = needs("transformers", "torch")


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to reach a host is an error that nobody catches."""

    class ReachedOutError(BaseException):
        pass

    def refuse(*_, **__):
        raise ReachedOutError

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def empty_model(tmp_path):
    """A folder with all files of a model, none of which can be read."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    return tmp_path


class Finder:
    """Calls each occurrence of a word a name."""

    name, version = "finder", "1"

    def __init__(self, word):
        self.word = word

    def load(self):
        """Nothing to read."""

    def detect(self, text):
        start = text.find(self.word)
        return [Span(start, start + len(self.word), "NAME", self.name)] if start >= 0 else []


class Failing(Finder):
    """Breaks as a model may: memory, a time-out of its own, an index."""

    def __init__(self, error):
        self.error = error

    def detect(self, text):
        raise self.error(text)


def test_what_a_detector_finds_is_removed_beside_what_the_rules_find():
    engine = TextEngine(detectors=[Finder("zorblax")])
    assert engine.clean("zorblax came on 1/15/2020", NOBODY, PERSON).text == "[NAME] came on [DATE]"


def test_an_engine_with_a_detector_goes_to_a_worker_and_back():
    engine = pickle.loads(pickle.dumps(TextEngine(detectors=[Finder("zorblax")])))
    assert engine.clean("zorblax came", NOBODY, PERSON).text == "[NAME] came"


@pytest.mark.parametrize("error", [ValueError, MemoryError, TimeoutError, IndexError])
def test_a_detector_that_breaks_refuses_the_record_without_telling_it(error):
    engine = TextEngine(detectors=[Failing(error)])
    with pytest.raises(Refused) as refusal:
        engine.clean("zorblax came", NOBODY, PERSON)
    assert refusal.value.reason is Reason.TEXT_ENGINE_FAILED
    assert "zorblax" not in f"{refusal.value} {refusal.value.__cause__}"


@pytest.mark.parametrize(
    ("start", "end", "whole"),
    [(4, 7, (4, 12)), (8, 12, (4, 12)), (4, 12, (4, 12)), (3, 4, (3, 4)), (13, 17, (13, 17)), (12, 13, (12, 13))],
)
def test_half_a_word_becomes_a_whole_one(start, end, whole):
    assert widened(start, end, "Mr. Okafor22 Zhou") == whole


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("zorblax", {}, "expected one of presidio, transformer"),
        ("presidio", {"score": 7}, "from 0 to 1"),
        ("presidio", {"model": "en_core_web_lg"}, "unknown, missing or of the wrong type"),
        ("transformer", {}, "unknown, missing or of the wrong type"),
        ("transformer", {"path": "models/deid"}, "absolute path"),
        ("transformer", {"path": "/nowhere/deid"}, r"lacks config.json, tokenizer.json, \*.safetensors"),
    ],
)
def test_a_wrong_name_or_setting_is_told_at_the_start(name, settings, told):
    with pytest.raises(DetectorUnavailableError, match=told):
        detector_named(name, **settings)


@pytest.mark.parametrize(
    ("name", "package"), [("presidio", "spacy"), ("presidio", "presidio_analyzer"), ("transformer", "torch")]
)
def test_a_missing_package_is_told_at_the_start_with_the_extra_that_brings_it(name, package, monkeypatch, empty_model):
    from gradient_assets.deid.text.detectors import presidio, transformer

    presidio.analyzer.cache_clear()
    transformer.classifier.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    settings = {"path": str(empty_model)} if name == "transformer" else {}
    with pytest.raises(DetectorUnavailableError, match=rf"gradient-assets\[{name}\]"):
        detector_named(name, **settings)


@needs_presidio
def test_presidio_finds_patterns_and_leaves_the_medicine(no_network):
    text = "Seen 3/4/1960, phone (212) 555-1234, jane@example.com, SSN 536-22-1234. L4-5 and T12 on series 4 image 22."
    found = {(text[span.start : span.end], span.kind) for span in detector_named("presidio").detect(text)}
    assert found >= {
        ("3/4/1960", "DATE"),
        ("(212) 555-1234", "PHONE"),
        ("jane@example.com", "EMAIL"),
        ("536-22-1234", "ID"),
    }
    assert max(text.find(value) + len(value) for value, _ in found) <= text.find(". L4-5")


@needs_presidio
def test_presidio_goes_to_a_worker_and_says_its_version():
    detector = pickle.loads(pickle.dumps(detector_named("presidio", score=0.5)))
    assert detector.version.endswith("-en-0.5")
    assert [span.kind for span in detector.detect("jane@example.com")] == ["EMAIL", "URL"]


@needs_presidio
def test_presidio_reads_texts_longer_than_the_limit_of_spacy():
    assert len(detector_named("presidio").detect("the lung is clear. " * 60_000 + "jane@example.com")) >= 1


@needs_presidio
def test_a_language_that_spacy_does_not_know_is_told_at_the_start():
    with pytest.raises(DetectorUnavailableError, match="knows no language 'tlh'"):
        detector_named("presidio", language="tlh")


@pytest.fixture
def tiny_model(tmp_path):
    """A token classifier that calls the word piece `smith` a patient and everything else nothing; its window is 32 tokens."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    words = {"[UNK]": 0, "[PAD]": 1, "[CLS]": 2, "[SEP]": 3, "smith": 4, "##sonian": 5}
    pieces = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    pieces.normalizer, pieces.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=pieces, **special).save_pretrained(tmp_path)
    labels = {0: "O", 1: "B-PATIENT"}
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
            max_position_embeddings=32, id2label=labels, label2id={label: number for number, label in labels.items()},
        )
    )  # fmt: skip
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        layer = model.bert.encoder.layer[0]
        for norm in (model.bert.embeddings.LayerNorm, layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1)
        model.bert.embeddings.word_embeddings.weight[4, 0] = 5
        model.classifier.weight[1, 0] = 5
        model.classifier.bias[0] = 1
    model.save_pretrained(tmp_path)
    return tmp_path


@needs_transformers
def test_a_local_model_reads_a_text_to_its_end_and_takes_whole_words(tiny_model, no_network):
    text = "Smithsonian, Smith. " + "the lung is clear " * 40 + "smith"
    found = detector_named("transformer", path=str(tiny_model)).detect(text)
    assert [(text[span.start : span.end], span.kind) for span in found] == [
        ("Smithsonian", "NAME"),
        ("Smith", "NAME"),
        ("smith", "NAME"),
    ]


@needs_transformers
def test_a_label_to_keep_stays_in_the_text(tiny_model):
    assert detector_named("transformer", path=str(tiny_model), keep=["PATIENT"]).detect("Smith") == []


@needs_transformers
def test_a_changed_model_is_another_version(tiny_model):
    before = detector_named("transformer", path=str(tiny_model))
    weights = tiny_model / "model.safetensors"
    version = before.version
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert detector_named("transformer", path=str(tiny_model)).version != version


@needs_transformers
def test_a_model_without_a_classifier_is_told_at_the_start(tiny_model):
    from safetensors.torch import load_file, save_file

    weights = tiny_model / "model.safetensors"
    save_file({name: value for name, value in load_file(weights).items() if "classifier" not in name}, weights)
    with pytest.raises(DetectorUnavailableError, match="lacks weights"):
        detector_named("transformer", path=str(tiny_model))


@needs_transformers
def test_a_folder_that_can_not_be_read_is_told_at_the_start(empty_model):
    with pytest.raises(DetectorUnavailableError, match="can't be read as a token classifier"):
        detector_named("transformer", path=str(empty_model))
