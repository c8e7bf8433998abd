"""The page in a real browser: it renders."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nftlab.report import render
from tests.report.test_render import table

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [480, 1280])
def test_the_page_renders(width: int, tmp_path: Path) -> None:
    program = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    assert program, "these tests need Chromium on the PATH"
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(render(table(curves=True), "html"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", f"--screenshot={picture}"]
    subprocess.run([program, *flags, page.as_uri()], capture_output=True, timeout=60, check=True)
    shot = picture.read_bytes()
    assert shot.startswith(b"\x89PNG")
    assert int.from_bytes(shot[16:20], "big") == width
    assert len(shot) > 10_000  # an empty page is smaller by far
