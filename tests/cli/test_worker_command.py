"""From launch to table through the command line alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.helpers import Invoke, read

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
