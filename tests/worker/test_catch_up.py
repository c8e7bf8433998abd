"""A worker killed in the moment after a job's finish was recorded: W&B gets the rest from the job table."""

from __future__ import annotations

import pytest

from tests.track.offline import runs
from tests.worker.conftest import Lab


@pytest.mark.ci
def test_the_next_worker_copies_what_a_killed_one_could_not(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    lab.sweep(epochs=5)
    worker = lab.start(track="wandb")
    lab.until(lambda: lab.jobs()[0].state == "done")
    worker.kill()
    worker.wait()
    [note] = (lab.runs / "owed").iterdir()
    [job] = lab.jobs()
    assert note.name.startswith(f"{job.job_key}.{worker.pid}@")
    assert lab.work(track="wandb") == 0
    assert list((lab.runs / "owed").iterdir()) == []
    assert {run["id"] for run in runs(lab.runs)} == {job.job_key}
    assert sorted(epoch for run in runs(lab.runs) for epoch in run["epochs"]) == [1, 2, 3, 4, 5]
    assert runs(lab.runs)[-1]["summary"]["best_epoch"] == job.best_epoch
    assert lab.jobs()[0].attempts == 1
