"""Sweeps that are paused or cancelled while workers are at them."""

from __future__ import annotations

import os
import signal

import pytest

from nftlab.store import cancel, check, delete, pause
from tests.worker.conftest import Lab, trainer_of
from tests.worker.test_outages import Voice
from tests.worker.test_stops import training

LONG = {"network": "fc-b", "batch_size": 2, "epochs": 1}  # an epoch of minutes


def test_a_paused_sweep_is_left_alone_and_said_to_be_there(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.sweep("waits", seeds=2)
    pause(lab.engine, "waits")
    assert lab.work() == lab.work(drain=False, drain_now=True) == 0
    assert capfd.readouterr().err.count("2 jobs wait for sweep waits, which is paused; nftlab sweep resume waits") == 2
    assert [row.attempts for row in lab.jobs()] == [0, 0]


@pytest.mark.ci
def test_cancelling_ends_an_epoch_in_the_middle_and_the_trainer_goes_on_with_others(lab: Lab) -> None:
    lab.sweep("gone", **LONG)
    worker = lab.start(lease=1)
    lab.until(lambda: training(lab))
    trainer = trainer_of(worker.pid)
    lab.sweep("next", epochs=1)
    cancel(lab.engine, "gone")
    lab.until(lambda: lab.jobs(sweep="next")[0].state in ("running", "done"), seconds=45)
    assert trainer_of(worker.pid) in (trainer, None)
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    assert [(row.state, row.epoch) for row in lab.jobs()] == [("cancelled", 0), ("done", 1)]
    assert "killed" not in err


@pytest.mark.ci
def test_a_trainer_that_does_not_let_go_is_killed(lab: Lab) -> None:
    lab.sweep("gone", **LONG)
    worker = lab.start(lease=1, grace=0.5)
    lab.until(lambda: training(lab))
    trainer = trainer_of(worker.pid)
    assert trainer is not None
    os.kill(trainer, signal.SIGSTOP)
    cancel(lab.engine, "gone")
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert "does not let go of what was cancelled" in err
    assert lab.causes(lab.jobs()[0]) == ["cancel"]


@pytest.mark.ci
def test_a_deleted_sweep_is_let_go_and_its_namesake_trained(lab: Lab) -> None:
    epochs = 300
    lab.sweep("gone", epochs=epochs, seeds=2)
    worker = lab.start(pack=2, lease=3, drain=False)  # else it may leave between the cancel and the launch
    voice = Voice(worker)
    lab.until(lambda: all(row.epoch > 3 for row in lab.jobs()))
    before = {row.job_id: row.job_key for row in lab.jobs()}
    cancel(lab.engine, "gone")
    delete(lab.engine, "gone")
    lab.sweep("gone", epochs=epochs, seeds=2)
    lab.until(lambda: {row.state for row in lab.jobs()} == {"done"})
    worker.send_signal(signal.SIGTERM)
    assert voice.end() == 75, voice.said
    assert voice.heard("2 of our jobs cancelled"), voice.said
    after = {row.job_id: row.job_key for row in lab.jobs()}
    assert (set(after.values()), set(after) & set(before)) == (set(before.values()), set())
    assert [(row.state, row.epoch, row.attempts) for row in lab.jobs()] == [("done", epochs, 1)] * 2
    assert [len(rows) for rows in lab.curves()] == [epochs] * 2
    assert check(lab.engine) == []


@pytest.mark.ci
@pytest.mark.parametrize("places", [1, 2])
def test_a_job_that_is_cancelled_and_queued_again_before_its_worker_hears_of_it(lab: Lab, places: int) -> None:
    lab.sweep("again", **LONG | {"batch_size": 16})  # an epoch of seconds, so that with two places there is one for it before it is over
    worker = lab.start(pack=places)
    lab.until(lambda: lab.jobs()[0].state == "running")
    lab.queue.cancel([lab.jobs()[0].job_id])
    lab.queue.retry([lab.jobs()[0].job_id])
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    assert lab.causes(lab.jobs()[0]) == ["cancel", "finished"]
    assert lab.jobs()[0].retries == 0
