"""Reading jobs, and how far the work is."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from nftlab.store import STATES, Queue, jobs, launch, shelved, status, trial_keys
from tests.store.jobtable import ANN, CODE, DONE, epoch, make_sweep, sql


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ({}, 14),
        ({"sweep": "one"}, 12),
        ({"state": "done"}, 2),
        ({"seed": 0}, 5),
        ({"where": {"lr": 0.001}}, 8),
        ({"where": {"lr": "1e-3", "batch_size": "8"}}, 5),
        ({"where": {"test_curve": "false"}}, 14),
        ({"where": {"algorithm": "ct"}}, 14),
        ({"where": {"normalize": "none"}}, 14),  # which their rows do not name
        ({"where": {"algorithm": "nft"}}, 0),
        ({"where": {"batch_size": "eight"}}, 0),
        ({"where": {"no_such_field": "1"}}, 0),
        ({"sweep": "one", "state": "queued", "seed": 1, "where": {"lr": 0.001}}, 1),
    ],
)
def test_selectors(engine: Engine, queue: Queue, selector: dict[str, Any], count: int) -> None:
    launch(engine, make_sweep("one", trials=2, seeds=3, packs=2), code=CODE)
    launch(engine, make_sweep("two", trials=1, seeds=2), code=CODE)
    queue.finish([(claim, DONE) for claim in queue.claim(ANN, 2, CODE)])
    found = jobs(engine, **selector)
    assert len(found) == count
    assert [job.job_id for job in found] == sorted(job.job_id for job in found)


def test_a_key_may_be_begun(engine: Engine) -> None:
    launch(engine, make_sweep(trials=1, seeds=2), code=CODE)
    one, two = jobs(engine)
    assert jobs(engine, key=one.job_key[:12]) == [one]
    assert (one.git_sha, one.circumstances, two.attempts) == (None, {}, 0)


def test_a_trial_is_found_by_how_its_key_begins(engine: Engine) -> None:
    for name in ("one", "two"):
        launch(engine, make_sweep(name, trials=3 if name == "one" else 1, seeds=2), code=CODE)
    every = jobs(engine)
    one, two = every[0].trial_key, every[2].trial_key
    assert [trial_keys(engine, one[:n]) for n in (12, 16)] == [[one], [one]]
    assert [trial_keys(engine, key, sweeps=["two"]) for key in (one, two, "", "%")] == [[one], [], [], []]
    assert jobs(engine, trial=one) == [*every[:2], *every[6:]]
    assert jobs(engine, trial=one, sweep="one", seed=1) == [every[1]]


def test_status_of_an_empty_table(engine: Engine) -> None:
    assert status(engine) == {"jobs": dict.fromkeys(STATES, 0), "jobs_per_hour": 0.0, "eta_seconds": None, "failures": []}


def test_pace_is_that_of_the_last_active_hour(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=5, seeds=2), code=CODE)
    claims = queue.claim(ANN, 6, CODE)
    queue.finish([(claim, DONE) for claim in claims[:4]])
    queue.fail(claims[4], "Traceback\nValueError: boom", cause="config")
    # Four finishes: one long ago, three within the last hour, whose first began 30 minutes before the last ended.
    sql(engine, "UPDATE jobs SET started_at = finished_at - 20000, finished_at = finished_at - 9000 WHERE id = 1")
    sql(engine, "UPDATE jobs SET started_at = finished_at - 1800 WHERE id IN (2, 3, 4, 5)")
    told = status(engine)
    assert told["jobs_per_hour"] == pytest.approx(8, rel=0.01), "a failure is work done as well"
    assert told["eta_seconds"] == pytest.approx(5 * 450, rel=0.01)
    assert told["failures"] == [{"job": claims[4].job_key, "sweep": "s", "error": "ValueError: boom"}]
    queue.release([claims[5]], cause="interrupted")
    assert status(engine)["eta_seconds"] is None, "nobody works"
    assert status(engine, sweep="other")["jobs"] == dict.fromkeys(STATES, 0)
    queue.cancel(range(1, 11))
    assert status(engine)["eta_seconds"] == 0.0


@pytest.mark.parametrize(("hours", "known"), [(23, True), (25, False)])
def test_the_pace_of_the_last_day_is_known(engine: Engine, queue: Queue, hours: int, known: bool) -> None:
    launch(engine, make_sweep(trials=1, seeds=2), code=CODE)
    done, _ = queue.claim(ANN, 2, CODE)
    queue.finish([(done, DONE)])
    sql(engine, "UPDATE jobs SET finished_at = finished_at - :s, started_at = started_at - :s", s=3600.0 * hours)
    assert ((status(engine)["jobs_per_hour"] > 0), status(engine)["eta_seconds"] is not None) == (known, known)


def test_the_latest_failures_come_first(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=7), code=CODE)
    claims = queue.claim(ANN, 7, CODE)
    for place in (1, 0, 2, 6, 5, 4, 3):
        queue.fail(claims[place], f"no {place}", cause="config")
        sql(engine, "UPDATE jobs SET finished_at = finished_at - 10 WHERE state = 'failed'")
    assert [failure["error"] for failure in status(engine)["failures"]] == ["no 3", "no 4", "no 5", "no 6", "no 2"]


def test_only_a_job_that_recorded_its_finish_needs_no_checkpoint(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=5), code=CODE)
    claims = queue.claim(ANN, 5, CODE)
    for number in (1, 2, 3):
        queue.record_epoch([(claim, epoch(number, checkpoint=f"/runs/checkpoints/{claim.job_key}/1/{number}")) for claim in claims])
    done, pruned, failed, cancelled, running = claims
    queue.finish([(done, DONE)])
    queue.prune([(pruned, "behind")])
    queue.fail(failed, "no", cause="config")
    queue.cancel([cancelled.job_id])
    needs = shelved(engine)
    assert [needs[claim.job_key].running for claim in claims] == [False] * 4 + [True]
    assert [needs[claim.job_key].needed for claim in (done, pruned)] == [frozenset()] * 2
    for claim in (failed, cancelled, running):
        assert needs[claim.job_key].needed == {f"{claim.job_key}/1/{number}" for number in (2, 3)}, "it may be tried again from there"
