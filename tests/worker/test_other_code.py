"""The code that was launched is the code that runs: a real second checkout with an edit."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nftlab.resources import shipped

Call = Callable[..., "subprocess.CompletedProcess[str]"]
SWEEP = """
name: tiny
method: grid
metric: {name: val/error, goal: minimize}
parameters: {dataset: {value: digits}, network: {value: fc-a}, algorithm: {value: ct}, epochs: {value: 1}}
"""
EDIT = "NEWS = 'an edit'\n"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs nftlab from one of two checkouts of the same commit, "launched" and "edited", on one job table."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    first, package = tmp_path / "launched", Path(__file__).parents[2] / "nftlab"
    shutil.copytree(package, first / "nftlab", ignore=shutil.ignore_patterns("__pycache__", "_shipped"))
    shutil.copytree(shipped("db"), first / "db", ignore=shutil.ignore_patterns("__pycache__", "*.sqlite*"))
    (first / "pyproject.toml").touch()
    (first / ".gitignore").write_text("__pycache__/\n")
    author = ["-c", "user.name=me", "-c", "user.email=me@here", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "first"], ["clone", "-q", ".", tmp_path / "edited"]):
        subprocess.run(["git", *words], cwd=first, check=True)
    (tmp_path / "edited" / "nftlab" / "news.py").write_text(EDIT)
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    environment = {**os.environ, "NFTLAB_DB": str(tmp_path / "lab.sqlite"), "NFTLAB_RUNS": str(tmp_path / "runs")}

    def run(checkout: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nftlab", *words]
        return subprocess.run(command, cwd=tmp_path / checkout, env=environment, capture_output=True, text=True, timeout=120)

    assert run("launched", "sweep", "launch", "../tiny.yaml").returncode == 0
    return run


def ask_for(folder: Path, field: str, value: str) -> None:
    """Let the jobs ask for what only the code that they were launched from would know."""
    with sqlite3.connect(folder / "lab.sqlite") as table:
        table.execute(f"UPDATE jobs SET config = json_set(config, '$.{field}', {value})")


@pytest.mark.ci
def test_other_code_is_refused_under_strict_and_the_job_goes_back(call: Call) -> None:
    refused = call("edited", "worker", "--drain", "--no-wandb", "--device", "cpu", "--strict")
    assert refused.returncode == 78, refused.stderr
    assert "sweep tiny was launched from code" in refused.stderr
    assert "with uncommitted changes" in refused.stderr
    assert '"queued": 1' in call("launched", "status", "--json").stdout


@pytest.mark.ci
def test_a_job_that_older_code_does_not_understand_is_left_to_newer(call: Call, tmp_path: Path) -> None:
    """As when a field of the hyper-parameters is new: the older worker must not fail the sweep, which it would do in seconds."""
    ask_for(tmp_path, "label_smoothing", "0.1")
    worked = call("edited", "worker", "--drain", "--no-wandb", "--device", "cpu")
    assert worked.returncode == 69, worked.stderr
    assert "its jobs are left to others: sweep tiny was launched from code" in worked.stderr
    assert "label_smoothing" in worked.stderr
    assert '"queued": 1' in call("launched", "status", "--json").stdout
    (tmp_path / "own.yaml").write_text(SWEEP.replace("tiny", "own"))
    assert call("edited", "sweep", "launch", "../own.yaml").returncode == 0
    both = call("edited", "worker", "--drain", "--no-wandb", "--device", "cpu")
    assert both.returncode == 69, both.stderr
    assert '"done": 1' in call("launched", "status", "--sweep", "own", "--json").stdout, "a sweep of like jobs is trained"
    assert call("launched", "worker", "--drain", "--no-wandb", "--device", "cpu").returncode == 1
    assert '"failed": 1' in call("launched", "status", "--json").stdout


@pytest.mark.ci
def test_a_worker_trains_what_it_had_left_to_others_once_it_is_launched_from_its_code(call: Call, tmp_path: Path) -> None:
    ask_for(tmp_path, "label_smoothing", "0.1")
    (tmp_path / "own.yaml").write_text(SWEEP.replace("tiny", "own").replace("epochs: {value: 1}", "epochs: {value: 10000}"))
    assert call("edited", "sweep", "launch", "../own.yaml").returncode == 0
    with ThreadPoolExecutor() as pool:
        worker = pool.submit(call, "edited", "worker", "--drain", "--no-wandb", "--device", "cpu")
        while '"running": 1' not in call("edited", "status", "--sweep", "own", "--json").stdout:
            assert not worker.done(), worker.result().stderr
        assert call("edited", "sweep", "delete", "tiny", "--yes").returncode == 0
        assert call("edited", "sweep", "launch", "../tiny.yaml").returncode == 0
        assert not worker.done()
        assert call("edited", "sweep", "cancel", "own").returncode == 0
    assert worker.result().returncode == 0, worker.result().stderr
    assert "its jobs are left to others: sweep tiny" in worker.result().stderr
    assert '"done": 1' in call("edited", "status", "--sweep", "tiny", "--json").stdout


@pytest.mark.ci
def test_other_code_is_said_and_recorded(call: Call) -> None:
    worked = call("edited", "worker", "--drain", "--no-wandb", "--device", "cpu")
    assert worked.returncode == 0, worked.stderr
    assert "sweep tiny was launched from code" in worked.stderr
    key = call("launched", "job", "list").stdout.splitlines()[1].split("\t")[0]
    shown = call("launched", "job", "show", key, "--diff", "--packages").stdout
    assert f"+++ b/nftlab/news.py\n@@ -0,0 +1 @@\n+{EDIT}" in shown
    assert "\ntorch==" in shown
    assert "with uncommitted changes" in call("launched", "job", "show", key).stdout
    assert "with uncommitted changes" not in call("launched", "sweep", "show", "tiny").stdout
    assert "1 finished jobs ran with other code" in call("launched", "sweep", "launch", "../tiny.yaml").stderr


@pytest.mark.ci
def test_a_data_set_that_older_code_does_not_have_is_left_to_newer(call: Call, tmp_path: Path) -> None:
    ask_for(tmp_path, "dataset", "'vino'")
    worked = call("edited", "worker", "--drain", "--no-wandb", "--device", "cpu")
    assert worked.returncode == 69, worked.stderr
    assert "jobs on vino are left to others: sweep tiny was launched from code" in worked.stderr
    assert "Traceback" not in worked.stderr
    assert '"queued": 1' in call("launched", "status", "--json").stdout
