"""The budget of a search is exact, whoever dies on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess

import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine

from nftlab.search import Proposer
from nftlab.store import Queue, Worker, jobs, launch, open_db, verify
from tests.search.lab import error_of, search, study, train
from tests.store.jobtable import CODE, sql

# seconds, so that what a killed worker held is soon taken back, and a live one keeps it where many share two cores
FEW, MANY = 3.0, 10.0
STATES = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}


def _work(url: str, lease: float) -> None:
    """A worker with the real queue and the real proposals; of ten trials it fails about one."""
    engine = open_db(url, create=False)
    assert engine is not None
    me = Worker(f"worker-{os.getpid()}", "here", os.getpid())
    queue, proposer = Queue(engine, lease=lease), Proposer(engine, me, print, lease=lease)
    while True:
        claims = queue.claim(me, 2, {})
        for claim in claims:
            if int(claim.trial_key, 16) % 10 == 0:
                queue.fail(claim, "cannot be trained", cause="config")
            else:
                train(queue, claim, error_of(claim))
        if not claims and not proposer.propose(2):
            if not proposer.left() and queue.drained():
                return
            time.sleep(0.3)  # an idle look costs what others need to work


def _storm(engine: Engine, workers: int, run_cap: int, kills: int, lease: float) -> None:
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    context = multiprocessing.get_context("fork")

    def start() -> BaseProcess:
        process = context.Process(target=_work, args=(url, lease))
        process.start()
        return process

    crew = [start() for _ in range(workers)]
    try:
        for kill in range(1, kills + 1):
            _until(partial(_has, engine, run_cap * kill // (kills + 1)))
            victim = next(process for process in crew if process.is_alive())
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            crew.remove(victim)
            crew.append(start())
        _until(lambda: not any(process.is_alive() for process in crew))
    finally:
        for process in crew:
            process.kill()
    assert [process.exitcode for process in crew] == [0] * workers


def _has(engine: Engine, proposed: int) -> bool:
    return bool(sql(engine, "SELECT count(*) AS n FROM proposals")[0].n >= proposed)


def _until(condition: Callable[[], bool], seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _check(engine: Engine, run_cap: int, seeds: int) -> None:
    rows = sql(engine, "SELECT number, trial_key, told FROM proposals ORDER BY number")
    assert (len(rows), len({row.trial_key for row in rows})) == (run_cap, run_cap)
    found = verify(engine, "s")
    assert (found["expected"], found["missing"], found["duplicates"], found["extra"]) == (run_cap * seeds, 0, 0, 0)
    assert found["done"] + found["failed"] == run_cap * seeds
    failed = {job.trial_key for job in jobs(engine) if job.state == "failed"}
    assert {row.trial_key for row in rows if row.told == "failed"} == failed
    trials = study(engine).trials
    assert [trials[row.number].state for row in rows] == [STATES[row.told] for row in rows]
    others = {trial.state for trial in trials if trial.number not in {row.number for row in rows}}
    assert others <= {TrialState.FAIL}, "what was asked for and not proposed is told as failed"


def test_three_workers_and_a_kill(sqlite: Engine) -> None:
    launch(sqlite, search(8, seeds=2, sampler="{name: tpe, n_startup_trials: 4}"), code=CODE)
    _storm(sqlite, workers=3, run_cap=8, kills=1, lease=FEW)
    _check(sqlite, 8, 2)


@pytest.mark.ci
def test_sixteen_workers_and_two_kills(engine: Engine) -> None:
    launch(engine, search(150, seeds=2, sampler="{name: tpe, n_startup_trials: 10}"), code=CODE)
    _storm(engine, workers=16, run_cap=150, kills=2, lease=MANY)
    _check(engine, 150, 2)
    assert any(row.told == "failed" for row in sql(engine, "SELECT told FROM proposals"))
