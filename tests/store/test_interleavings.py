"""Any interleaving of what workers, users and time can do to jobs keeps the queue's promises."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from nftlab.store import Claim, Queue, launch, open_db
from tests.store.jobtable import ANN, BOB, CODE, DONE, epoch, expire, make_sweep, sql

JOBS = 6
VERBS = ("claim", "claim", "claim", "beat", "record", "expire", "finish", "crash", "config", "release", "lost", "cancel", "retry", "rerun")
STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 30), st.integers(1, 3)), min_size=1, max_size=40)


class Table:
    """A job table, every claim ever handed out, and who must hold what if the queue keeps its word."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.queue = engine, Queue(engine, backoff=0.0)
        launch(engine, make_sweep(trials=1, seeds=JOBS, settings="  retries: 1\n"), code=CODE)
        self.claims: list[Claim] = []
        self.holder: dict[int, int] = {}  # job id → token, of those running
        self.expired: set[int] = set()
        self.accepted: Counter[int] = Counter()
        self.author: dict[int, int] = {}  # job id → the token that its accepted finish came with

    def step(self, verb: str, which: int, k: int) -> None:
        if verb == "claim":
            return self._claim(ANN if which % 2 else BOB, k)
        if verb == "expire":
            self.expired = set(self.holder)
            return expire(self.engine)
        if verb in ("cancel", "retry", "rerun"):
            return self._command(verb, which % JOBS + 1)
        picked = {claim.job_id: claim for claim in (self.claims[which % len(self.claims) :] + self.claims)[:k]} if self.claims else {}
        self._write(verb, list(picked.values()))

    def _claim(self, worker: Any, k: int) -> None:
        for job in self.expired:
            del self.holder[job]
        self.expired = set()
        claims = self.queue.claim(worker, k, CODE)
        assert len(claims) <= k
        for claim in claims:
            assert claim.job_id not in self.holder, "handed out while another holds it"
            assert all(claim.token > old.token for old in self.claims if old.job_id == claim.job_id), "tokens only grow"
            self.holder[claim.job_id] = claim.token
        self.claims += claims

    def _command(self, verb: str, job: int) -> None:
        changed = getattr(self.queue, verb)([job])
        if changed and verb == "cancel":
            self.holder.pop(job, None)
            self.expired.discard(job)
        if changed and verb == "rerun":
            self.accepted[job] = 0
            self.author.pop(job, None)

    def _write(self, verb: str, picked: list[Claim]) -> None:
        stale = {claim.job_id for claim in picked if self.holder.get(claim.job_id) != claim.token}
        live = {claim.job_id for claim in picked} - stale
        if verb == "beat":
            assert self.queue.beat(picked, progressed=True) == stale
        elif verb == "record":
            assert self.queue.record_epoch([(claim, epoch(1)) for claim in picked]) == stale
        elif verb == "finish":
            told_before = {claim.job_id for claim in picked if self.author.get(claim.job_id) == claim.token}
            assert self.queue.finish([(claim, DONE) for claim in picked]) == stale - told_before
            self.accepted.update(live)
            self.author |= {claim.job_id: claim.token for claim in picked if claim.job_id in live}
        elif verb in ("crash", "config"):
            for claim in picked:
                assert self.queue.fail(claim, "boom", cause=verb) == (claim.job_id in live)
        else:
            self.queue.release(picked, cause="lost-trainer" if verb == "lost" else "preempted")
        self.expired -= live
        if verb not in ("beat", "record"):
            for job in live:
                del self.holder[job]

    def check(self) -> None:
        jobs = sql(self.engine, "SELECT * FROM jobs ORDER BY id")
        assert [job.id for job in jobs] == list(range(1, JOBS + 1))
        assert {job.id: job.token for job in jobs if job.state == "running"} == self.holder
        assert {job.id for job in jobs if job.state == "done"} == {job for job, n in self.accepted.items() if n}
        assert set(self.accepted.values()) <= {0, 1}, "recorded once"
        assert all((job.lease_until is not None) == (job.state == "running") for job in jobs)
        assert all(job.retries <= job.max_retries + 1 and job.losses <= 5 for job in jobs)
        unfinished = sql(self.engine, "SELECT job_id, token FROM attempts WHERE ended_at IS NULL")
        assert dict(map(tuple, unfinished)) == self.holder, "an attempt is open exactly while its claim holds"
        assert len(unfinished) == len(self.holder)
        state: dict[int, str | None] = {}
        for move in sql(self.engine, "SELECT job_id, source, target FROM transitions ORDER BY id"):
            assert move.source == state.get(move.job_id), "transitions are a chain"
            state[move.job_id] = move.target
        assert state == {job.id: job.state for job in jobs}
        assert self.queue.drained() == all(job.state not in ("queued", "running") for job in jobs)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_any_interleaving_keeps_the_promises(empty_file: Path, steps: list[tuple[str, int, int]]) -> None:
    _play(empty_file, steps)


@pytest.mark.ci
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_very_many_interleavings_keep_the_promises(empty_file: Path, steps: list[tuple[str, int, int]]) -> None:
    _play(empty_file, steps)


def _play(empty_file: Path, steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_db(str(shutil.copy(empty_file, folder)), create=False)
        assert engine is not None
        table = Table(engine)
        for step in steps:
            table.step(*step)
            table.check()
        engine.dispose()
