"""Nodes die: what was recorded stays, what was not is trained again to the same bits."""

from __future__ import annotations

import os
import signal

import pytest
from sqlalchemy import text

from nftlab.store import Claim, Queue, Worker
from nftlab.train.checkpoint import load
from nftlab.worker.pack_size import Sizes
from tests.track.offline import runs
from tests.worker import deadly
from tests.worker.conftest import Lab, alive, sleep, trainer_of
from tests.worker.shared import head_start

EPOCHS = 100  # enough to be caught in the middle, seconds before the end even by a test that a busy machine keeps waiting


def authors(lab: Lab, job_id: int) -> list[int]:
    """The token of the attempt that recorded each epoch."""
    with lab.engine.connect() as connection:
        return list(connection.execute(text("SELECT token FROM epoch_rows WHERE job_id = :job ORDER BY epoch"), {"job": job_id}).scalars())


def recorded(lab: Lab, epoch: int) -> bool:
    return lab.jobs()[0].epoch >= epoch


def twins(lab: Lab) -> None:
    """Two sweeps of the same two jobs: the first will be disturbed, the second tells what should have come out."""
    for name in ("disturbed", "undisturbed"):
        lab.sweep(name, seeds=2, epochs=EPOCHS, batch_size=64)


def check_twins(lab: Lab) -> None:
    disturbed, undisturbed = lab.curves()[:2], lab.curves()[2:]
    assert disturbed == undisturbed
    assert all(len(points) == EPOCHS for points in disturbed)
    found = [(row.state, row.retries, row.best_epoch, row.val_error, row.test_error) for row in lab.jobs()]
    assert found[:2] == found[2:]
    assert [row[:2] for row in found] == [("done", 0)] * 4


@pytest.mark.ci
def test_a_killed_trainer_is_replaced_and_its_jobs_resume(lab: Lab) -> None:
    twins(lab)
    worker = lab.start(pack=2)
    lab.until(lambda: recorded(lab, 2))
    trainer = trainer_of(worker.pid)
    assert trainer is not None
    os.kill(trainer, signal.SIGKILL)
    _, err = worker.communicate(timeout=180)
    assert worker.returncode == 0, err
    assert "the trainer was killed by SIGKILL" in err
    check_twins(lab)
    for row in lab.jobs()[:2]:
        assert lab.causes(row) == ["lost-trainer", "finished"]
        assert authors(lab, row.job_id) == [1] + [2] * (EPOCHS - 1)  # its checkpoint was of epoch 1


@pytest.mark.ci
@pytest.mark.parametrize("epoch", [1, 10, 40])
def test_killed_after_any_recorded_epoch_it_resumes_above_epoch_0(lab: Lab, epoch: int) -> None:
    lab.sweep(epochs=400)
    worker = lab.start()
    lab.until(lambda: recorded(lab, epoch))
    trainer = trainer_of(worker.pid)
    assert trainer is not None
    os.kill(trainer, signal.SIGKILL)
    _, err = worker.communicate(timeout=180)
    assert worker.returncode == 0, err
    (row,) = lab.jobs()
    written_by = authors(lab, row.job_id)
    assert len(written_by) == 400
    assert (written_by[0], written_by[-1]) == (1, 2)


@pytest.mark.ci
def test_a_killed_worker_leaves_no_trainer_and_another_one_resumes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    twins(lab)
    worker = lab.start(pack=2, lease=2, track="wandb")
    lab.until(lambda: recorded(lab, 2))
    trainer = trainer_of(worker.pid)
    assert trainer is not None
    os.kill(worker.pid, signal.SIGKILL)
    lab.until(lambda: not alive(trainer), seconds=20)
    assert lab.work(pack=2, lease=2, track="wandb") == 0
    check_twins(lab)
    for row in lab.jobs()[:2]:
        assert lab.causes(row) == ["lease expired", "finished"]
        assert authors(lab, row.job_id)[0] == 1
    for row in lab.jobs():
        logged = [epoch for run in runs(lab.runs) if run["id"] == row.job_key for epoch in run["epochs"]]
        assert logged == list(range(1, EPOCHS + 1))


@pytest.mark.ci
def test_a_worker_that_overslept_its_lease_changes_nothing(lab: Lab) -> None:
    lab.sweep(epochs=500)
    worker = lab.start(lease=1)
    both = sleep(lab, worker.pid)  # not while it holds the file's lock, which nobody could claim past
    before = lab.curves()
    other = Queue(lab.engine, lease=60)
    taken: list[Claim] = []
    lab.until(lambda: taken or taken.extend(other.claim(Worker("other", "elsewhere", 1), 1, {})))
    for pid in reversed(both):
        os.kill(pid, signal.SIGCONT)
    _, err = worker.communicate(timeout=120)
    assert "FencedError" in err
    assert not any(map(alive, both))
    assert lab.curves() == before
    (row,) = lab.jobs()
    assert (row.state, row.attempts) == ("running", 2)
    assert other.beat(taken, progressed=True) == set()


@pytest.mark.ci
def test_a_job_that_was_through_when_its_worker_died_keeps_its_best_weights(lab: Lab) -> None:
    lab.sweep(epochs=3)
    head_start(lab, [3])  # every epoch is recorded, the finish is not
    assert lab.work() == 0
    (row,) = lab.jobs()
    assert (row.state, row.epoch) == ("done", 3)
    best = load(lab.runs / "checkpoints" / row.job_key / "best.safetensors")
    assert (best.meta["epoch"], best.meta["val_error"]) == (row.best_epoch, row.val_error)


@pytest.mark.ci
def test_a_job_that_always_kills_its_trainer_at_one_epoch_is_given_up_and_its_company_finishes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sizes, "limit", lambda *_: None)  # packs become smaller too, in case memory was short: here they do not
    lab.sweep(seeds=3, epochs=5)
    assert deadly.work_with(deadly.deadly_job, lab.options(pack=3)) == 1
    innocent, guilty, other = lab.jobs()
    assert [(row.state, row.epoch) for row in (innocent, guilty, other)] == [("done", 5), ("quarantined", deadly.EPOCH - 1), ("done", 5)]
    assert set(lab.causes(guilty)) == {"lost-trainer"}
    assert lab.causes(innocent)[-1] == lab.causes(other)[-1] == "finished"
    assert [row.retries for row in (innocent, guilty, other)] == [0, 0, 0]
