"""Reading jobs, and how far the work is."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from nftlab.store import STATES, Queue, jobs, launch, status
from tests.store.jobtable import ANN, CODE, DONE, make_sweep, sql


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
