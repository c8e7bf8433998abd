"""A worker that slept past its lease wakes up: others have its jobs, it changes nothing and leaves with 75."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.store.jobtable import sql
from tests.track.offline import runs
from tests.worker import toy
from tests.worker.conftest import Lab, alive, sleep

TABLES = ("sweeps", "jobs", "attempts", "transitions", "epoch_rows")


def everything(lab: Lab, asleep: str) -> tuple[dict[str, Any], dict[Path, bytes]]:
    """All rows, and the content of all files but those that the sleeper may write to: its attempts' folders, and its tracker's copy.

    Stopped between accepted rows and the tracker's thread, it mirrors its last accepted epochs when it wakes, with the values they have.
    """
    rows = {table: sorted(map(str, sql(lab.engine, f"SELECT * FROM {table}"))) for table in TABLES}
    kept = [
        path for path in lab.runs.rglob("*") if path.is_file() and path.parent.name != asleep and not {"wandb", "tracked"} & set(path.parts)
    ]
    return rows, {path: path.read_bytes() for path in kept}


def test_a_worker_that_wakes_up_late_changes_nothing(lab_anywhere: Lab) -> None:
    lab = lab_anywhere
    lab.sweep(epochs=15, seeds=2)  # some are left when it is put to sleep, though that may take a few tries
    sleeper = lab.fork(toy.work, "sleeper", pack=2, lease=1.0)
    both = sleep(lab, sleeper.pid or 0)
    other = lab.fork(toy.work, "other", pack=2, lease=1.0)
    other.join(60)
    assert other.exitcode == 0, (lab.runs.parent / "other").read_text()
    before = everything(lab, asleep="1")
    for pid in both:
        os.kill(pid, signal.SIGCONT)
    sleeper.join(60)
    said = (lab.runs.parent / "sleeper").read_text()
    assert sleeper.exitcode == 75, said
    assert "FencedError" in said
    assert everything(lab, asleep="1") == before
    for row in lab.jobs():
        assert (row.state, lab.causes(row)) == ("done", ["lease expired", "finished"])
        copied, whole = toy.tracked(lab.runs / "tracked" / f"{row.job_key}.jsonl"), toy.straight(row.config, row.seed)[0]
        assert copied[: len(whole)] == whole
        assert all(late in whole for late in copied[len(whole) :])


def test_a_worker_that_wakes_up_late_and_finds_its_job_untouched_goes_on_with_it(lab: Lab) -> None:
    """A place of its pack is free: looking for another job it does not take its own for one of a dead worker."""
    lab.sweep(epochs=15)
    sleeper = lab.fork(toy.work, "sleeper", pack=2, lease=1.0)
    both = sleep(lab, sleeper.pid or 0)
    lab.until(lambda: lab.queue.overdue())
    for pid in both:
        os.kill(pid, signal.SIGCONT)
    sleeper.join(60)
    assert sleeper.exitcode == 0, (lab.runs.parent / "sleeper").read_text()
    [row] = lab.jobs()
    assert (row.state, lab.causes(row)) == ("done", ["finished"])


@pytest.mark.ci
def test_it_leaves_75_and_its_wandb_run_alone(lab_anywhere: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    lab = lab_anywhere
    lab.sweep(epochs=500)
    where = ("--db", lab.url, "--runs", str(lab.runs), "--lease", "1", "--drain", "--device", "cpu")
    command = [sys.executable, "-m", "nftlab", "worker", *where]
    sleeper = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lab.started.append(sleeper)
    both = sleep(lab, sleeper.pid)
    assert lab.work(lease=1.0, track="wandb") == 0
    before = everything(lab, asleep="1")
    for pid in both:
        os.kill(pid, signal.SIGCONT)
    _, err = sleeper.communicate(timeout=120)
    assert sleeper.returncode == 75, err
    assert "lease ran out" in err
    assert not any(map(alive, both))
    assert everything(lab, asleep="1") == before
    (row,) = lab.jobs()
    copies = runs(lab.runs)  # offline each worker has one; they are one run by their id
    assert {run["id"] for run in copies} == {row.job_key}
    (whole,) = [run for run in copies if run["exit_code"] == 0]
    assert whole["epochs"] == list(range(1, 501))
