"""Workers are told to stop: the epoch is finished, the jobs are handed back and cost no retry."""

from __future__ import annotations

import os
import signal
import time

import pytest
from sqlalchemy import text

from nftlab.worker.signals import Signals
from tests.worker.conftest import Lab, alive, trainer_of
from tests.worker.test_kills import authors, recorded


def training(lab: Lab) -> bool:
    """Whether the trainer has shown progress since the job was claimed: it is inside an epoch."""
    with lab.engine.connect() as connection:
        return bool(connection.execute(text("SELECT progress_at > started_at FROM jobs WHERE state = 'running'")).scalar())


def test_preempted_resumed_from_the_last_readable_checkpoint_and_interrupted(lab: Lab) -> None:
    lab.sweep(epochs=2000)
    first = lab.start()
    lab.until(lambda: recorded(lab, 2))
    trainer = trainer_of(first.pid)
    assert trainer is not None
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 75, err
    assert not alive(trainer)
    (row,) = lab.jobs()
    assert (row.state, row.retries, lab.causes(row)) == ("queued", 0, ["preempted"])

    saved = sorted((lab.runs / "checkpoints" / row.job_key / "1").glob("epoch-*"))
    assert [path.name for path in saved] == ["epoch-000001.safetensors", f"epoch-{row.epoch:06d}.safetensors"]
    saved[-1].write_bytes(saved[-1].read_bytes()[:-100])
    second = lab.start()
    lab.until(lambda: 2 in authors(lab, row.job_id))
    os.kill(second.pid, signal.SIGINT)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 130, err
    assert out == ""
    assert "sha256 differs" in err
    assert authors(lab, row.job_id)[:2] == [1, 2]
    (row,) = lab.jobs()
    assert (row.state, row.retries, lab.causes(row)) == ("queued", 0, ["preempted", "interrupted"])


def test_a_spent_budget_starts_nothing(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.sweep()
    assert lab.work(budget=1e-6) == 75
    assert "the budget is spent: 1 jobs left" in capfd.readouterr().err
    assert lab.jobs()[0].attempts == 0


@pytest.mark.ci
def test_a_budget_ends_at_an_epoch_and_costs_nothing(lab: Lab) -> None:
    lab.sweep(epochs=20000)
    worker = lab.start(budget=20)  # on a busy machine the better part of it goes by before the first epoch
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 75, err
    assert "budget: finishing the epoch" in err
    assert "the budget is spent: 1 jobs left" in err
    (row,) = lab.jobs()
    assert (row.state, row.retries, lab.causes(row)) == ("queued", 0, ["budget"])
    saved = sorted((lab.runs / "checkpoints" / row.job_key / "1").glob("epoch-*"))
    assert saved[-1].name == f"epoch-{row.epoch:06d}.safetensors"


@pytest.mark.ci
def test_the_second_ctrl_c_does_not_wait_for_the_epoch(lab: Lab) -> None:
    lab.sweep(batch_size=2, network="fc-b", epochs=1)  # an epoch of many seconds
    worker = lab.start(lease=1)
    lab.until(lambda: training(lab))
    os.kill(worker.pid, signal.SIGINT)
    time.sleep(0.2)
    assert worker.poll() is None
    start = time.monotonic()
    os.kill(worker.pid, signal.SIGINT)
    worker.communicate(timeout=120)
    assert worker.returncode == 130
    assert time.monotonic() - start < 3
    (row,) = lab.jobs()
    assert (row.state, row.retries, row.epoch, lab.causes(row)) == ("queued", 0, 0, ["interrupted"])


@pytest.mark.ci
def test_the_grace_after_sigterm_ends(lab: Lab) -> None:
    lab.sweep(batch_size=2, network="fc-b", epochs=1)
    worker = lab.start(grace=0.2, lease=1)
    lab.until(lambda: training(lab))
    worker.send_signal(signal.SIGUSR1)
    worker.communicate(timeout=120)
    assert worker.returncode == 75
    assert lab.causes(lab.jobs()[0]) == ["preempted"]


def test_an_idle_worker_stops_at_once(lab: Lab) -> None:
    worker = lab.start(drain=False)
    lab.until(lambda: trainer_of(worker.pid))
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=10)
    assert worker.returncode == 75


def test_signals_are_wishes_and_the_old_handlers_return() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Signals() as signals:
        assert not signals.stop
        os.kill(os.getpid(), signal.SIGINT)
        assert (signals.stop, signals.now, signals.cause, signals.exit_code) == (True, False, "interrupted", 130)
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.now
        os.kill(os.getpid(), signal.SIGUSR1)
        assert (signals.cause, signals.exit_code) == ("preempted", 75)
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_wake_a_wait() -> None:
    import select

    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert select.select([signals.socket], [], [], 5)[0]
        signals.drain()
        assert not select.select([signals.socket], [], [], 0)[0]


@pytest.mark.ci
def test_a_runs_folder_of_any_name_serves(lab: Lab) -> None:
    """A name that is not UTF-8 is no text that a database holds; checkpoints are found again in the folder that a worker is given."""
    lab.runs = lab.runs.parent / os.fsdecode(b"caf\xe9")
    lab.sweep(epochs=2000)
    first = lab.start()
    lab.until(lambda: recorded(lab, 2))
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=120)
    assert first.returncode == 75
    [row] = lab.jobs()
    second = lab.start()
    lab.until(lambda: 2 in authors(lab, row.job_id))
    second.send_signal(signal.SIGTERM)
    err = second.communicate(timeout=120)[1]
    assert "from epoch 0" not in err
    assert set(authors(lab, row.job_id)[: row.epoch]) == {1}, "the second went on behind the first"
