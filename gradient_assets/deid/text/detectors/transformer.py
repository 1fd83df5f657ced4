"""A token classifier from a local folder as a detector: Hugging Face's format, with the hub switched off.

Belongs here: loading it offline, reading long texts in windows, and its labels as our kinds.  Which model is good is for its
owner to measure (`benchmarks/reports.py`); none is shipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from gradient_assets.deid.text.detectors.interface import DetectorUnavailableError, required, widened
from gradient_assets.deid.text.spans import Span

KINDS = {
    "PER": "NAME", "PERSON": "NAME", "NAME": "NAME", "PATIENT": "NAME", "DOCTOR": "NAME", "STAFF": "NAME", "HCW": "NAME",
    "VENDOR": "NAME", "USERNAME": "NAME", "DATE": "DATE", "AGE": "AGE", "ID": "ID", "MEDICALRECORD": "ID", "IDNUM": "ID",
    "DEVICE": "ID", "PHONE": "PHONE", "FAX": "PHONE", "CONTACT": "PHONE", "EMAIL": "EMAIL", "URL": "URL", "LOC": "ADDRESS",
    "LOCATION": "ADDRESS", "GPE": "ADDRESS", "STREET": "ADDRESS", "CITY": "ADDRESS", "STATE": "ADDRESS", "ZIP": "ADDRESS",
    "ORG": "INSTITUTION", "ORGANIZATION": "INSTITUTION", "HOSPITAL": "INSTITUTION", "PATORG": "INSTITUTION",
}  # fmt: skip
"""Labels of the i2b2 corpora and of CoNLL by our kinds; one that is not listed is removed as `OTHER`."""

MAX_WINDOW = 512
"""Tokens read at once, where the model's own limit is not smaller."""

_SCHEME = re.compile(r"^[BILUES]-")


@dataclass(frozen=True)
class TransformerDetector:
    """A token classifier in the folder `path`: config, fast tokenizer, weights as safetensors.

    `keep` lists labels (without `B-`, `I-`) whose finds stay in the text.  Raises `DetectorUnavailableError` for a folder that
    is missing or incomplete; `load` also when transformers or torch are not installed or the files can't be read.
    """

    path: str
    keep: tuple[str, ...] = ()
    name = "transformer"

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep", tuple(self.keep))
        folder = Path(self.path)
        if not folder.is_absolute():
            raise DetectorUnavailableError(f"detector 'transformer': path {self.path!r}: expected an absolute path")
        missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
        if not list(folder.glob("*.safetensors")):
            missing.append("*.safetensors")
        if missing:
            raise DetectorUnavailableError(f"detector 'transformer': {self.path!r} lacks {', '.join(missing)}")

    @cached_property
    def version(self) -> str:
        """Digest of the folder's files and the settings."""
        digest = hashlib.sha256(json.dumps(sorted(self.keep)).encode())
        for file in sorted(Path(self.path).iterdir()):
            if file.suffix in (".json", ".safetensors", ".txt", ".model"):
                digest.update(file.name.encode())
                with file.open("rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()[:16]

    def load(self) -> None:
        """Read the model (seconds)."""
        classifier(self.path, self.version)

    def detect(self, text: str) -> list[Span]:
        """What the model calls anything but `O` or a label to keep, widened to whole words."""
        spans = []
        for found in classifier(self.path, self.version)(text):
            label = _SCHEME.sub("", found["entity_group"])
            if label not in self.keep:
                start, end = widened(found["start"], found["end"], text)
                spans.append(Span(start, end, KINDS.get(label.upper(), "OTHER"), "transformer"))
        return spans


@lru_cache(maxsize=2)
def classifier(path: str, version: str) -> Any:
    """A token classification pipeline, once per process and version, on one thread.  Raises `DetectorUnavailableError`.

    Nothing is downloaded, no code of the folder is run, and no pickled weights are read.  A text longer than the model's
    window is read in windows that overlap by a quarter; without that its end would be cut off in silence.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch, transformers = required("torch", "transformer"), required("transformers", "transformer")
    torch.set_num_threads(1)  # a worker per core
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        model, loading = transformers.AutoModelForTokenClassification.from_pretrained(
            path, use_safetensors=True, output_loading_info=True, **local
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, use_fast=True, **local)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DetectorUnavailableError(
            f"detector 'transformer': {path!r} can't be read as a token classifier ({type(error).__name__})"
        ) from None
    if loading["missing_keys"]:  # they would be drawn at random: a base model has no labels to give
        raise DetectorUnavailableError(f"detector 'transformer': {path!r} lacks weights of a token classifier")
    if not tokenizer.is_fast:
        raise DetectorUnavailableError(f"detector 'transformer': {path!r} has no fast tokenizer, so no offsets")
    window = getattr(model.config, "max_position_embeddings", MAX_WINDOW)
    tokenizer.model_max_length = min(tokenizer.model_max_length, window, MAX_WINDOW)
    return transformers.pipeline(
        "token-classification",
        model=model.eval(),
        tokenizer=tokenizer,
        device=-1,
        aggregation_strategy="simple",
        stride=tokenizer.model_max_length // 4,
    )
