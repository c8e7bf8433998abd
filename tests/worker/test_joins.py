"""Lanes do not idle: where a job leaves a pack, another takes its place, and none of them can tell."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from nftlab.store import jobs, story
from tests.store.conftest import TABLES
from tests.store.jobtable import sql
from tests.worker.conftest import Lab, trainer_of
from tests.worker.shared import WILD, attempts, check_curves, head_start, joined, settle_on
from tests.worker.test_sickness import change, poison

GRID = {"precision": "fp64", "lr": [0.001, 0.003, WILD], "seeds": 3}  # nine jobs, three of which diverge


def check_shared(lab: Lab, places: int) -> None:
    """One pack from the first job to the last, its places taken as long as there were jobs."""
    tries = [attempt for attempt in attempts(lab) if attempt["worker"] != "other"]
    assert len(tries) == len(lab.jobs())
    assert {attempt["cause"] for attempt in tries} == {"finished", "diverged"}
    first, rest = tries[:places], tries[places:]
    assert all("beside" not in attempt["circumstances"] for attempt in first)
    taken = [len(attempt["circumstances"]["beside"]) + attempt["circumstances"]["pack_size"] for attempt in rest]
    assert taken[:-1] == [places] * (len(rest) - 1)
    assert 1 < taken[-1] <= places  # two may leave when one is left to come
    for attempt in rest:
        running = [other for other in tries if other["started_at"] < attempt["started_at"] < other["ended_at"]]
        assert len(running) == len(attempt["circumstances"]["beside"])


@pytest.mark.ci
def test_nine_jobs_share_four_lanes(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.sweep(epochs=6, **GRID)
    settle_on(lab, 4)
    head_start(lab, [4, 3, 1])
    assert lab.work(pack=4) == 0
    check_curves(lab)
    check_shared(lab, 4)
    assert capfd.readouterr().err.count("training ct") == 1


@pytest.mark.ci
def test_nine_jobs_share_four_lanes_on_postgres(lab: Lab, tmp_path: Path, postgres_url: str) -> None:
    other = Lab(tmp_path, postgres_url)
    sql(other.engine, f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    try:
        other.sweep(epochs=6, **GRID)
        settle_on(other, 4, "apart")
        head_start(other, [4, 3, 1])
        assert other.work(pack=4) == 0
        check_curves(other)
        check_shared(other, 4)
    finally:
        other.engine.dispose()


@pytest.mark.ci
def test_a_shared_pack_survives_its_trainer_and_a_preemption(lab: Lab) -> None:
    def training() -> bool:
        """Whether somebody who joined is in training."""
        return any(attempt["cause"] is None for attempt in joined(lab))

    lab.sweep(epochs=100, seeds=6, precision="fp64", batch_size=64)
    settle_on(lab, 3)
    head_start(lab, [90, 60, 30])  # so that places become free one by one, seconds apart
    worker = lab.start(pack=3)
    lab.until(training)
    trainer = trainer_of(worker.pid)
    assert trainer is not None
    os.kill(trainer, signal.SIGKILL)
    lab.until(lambda: any(attempt["cause"] == "lost-trainer" for attempt in joined(lab)))
    lab.until(training)
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 75, err
    assert "the trainer was killed by SIGKILL" in err
    causes = {attempt["cause"] for attempt in joined(lab)}
    assert causes >= {"lost-trainer", "preempted"}
    for row in lab.jobs():
        assert row.retries == 0
        assert (row.state, row.epoch) == ("done", 100) or row.state == "queued"
    assert lab.work(pack=3) == 0
    check_curves(lab)


def test_a_bad_job_that_joins_harms_only_itself(lab: Lab) -> None:
    lab.sweep(seeds=6, retries=0)
    settle_on(lab, 2)
    poison(lab, 2)
    change(lab, "UPDATE jobs SET config = replace(config, '\"ct\"', '\"nonsense\"') WHERE id = :job", job=lab.jobs()[3].job_id)
    assert lab.work(pack=2) == 1
    rows = lab.jobs()
    assert [row.state for row in rows] == ["done", "done", "failed", "failed", "done", "done"]
    assert [row.attempts for row in rows] == [1, 1, 2, 2, 1, 1]
    assert lab.causes(rows[2]) == ["pack-crash", "crash"]
    assert lab.causes(rows[3]) == ["pack-crash", "config"]


@pytest.mark.ci
def test_a_sweep_of_higher_priority_gets_its_turn(lab: Lab) -> None:
    lab.sweep("low", seeds=30, epochs=10)  # so many that most still wait when the other sweep comes
    settle_on(lab, 2)
    head_start(lab, [5])  # so that the two lanes do not end together
    worker = lab.start(pack=2)
    lab.until(lambda: joined(lab))
    lab.sweep("high", priority=5, batch_size=64)
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    (high,) = jobs(lab.engine, sweep="high")
    (launched, claimed, _) = story(lab.engine, high.job_key)["transitions"]
    starts = [attempt["started_at"] for attempt in attempts(lab)]
    assert sum(launched["at"] < start < claimed["at"] for start in starts) <= 1  # one claim may have been under way
    assert sum(start > claimed["at"] for start in starts) >= 2


@pytest.mark.ci
def test_a_cancelled_job_makes_place(lab: Lab) -> None:
    lab.sweep(seeds=3, epochs=3000)
    settle_on(lab, 2)
    worker = lab.start(pack=2, lease=1)
    lab.until(lambda: lab.jobs()[0].epoch > 1)
    lab.queue.cancel([lab.jobs()[0].job_id])
    lab.until(lambda: lab.jobs()[2].epoch > 1)
    lab.queue.cancel([row.job_id for row in lab.jobs()])
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    assert [len(attempt["circumstances"].get("beside", [])) for attempt in attempts(lab)] == [0, 0, 1]
    assert [row.attempts for row in lab.jobs()] == [1, 1, 1]


@pytest.mark.ci
def test_a_job_that_must_be_alone_gets_no_company(lab: Lab) -> None:
    lab.sweep(seeds=5)
    settle_on(lab, 2)
    change(lab, "UPDATE jobs SET alone = :yes WHERE id = :job", yes=True, job=lab.jobs()[1].job_id)
    assert lab.work(pack=2) == 0
    tries = attempts(lab)
    alone = next(attempt for attempt in tries if attempt["job_id"] == lab.jobs()[1].job_id)
    assert alone["circumstances"]["pack_size"] == 1
    others = [attempt for attempt in tries if attempt is not alone]
    assert all(other["ended_at"] <= alone["started_at"] or other["started_at"] >= alone["ended_at"] for other in others)


@pytest.mark.ci
def test_no_more_jobs_than_asked_for_join(lab: Lab) -> None:
    lab.sweep(seeds=6)
    settle_on(lab, 2)
    assert lab.work(pack=2, drain=False, max_jobs=3) == 0
    assert [row.state for row in lab.jobs()] == ["done"] * 3 + ["queued"] * 3
    assert [row.attempts for row in lab.jobs()] == [1] * 3 + [0] * 3
