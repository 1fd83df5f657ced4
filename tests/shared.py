"""Where the real files and reports lie, and the mark for tests that need them.

The folder `../shared` beside the checkout holds files that are not part of the project; without it these tests skip.
"""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
needs_shared = pytest.mark.skipif(
    not (SHARED / "data").is_dir(),
    reason="needs ../shared/data beside the checkout (real files, not part of the project)",
)
