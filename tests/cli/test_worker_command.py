"""From launch to table through the command line alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.helpers import Invoke, read
from tests.store.conftest import fresh_postgres as fresh_postgres
from tests.store.conftest import postgres_url as postgres_url

TINY = """
name: tiny
method: grid
metric: {name: val/error, goal: minimize}
parameters: {dataset: {value: two-moons}, network: {value: fc-a}, algorithm: {value: ct}, epochs: {value: 1}}
nftlab: {seeds: 2}
"""
REPORT = """
title: Tiny
rows: {algorithm: {CT: ct}}
columns: {dataset: [two-moons]}
seeds: 2
"""


def test_launch_work_verify_report(invoke: Invoke, run: Callable[..., subprocess.CompletedProcess[str]], folder: Path) -> None:
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "tiny-report.yaml").write_text(REPORT)
    assert invoke("sweep", "launch", "tiny.yaml").exit_code == 0
    arguments = ("worker", "--drain", "--no-wandb", "--device", "cpu", "--runs", "elsewhere")
    worker = run(*arguments, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert (worker.returncode, worker.stdout) == (0, ""), worker.stderr
    assert {path.name for path in folder.iterdir()} == {"small.yaml", "tiny.yaml", "tiny-report.yaml", "db", "elsewhere"}
    assert invoke("sweep", "verify", "tiny").exit_code == 0
    (cell,) = read(invoke("report", "tiny-report.yaml", "--json"))["cells"]
    assert (cell["n"], len(cell["jobs"])) == (2, 2)
    assert 0 <= cell["mean"] <= 100


@pytest.mark.parametrize("device", ["cpu", pytest.param("cpu,cpu", marks=pytest.mark.ci)])
def test_that_a_table_was_made_is_said_once(device: str, run: Callable[..., subprocess.CompletedProcess[str]], folder: Path) -> None:
    worker = ("worker", "--drain", "--no-wandb", "--device", device, "--db", "mistyped/lab.sqlite")
    mend = "nftlab sweep launch FILE --db mistyped/lab.sqlite fills it"
    said = f"there was no job table yet at mistyped/lab.sqlite, so an empty one is made; {mend}"
    first, second = (run(*worker, env={**os.environ, "OMP_NUM_THREADS": "1"}) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stderr.splitlines().count(said) == 1
    assert "there was no job table" not in second.stderr


def test_a_mode_that_wandb_does_not_know_is_told_before_anything_is_trained(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "foo")
    refused = invoke("worker", "--drain", "--device", "cpu")
    assert (refused.exit_code, "WANDB_MODE 'foo' is not one of online, offline, disabled; " in refused.stderr) == (2, True)
    assert not (folder / "db").exists()
    assert invoke("worker", "--drain", "--device", "cpu", "--no-wandb").exit_code == 0


@pytest.mark.ci
def test_no_password_is_kept(
    invoke: Invoke, run: Callable[..., subprocess.CompletedProcess[str]], folder: Path, fresh_postgres: str
) -> None:
    """W&B and the job table record the command line: neither of them the password in it."""
    (folder / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    url = fresh_postgres.replace(":@", ":hunter2 hunter2%40hunter2@") + "&password=hunter2"  # the server asks for none
    assert invoke("sweep", "launch", "tiny.yaml", "--db", url).exit_code == 0
    arguments = ("worker", "--drain", "--device", "cpu", "--runs", "runs", "--db", url)
    worker = run(*arguments, env={**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"})
    assert worker.returncode == 0, worker.stderr
    assert list(folder.glob("runs/wandb/offline-run-*/run-*.wandb"))
    assert [path for path in folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()] == []
    (job,) = read(invoke("job", "list", "--json", "--db", url))
    story = invoke("job", "show", job["job"], "--json", "--db", url).stdout
    assert "hunter2" not in worker.stderr + story
    assert "password=***" in story
