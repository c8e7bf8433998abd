"""Sweeps that are deleted, with all that hangs on them and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from nftlab.errors import NotFoundError, UsageError
from nftlab.speeds import Speed
from nftlab.store import Contents, Queue, cancel, check, contents, curve, delete, jobs, launch, launched, proposals, remember, verify
from tests.store.conftest import TABLES
from tests.store.jobtable import ANN, BOB, CODE, DONE, epoch, make_sweep, sql


@pytest.fixture(autouse=True)
def two_sweeps(engine: Engine) -> None:
    """Three jobs of sweep "other", and behind them twelve of sweep "s"."""
    launch(engine, make_sweep("other", trials=1), code=CODE)
    launch(engine, make_sweep(), code=CODE)


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    return {table: sorted(map(tuple, sql(engine, f"SELECT * FROM {table}")), key=str) for table in TABLES.split(", ")}


def test_a_deleted_sweep_leaves_the_table_as_if_it_had_never_been(engine: Engine, queue: Queue) -> None:
    remember(engine, "a GPU", "kind", [Speed(4, "mapped", 1.0, 0.5, 2.0, 1, 0)])
    queue.finish([(claim, DONE) for claim in queue.claim(ANN, 3, CODE)])
    delete(engine, "s")
    before = rows(engine)
    launch(engine, make_sweep(), code=CODE)
    claims = queue.claim(BOB, 4, CODE)
    queue.record_epoch([(claim, epoch(1)) for claim in claims])
    queue.finish([(claim, replace(DONE, seconds=1800.0)) for claim in claims[:2]])
    queue.fail(claims[2], "no", cause="config")
    queue.release(claims[3:], cause="preempted")
    expected = Contents(jobs=12, finished=2, seconds=3600.5)  # two were only begun
    assert (contents(engine, "s"), delete(engine, "s")) == (expected, expected)
    assert (rows(engine), check(engine)) == (before, [])
    assert [sweep["name"] for sweep in launched(engine)] == ["other"]
    with pytest.raises(NotFoundError, match="launched are: other"):
        verify(engine, "s")
    assert launch(engine, make_sweep(), code=CODE).jobs_added == 12, "its name is free again"


def test_no_number_of_a_job_or_an_attempt_is_given_twice(engine: Engine, queue: Queue) -> None:
    """A worker that still trains what was deleted knows both by their numbers, and must not pass for another's."""
    numbers: list[tuple[int, int]] = []
    for name in ("s", "other", "again", "more"):
        if name in ("again", "more"):
            launch(engine, make_sweep(name, trials=1), code=CODE)
        claims = queue.claim(ANN, 99, CODE)
        numbers += [(claim.job_id, claim.attempt_id) for claim in claims]
        for gone in {claim.sweep for claim in claims}:
            cancel(engine, gone)
            delete(engine, gone)
    assert len(numbers) == 15 + 3 + 3
    assert len({job for job, _ in numbers}) == len({attempt for _, attempt in numbers}) == len(numbers)


def test_a_sweep_is_not_deleted_while_a_job_of_it_runs(engine: Engine, queue: Queue) -> None:
    claims = queue.claim(ANN, 4, CODE)
    assert {claim.sweep for claim in claims} == {"other", "s"}
    for call in (contents, delete):
        with pytest.raises(UsageError, match="1 jobs of sweep 's' are running; cancel it first"):
            call(engine, "s")
    assert len(jobs(engine)) == 15
    cancel(engine, "s")
    delete(engine, "s")
    assert {job.sweep for job in jobs(engine)} == {"other"}


def test_a_worker_that_does_not_know_yet_writes_nothing(engine: Engine, queue: Queue) -> None:
    cancel(engine, "other")
    [late] = queue.claim(ANN, 1, CODE)
    cancel(engine, "s")
    delete(engine, "s")
    # The very same jobs again, claimed by somebody else: SQLite would number them as before.
    launch(engine, make_sweep(), code=CODE)
    [mine] = queue.claim(BOB, 1, CODE)
    assert (mine.job_key, mine.token) == (late.job_key, late.token)
    before = rows(engine)
    assert queue.beat([late], progressed=True) == {late.job_id}
    assert queue.record_epoch([(late, epoch(1))]) == {late.job_id}
    assert queue.finish([(late, DONE)]) == {late.job_id}
    assert queue.prune([(late, "behind")]) == {late.job_id}
    assert not queue.fail(late, "no", cause="crash")
    queue.release([late], cause="preempted")
    assert queue.refund([late], ANN, cause="sick-node") == 0
    assert (curve(engine, late.job_id), rows(engine)) == ([], before)
    assert queue.finish([(mine, DONE)]) == set()


def test_numbers_are_not_given_twice_however_often_sweeps_go(engine: Engine) -> None:
    numbers = {job.job_id for job in jobs(engine)}
    for _ in range(3):
        delete(engine, "s")
        launch(engine, make_sweep(), code=CODE)
        found = {job.job_id for job in jobs(engine, sweep="s")}
        assert not found & numbers
        numbers |= found
    delete(engine, "other")
    assert min({job.job_id for job in jobs(engine)}) in numbers


def test_a_sweep_that_a_worker_proposes_for_is_left_to_it(engine: Engine) -> None:
    assert proposals.take_turn(engine, "s", "ann", 60.0) is not None
    with pytest.raises(UsageError, match="nftlab sweep stop"):
        delete(engine, "s")
    assert proposals.take_turn(engine, "s", "ann", -1.0) is not None, "it died, and its turn ran out"
    delete(engine, "s")
    assert proposals.take_turn(engine, "s", "ann", 60.0) is None


def test_a_sweep_that_is_not_there(engine: Engine) -> None:
    for call in (contents, delete):
        with pytest.raises(NotFoundError, match="launched are: other, s"):
            call(engine, "nowhere")
