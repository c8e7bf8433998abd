"""Sweeps that are paused, resumed, stopped, cancelled and put before others."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from nftlab.errors import NotFoundError, UsageError
from nftlab.store import Queue, Steered, cancel, jobs, launch, launched, pause, resume, set_priority, stop, story
from tests.store.jobtable import ANN, BOB, CODE, DONE, expire, make_sweep, sql


@pytest.fixture(autouse=True)
def two_sweeps(engine: Engine) -> None:
    """Twelve jobs of sweep "s", and two of sweep "other" behind them that could train with those."""
    launch(engine, make_sweep(), code=CODE)
    launch(engine, make_sweep("other", trials=1, seeds=2), code=CODE)


def states(engine: Engine, sweep: str = "s") -> list[str]:
    return [job.state for job in jobs(engine, sweep=sweep)]


def test_of_a_paused_sweep_nothing_is_claimed_and_what_runs_goes_on(engine: Engine, queue: Queue) -> None:
    first, second = queue.claim(ANN, 2, CODE)
    assert pause(engine, "s") == pause(engine, "s") == Steered("s", "paused", cancelled=0, queued=10, running=2)
    assert queue.paused() == {"s": 10}
    head = queue.peek()
    assert head is not None
    assert queue.claimable(head["pack_key"], 99) == 2
    assert queue.beat([first], progressed=True) == queue.finish([(first, DONE)]) == set()
    queue.release([second], cause="preempted")
    claims = queue.claim(BOB, 99, CODE) + queue.claim(BOB, 99, CODE, pack_key=head["pack_key"])
    assert {claim.sweep for claim in claims} == {"other"}
    assert len(claims) == 2
    assert queue.claim(BOB, 99, CODE, pack_key=head["pack_key"], join=True) == []
    assert not queue.drained()
    queue.finish([(claim, DONE) for claim in claims])
    assert queue.drained(), "nobody waits for a paused job"
    assert resume(engine, "s") == Steered("s", "active", cancelled=0, queued=11, running=0)
    assert len(queue.claim(BOB, 99, CODE)) == 11
    assert queue.paused() == {}


def test_what_comes_back_or_is_added_during_a_pause_waits_too(engine: Engine, queue: Queue) -> None:
    cancel(engine, "other")
    queue.claim(ANN, 12, CODE)
    pause(engine, "s")
    launch(engine, make_sweep(seeds=4), code=CODE)
    assert launched(engine)[0]["state"] == "paused", "launching more does not resume"
    expire(engine)
    queue.reclaim(BOB)
    queue.cancel([1])
    queue.retry([1])
    assert (queue.paused(), queue.peek(), queue.claim(BOB, 99, CODE)) == ({"s": 16}, None, [])


def test_stopping_cancels_what_waits_and_lets_what_runs_finish(engine: Engine, queue: Queue) -> None:
    ran, handed_back = queue.claim(ANN, 2, CODE)
    assert stop(engine, "s") == Steered("s", "stopped", cancelled=10, queued=0, running=2)
    assert queue.finish([(ran, DONE)]) == set()
    queue.release([handed_back], cause="preempted")
    assert queue.claim(BOB, 1, CODE)[0].job_id == handed_back.job_id, "it had begun, so it is finished"
    assert states(engine, "other") == ["queued"] * 2
    assert [move["why"] for move in story(engine, jobs(engine)[2].job_key)["transitions"]] == ["launched", "stop"]
    with pytest.raises(UsageError, match="nftlab sweep resume s"):
        pause(engine, "s")


def test_cancelling_takes_running_jobs_too(engine: Engine, queue: Queue) -> None:
    done, running = queue.claim(ANN, 2, CODE)
    queue.finish([(done, DONE)])
    assert cancel(engine, "s") == Steered("s", "stopped", cancelled=11, queued=0, running=0)
    assert queue.beat([running], progressed=True) == {running.job_id}
    assert states(engine) == ["done"] + ["cancelled"] * 11
    assert story(engine, running.job_key)["attempts"][0]["cause"] == "cancel"


def test_a_stopped_sweep_is_active_again_by_resume_or_launch_but_cancelled_jobs_stay(engine: Engine, queue: Queue) -> None:
    for again in (lambda: resume(engine, "s"), lambda: launch(engine, make_sweep(), code=CODE)):
        stop(engine, "s")
        again()
        assert {sweep["name"]: sweep["state"] for sweep in launched(engine)} == {"s": "active", "other": "active"}
        assert states(engine) == ["cancelled"] * 12
    assert launch(engine, make_sweep(seeds=4), code=CODE).jobs_added == 4
    assert queue.retry(range(1, 13)) == 12
    assert len(queue.claim(ANN, 99, CODE)) == 18


def test_priority_also_holds_for_jobs_that_come_back(engine: Engine, queue: Queue) -> None:
    claims = queue.claim(ANN, 14, CODE)
    set_priority(engine, "other", 5)
    queue.release(claims, cause="preempted")
    assert [claim.sweep for claim in queue.claim(ANN, 3, CODE)] == ["other", "other", "s"]
    assert {sweep["name"]: sweep["priority"] for sweep in launched(engine)} == {"s": 0, "other": 5}


def test_a_sweep_that_is_not_there(engine: Engine) -> None:
    for verb in (pause, resume, stop, cancel):
        with pytest.raises(NotFoundError, match="launched are: other, s"):
            verb(engine, "nowhere")
    with pytest.raises(NotFoundError):
        set_priority(engine, "nowhere", 1)
    assert sql(engine, "SELECT count(*) AS n FROM jobs WHERE state = 'queued' AND NOT paused AND priority = 0")[0].n == 14
