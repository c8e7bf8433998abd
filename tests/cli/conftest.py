"""A folder of its own for every test, a small sweep, and two ways to call the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nftlab.cli import app
from nftlab.store import Queue, open_db
from tests.cli.helpers import SWEEP, Invoke


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty but for the sweep file; nothing of the outside reaches nftlab."""
    for name in [name for name in os.environ if name.startswith(("NFTLAB_", "WANDB_", "FORCE_COLOR"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SWEEP)
    return tmp_path


@pytest.fixture
def invoke(folder: Path) -> Invoke:
    """Calls the command in this process."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="nftlab")


@pytest.fixture
def run(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command in a process of its own."""

    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nftlab", *arguments]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, **options)

    return call


@pytest.fixture
def launched(invoke: Invoke) -> Invoke:
    """The command, with the small sweep launched."""
    assert invoke("sweep", "launch", "small.yaml").exit_code == 0
    return invoke


@pytest.fixture
def queue(launched: Invoke, folder: Path) -> Queue:
    """The launched sweep's queue."""
    engine = open_db(None, create=False)
    assert engine is not None
    return Queue(engine)
