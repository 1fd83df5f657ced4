"""A pipeline's step for a worker that has what the image has, and nothing of what tests have."""

import sys
from pathlib import Path

import pydicom


def shouted(word):
    """The word, where the worker's Python is, and where its packages are."""
    return word.upper(), sys.prefix, str(Path(pydicom.__file__).parents[4])
