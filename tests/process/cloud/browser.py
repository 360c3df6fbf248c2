"""A real browser, driven by Playwright: Debian's Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or ""
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
"""Its sandbox does not work for root; the others keep it from asking for anything by itself."""


@contextmanager
def browsing() -> Iterator[Page]:
    """An empty page. Whatever the pages report as an error fails the test."""
    if not CHROMIUM and not os.environ.get("CI"):
        pytest.skip("no Chromium: scripts/install-browser.sh installs it")
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)
        yield page
        browser.close()
    assert errors == []
