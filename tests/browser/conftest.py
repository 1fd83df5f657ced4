"""A real browser: Debian's chromium, driven over playwright's protocol client."""

import shutil
from pathlib import Path

import pytest

CHROMIUM = next(
    (path for path in ("/usr/bin/chromium", shutil.which("chromium")) if path and Path(path).exists()), None
)


@pytest.fixture
def browser(tmp_path):
    """A window with a new profile."""
    if CHROMIUM is None:
        pytest.skip("chromium is absent: apt-get install chromium")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is absent: pip install -e '.[dev]' (its own browsers are not needed)"
    )
    with playwright.sync_playwright() as client:
        window = client.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=CHROMIUM,
            headless=True,
            args=["--no-sandbox"],
            viewport={"width": 1280, "height": 820},
        )
        yield window
        window.close()
