"""Finders to choose from: the default's three recipes, EasyOCR, Tesseract.

Belongs here: engines that are not the default's, what they need, and choosing one by its name.  The interface and the three
finders that ship with their weights are `pixels.finding`'s; which one a stage uses is a setting (`resources.environment`).

In reading order: `lines` (what an engine saw, and which of it counts) → `easyocr`, `tesseract` → `registry`.
"""

from gradient_assets.deid.pixels.finders.lines import MissingEngineError
from gradient_assets.deid.pixels.finders.registry import FINDERS, described, finder_named, needs_of

__all__ = ["FINDERS", "MissingEngineError", "described", "finder_named", "needs_of"]
