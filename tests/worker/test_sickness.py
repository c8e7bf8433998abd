"""What goes wrong is told apart: the machine, the pack, one job, or only its numbers."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from sqlalchemy import text

from nftlab.configuration import build
from nftlab.data import load
from nftlab.errors import ConfigError
from nftlab.store import story
from nftlab.train import Checkpoint, Member, Pack, checkpoint
from nftlab.train.checkpoint import save
from nftlab.worker import SickNodeError, WorkerOptions
from nftlab.worker.budget import Wishes
from nftlab.worker.handle import TrainerHandle
from nftlab.worker.messages import Failed
from nftlab.worker.pack_run import Berth, PackRun
from nftlab.worker.pack_size import Choice
from nftlab.worker.spool import Outage
from nftlab.worker.warm import WarmTrainer
from tests.store.jobtable import sql
from tests.worker import deadly, toy
from tests.worker.conftest import Lab, alive, trainer_of
from tests.worker.hanging import hang
from tests.worker.shared import check_curves, head_start
from tests.worker.test_kills import recorded


def change(lab: Lab, sql: str, **values: object) -> None:
    with lab.engine.begin() as connection:
        connection.execute(text(sql), values)


def poison(lab: Lab, index: int) -> None:
    """Registers a checkpoint that restores but lacks what a worker noted in it: the trainer raises."""
    row = lab.jobs()[index]
    pack = Pack(load("digits"), [Member(row.job_key, row.seed, build(row.config))])
    path, sha = save(lab.runs / "checkpoints" / row.job_key / "0", pack.checkpoint(row.job_key))
    change(lab, "UPDATE jobs SET checkpoint = :path, checkpoint_sha = :sha WHERE id = :job", path=str(path), sha=sha, job=row.job_id)


def test_a_diverging_trial_is_data_and_its_neighbour_goes_on(lab: Lab) -> None:
    lab.sweep("pair", lr=[0.001, 1e38])
    lab.sweep("alone", lr=0.001)
    assert lab.work(pack=2) == 0
    fine, wild, alone = lab.jobs()
    assert (wild.state, wild.diverged, wild.epoch) == ("done", True, 1)
    assert (fine.state, fine.diverged, fine.epoch) == ("done", False, 3)
    together, _, apart = lab.curves()
    for one, other in zip(together, apart, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert (fine.val_error, fine.test_error) == (alone.val_error, alone.test_error)


def test_a_bad_job_fails_alone_and_its_neighbours_finish(lab: Lab) -> None:
    lab.sweep(seeds=3, retries=0)
    poison(lab, 0)
    change(lab, "UPDATE jobs SET config = replace(config, '\"ct\"', '\"nonsense\"') WHERE id = :job", job=lab.jobs()[1].job_id)
    assert lab.work(pack=3) == 1
    crashed, wrong, fine = lab.jobs()
    assert [row.state for row in (crashed, wrong, fine)] == ["failed", "failed", "done"]
    assert lab.causes(crashed) == ["pack-crash", "crash"]
    assert lab.causes(wrong)[-1] == "config"
    assert (crashed.retries, wrong.retries, fine.retries) == (1, 0, 0)
    assert lab.causes(fine) == ["finished"]
    assert "KeyError" in (crashed.error or "")
    assert "nonsense" in (wrong.error or "")


@pytest.mark.ci
def test_failures_in_a_row_are_the_machines(lab: Lab) -> None:
    lab.sweep(seeds=2)
    poison(lab, 0)
    with pytest.raises(SickNodeError, match="in a row") as caught:
        lab.work(pack=1, max_failures=1)
    assert caught.value.exit_code == 69
    assert [(row.state, row.retries) for row in lab.jobs()] == [("queued", 0)] * 2
    assert lab.causes(lab.jobs()[0]) == ["sick-node"]


def test_a_disk_that_cannot_be_written(lab: Lab) -> None:
    lab.sweep()
    lab.runs.write_text("a file where the folder should be")
    with pytest.raises(SickNodeError, match="cannot be written") as caught:
        lab.work()
    assert caught.value.exit_code == 69
    assert "\n" not in str(caught.value)
    (row,) = lab.jobs()
    assert (row.state, row.retries, row.epoch, lab.causes(row)) == ("queued", 0, 0, ["disk"])


def test_missing_data_are_found_before_a_job_is_claimed(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing-either"))
    lab.sweep(dataset="mnist")
    with pytest.raises(SickNodeError, match="nftlab data") as caught:
        lab.work()
    assert caught.value.exit_code == 69
    (row,) = lab.jobs()
    assert (row.state, row.attempts) == ("queued", 0)


def test_jobs_on_other_data_are_trained_before_a_worker_gives_up(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NFTLAB_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing-either"))
    lab.sweep("elsewhere", dataset="mnist", network=["fc-a", "fc-b"], priority=1)
    lab.sweep("here")
    with pytest.raises(SickNodeError, match="nftlab data"):
        lab.work()
    assert [(row.sweep, row.state, row.attempts) for row in lab.jobs()] == [
        *[("elsewhere", "queued", 0)] * 2,
        ("here", "done", 1),
    ]
    assert "jobs on mnist are left to others" in capfd.readouterr().err


def test_a_data_set_that_this_code_lacks_is_left_to_code_that_has_it(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """As in a checkout older than the one that launched: one line, no traceback, and what can train does."""
    lab.sweep("newer", priority=1)
    lab.sweep("here")
    sql(lab.engine, "UPDATE jobs SET config = json_set(config, '$.dataset', 'vino'), pack_key = 'vino' WHERE sweep = 'newer'")
    with pytest.raises(SickNodeError) as caught:
        lab.work()
    assert caught.value.exit_code == 69
    assert str(caught.value).startswith("there is no data set 'vino'")
    sql(lab.engine, "UPDATE sweeps SET code = :code WHERE name = 'newer'", code=json.dumps({"git_sha": "a" * 40, "dirty": None}))
    with pytest.raises(SickNodeError) as caught:
        lab.work()
    for part in ("sweep newer was launched from code aaaaaaaaaaaa,", "in which there is no data set 'vino'", "check out the code that was"):
        assert part in str(caught.value)
    assert [(row.sweep, row.state, row.attempts) for row in lab.jobs()] == [("newer", "queued", 0), ("here", "done", 1)]
    said = capfd.readouterr().err
    assert "jobs on vino are left to others: sweep newer was launched from code" in said
    assert "Traceback" not in said


@pytest.mark.ci
def test_a_device_that_is_not_there(lab: Lab) -> None:
    lab.sweep()
    with pytest.raises(SickNodeError, match="cuda:99"):
        lab.work(device="cuda:99")
    assert lab.jobs()[0].attempts == 0


@pytest.mark.ci
def test_a_trainer_that_hangs_is_replaced(lab: Lab) -> None:
    lab.sweep(epochs=400)
    worker = lab.start(stalled_after=4, lease=60)  # longer than a busy machine or disk takes for an epoch
    lab.until(lambda: recorded(lab, 2))
    trainer = trainer_of(worker.pid)
    assert trainer is not None
    os.kill(trainer, signal.SIGSTOP)
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    assert "no progress" in err
    assert lab.causes(lab.jobs()[0]) == ["stalled", "finished"]


@pytest.mark.ci
def test_a_machine_on_which_every_trainer_dies_costs_jobs_nothing(lab: Lab) -> None:
    """The first jobs are lost often enough there to be quarantined, before different ones show that it is the machine."""
    lab.sweep(seeds=3)
    with pytest.raises(SickNodeError, match="3 jobs in a row failed"):
        deadly.work_with(deadly.deadly_machine, lab.options(pack=3, max_failures=3))
    first, *_ = lab.jobs()
    assert [step["target"] for step in story(lab.engine, first.job_key)["transitions"]][-2:] == ["quarantined", "queued"]
    assert [(row.state, row.losses) for row in sql(lab.engine, "SELECT state, losses FROM jobs")] == [("queued", 0)] * 3
    assert {cause for row in lab.jobs() for cause in lab.causes(row)} == {"sick-node"}
    assert lab.work(pack=3) == 0, "on another machine they finish"


@pytest.mark.ci
def test_a_machine_on_which_one_job_after_the_other_fails_costs_them_nothing(lab: Lab) -> None:
    lab.sweep(seeds=3, retries=0)
    for index in (0, 1, 2):
        poison(lab, index)
    with pytest.raises(SickNodeError, match="3 jobs in a row failed"):
        lab.work(pack=1, max_failures=3)
    assert [(row.state, row.retries) for row in lab.jobs()] == [("queued", 0)] * 3
    assert [lab.causes(row) for row in lab.jobs()] == [["sick-node"]] * 3
    change(lab, "UPDATE jobs SET checkpoint = NULL, checkpoint_sha = NULL")
    assert lab.work(pack=3) == 0, "on another machine they finish, and together"
    assert {row.attempts for row in lab.jobs()} == {2}


def test_a_trainer_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    trainer = TrainerHandle("cpu", tmp_path, deterministic=False, serve=hang)
    child: int = trainer.pipe.recv()
    assert alive(child)
    trainer.kill()
    deadline = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert trainer.gone


@pytest.mark.ci
def test_cancelling_a_running_job_does_not_stop_its_worker(lab: Lab) -> None:
    lab.sweep("long", epochs=2000)
    lab.sweep("short")
    worker = lab.start(lease=1)
    lab.until(lambda: recorded(lab, 2))
    lab.queue.cancel([lab.jobs()[0].job_id])
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    assert [row.state for row in lab.jobs()] == ["cancelled", "done"]


@pytest.mark.ci
def test_other_code_is_refused_when_strict(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.sweep()
    change(lab, "UPDATE sweeps SET code = :code", code='{"git_sha": "0123456789", "dirty": null}')
    with pytest.raises(ConfigError, match="0123456") as caught:
        lab.work(strict=True)
    assert caught.value.exit_code == 78
    (row,) = lab.jobs()
    assert (row.state, row.retries) == ("queued", 0)
    assert lab.work() == 0
    assert "launched from code 0123456" in capfd.readouterr().err


def test_a_trainer_is_recorded_with_the_code_that_lay_there_when_it_started(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a pull into the checkout of a worker: a trainer that died is followed by one that runs the new code."""
    lying = {"git_sha": "a" * 40, "dirty": None}
    monkeypatch.setattr("nftlab.worker.warm.identity", lambda: dict(lying))
    said: list[str] = []
    spawn = partial(TrainerHandle, "cpu", lab.runs, deterministic=False, serve=toy.serve, method="fork")
    with Wishes(None) as signals:
        warm = WarmTrainer(spawn, lab.engine, signals, said.append)
        lying["git_sha"] = "b" * 40
        assert warm.start()
        assert (warm.code["git_sha"], said) == ("a" * 40, []), "it lived before the pull"
        os.kill(warm.handle.pid, signal.SIGKILL)
        lab.until(lambda: warm.handle.gone)
        assert warm.start()
        assert (warm.code["git_sha"], said) == ("b" * 40, [f"the checkout changed: what trains from now on is code {'b' * 12}"])
        warm.handle.kill()


@pytest.mark.ci
def test_a_checkpoint_of_other_fields_starts_its_job_over(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """As after an update of nftlab that gave the algorithm one more hyper-parameter: the job is not to blame."""
    lab.sweep()
    head_start(lab, [1])
    (path,) = lab.runs.glob("checkpoints/*/*/epoch-000001.safetensors")
    old = checkpoint.load(path)
    _, sha = save(path.parent, Checkpoint(old.tensors, old.meta | {"digest": "of fewer fields"}))
    change(lab, "UPDATE jobs SET checkpoint_sha = :sha", sha=sha)
    assert lab.work() == 0
    err = capfd.readouterr().err
    assert "made with other hyper-parameters" in err
    assert "starts from epoch 0 again" in err
    assert [(row.state, row.retries, row.epoch) for row in lab.jobs()] == [("done", 0, 3)]
    check_curves(lab)


def test_the_process_of_a_pack_that_crashed_trains_no_other() -> None:
    """After an error of CUDA every further call of that process would fail, and the jobs with it."""
    session, claim = MagicMock(), MagicMock(attempt_id=7, job_key="job", alone=False)
    session.options, session.signals.stop = WorkerOptions(), False
    session.signals.preempted, session.outage = False, Outage(session.queue, print)
    session.suspect.return_value = [claim]
    session.sizes.places.return_value = 1
    session.signals.socket, wake = socket.socketpair()
    wake.send(b"!")
    session.trainer.waitable, session.trainer.gone = [], False
    session.trainer.hear.return_value = [Failed("crash", "CUDA error: an illegal memory access was encountered", "Traceback …")]
    PackRun(session, Berth("kind", Choice(), {})).run([claim])
    session.trainer.kill.assert_called_once()
    session.queue.fail.assert_called_once_with(claim, "Traceback …", cause="crash")
    wake.close()
    session.signals.socket.close()
