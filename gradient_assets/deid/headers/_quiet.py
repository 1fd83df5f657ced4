"""Keep pydicom silent: its warnings and log lines quote values.

Belongs here: the process-wide settings this package needs of pydicom, and `quiet` for the calls that may warn.  Values
are judged by `elements` and the rules, not by pydicom's validation, which is switched off (it also costs a third of the
reading time).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config

config.settings.reading_validation_mode = config.IGNORE
config.settings.writing_validation_mode = config.IGNORE
logging.getLogger("pydicom").disabled = True
# A warning's text holds the value it complains of.  The filter stays for good, because `catch_warnings` below is not
# safe between threads and Beam's workers are threads.
warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")


@contextmanager
def quiet() -> Iterator[None]:
    """No warning of pydicom leaves the block, whatever filters the caller has set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
