"""Further detectors beside the rules: optional, found by name, loaded once per process.

Reading order: `interface` (what a detector is) · `presidio` · `transformer`.
Belongs here: models and foreign tools that give spans of a text.  The rules are the engine's own families next door, and
run always.
"""

from __future__ import annotations

from collections.abc import Callable

from gradient_assets.deid.text.detectors.interface import Detector, DetectorUnavailableError
from gradient_assets.deid.text.detectors.presidio import PresidioDetector
from gradient_assets.deid.text.detectors.transformer import TransformerDetector

__all__ = ["DETECTORS", "Detector", "DetectorUnavailableError", "detector_named"]

DETECTORS: dict[str, Callable[..., Detector]] = {
    "presidio": PresidioDetector,
    "transformer": TransformerDetector,
}


def detector_named(name: str, **settings: object) -> Detector:
    """A detector, loaded, so that what is missing is told before the first record.

    Raises `DetectorUnavailableError` for an unknown name or setting, a missing package, a model that can't be read.
    """
    if name not in DETECTORS:
        raise DetectorUnavailableError(f"detector {name!r}: expected one of {', '.join(sorted(DETECTORS))}")
    try:
        detector = DETECTORS[name](**settings)
    except TypeError:
        raise DetectorUnavailableError(
            f"detector {name!r}: a setting of {', '.join(sorted(settings)) or 'none'} is unknown, missing or of the wrong type"
        ) from None
    detector.load()
    return detector
