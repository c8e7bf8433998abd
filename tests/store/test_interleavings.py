"""Any interleaving of what workers, users and time can do to jobs keeps the queue's promises, on both databases."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from nftlab.store import Claim, Queue, Worker, launch, open_db
from nftlab.store.session import Session
from nftlab.store.sql import TOGETHER
from tests.store.jobtable import ANN, BOB, CODE, DONE, epoch, make_sweep, sql

JOBS = 6
WORKERS = (ANN, BOB, Worker("cyd", "elsewhere", 3))
CLAIMS, WRITES = ("claim", "claim", "claim", "join"), ("beat", "record", "finish", "crash", "config", "release", "lost")
VERBS = (*CLAIMS, *WRITES, "expire", "cancel", "retry", "rerun")
STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 30), st.integers(1, 3)), min_size=1, max_size=40)
Steps = Sequence[tuple[str, int, int]]
Fresh = Callable[[], AbstractContextManager[Engine]]

QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest) -> Iterator[Fresh]:
    """Opens an empty job table, on each of the databases in turn."""
    if request.param == "sqlite":
        yield partial(_copied, request.getfixturevalue("empty_file"))
        return
    # Nothing here depends on what a power cut leaves, and thousands of commits would wait for the disk.
    url = make_url(request.getfixturevalue("postgres_url")).update_query_dict({"options": "-c synchronous_commit=off"})
    engine = open_db(url.render_as_string(hide_password=False), create=True)
    assert engine is not None
    yield partial(_emptied, engine)
    engine.dispose()


@contextmanager
def _copied(empty_file: Path) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_db(str(shutil.copy(empty_file, folder)), create=False)
        assert engine is not None
        yield engine
        engine.dispose()


@contextmanager
def _emptied(engine: Engine) -> Iterator[Engine]:
    for table in ("epoch_rows", "transitions", "attempts", "jobs", "sweeps"):  # TRUNCATE makes and removes dozens of files
        sql(engine, f"DELETE FROM {table}")
    sql(engine, "SELECT setval(pg_get_serial_sequence('jobs', 'id'), 1, false)")
    yield engine


class Table:
    """A job table, every claim ever handed out, and what must stand in it if the queue keeps its word."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.queue = engine, Queue(engine, backoff=0.0)
        launch(engine, make_sweep(trials=1, seeds=JOBS, settings="  retries: 1\n"), code=CODE)
        self.kind = sql(engine, "SELECT pack_key FROM jobs")[0].pack_key
        self.claims: list[Claim] = []
        self.holder: dict[int, int] = {}  # job id → token, of those running
        self.author: dict[int, int] = {}  # job id → token of the last epoch row accepted
        self.expired: set[int] = set()
        self.accepted: Counter[int] = Counter()
        self.retries: Counter[int] = Counter()
        self.losses: Counter[int] = Counter()
        self.finisher: dict[int, int] = {}  # job id → the token that its accepted finish came with

    def step(self, verb: str, which: int, k: int) -> None:
        if verb in CLAIMS:
            return self._claim(WORKERS[which % 3], k, join=verb == "join")
        if verb == "expire":
            return self._expire(which % 2)
        if verb in ("cancel", "retry", "rerun"):
            return self._command(verb, which % JOBS + 1)
        picked = {claim.job_id: claim for claim in (self.claims[which % len(self.claims) :] + self.claims)[:k]} if self.claims else {}
        self._write(verb, list(picked.values()))

    def _claim(self, worker: Worker, k: int, *, join: bool) -> None:
        for job in self.expired:
            del self.holder[job]
            self.losses[job] += 1
        self.expired = set()
        claims = self.queue.claim(worker, k, CODE, pack_key=self.kind, join=True) if join else self.queue.claim(worker, k, CODE)
        assert len(claims) <= k
        for claim in claims:
            assert not (self.losses[claim.job_id] >= TOGETHER and (join or not claim.alone or len(claims) > 1)), "in company again"
        for claim in claims:
            assert claim.job_id not in self.holder, "handed out while another holds it"
            assert all(claim.token > old.token for old in self.claims if old.job_id == claim.job_id), "tokens only grow"
            self.holder[claim.job_id] = claim.token
        self.claims += claims

    def _expire(self, parity: int) -> None:
        """Half of the leases run out now, instead of being waited for."""
        self.expired |= {job for job in self.holder if job % 2 == parity}
        sql(self.engine, "UPDATE jobs SET lease_until = 1 WHERE state = 'running' AND id % 2 = :parity", parity=parity)

    def _command(self, verb: str, job: int) -> None:
        if not getattr(self.queue, verb)([job]):
            return
        if verb == "cancel":
            self.holder.pop(job, None)
            self.expired.discard(job)
        else:
            self.retries[job] = self.losses[job] = 0
        if verb == "rerun":
            self.accepted[job] = 0
            self.author.pop(job, None)
            self.finisher.pop(job, None)

    def _write(self, verb: str, picked: list[Claim]) -> None:
        stale = {claim.job_id for claim in picked if self.holder.get(claim.job_id) != claim.token}
        live = {claim.job_id for claim in picked} - stale
        if verb == "beat":
            assert self.queue.beat(picked, progressed=True) == stale
        elif verb == "record":
            assert self.queue.record_epoch([(claim, epoch(1)) for claim in picked]) == stale
            self.author |= {job: self.holder[job] for job in live}
        elif verb == "finish":
            told_before = {claim.job_id for claim in picked if self.finisher.get(claim.job_id) == claim.token}
            assert self.queue.finish([(claim, DONE) for claim in picked]) == stale - told_before
            self.accepted.update(live)
            self.finisher |= {claim.job_id: claim.token for claim in picked if claim.job_id in live}
        elif verb in ("crash", "config"):
            for claim in picked:
                assert self.queue.fail(claim, "boom", cause=verb) == (claim.job_id in live)
        else:
            self.queue.release(picked, cause="lost-trainer" if verb == "lost" else "preempted")
        self._count(verb, live)

    def _count(self, verb: str, live: set[int]) -> None:
        self.expired -= live
        self.retries.update(live if verb == "crash" else ())
        self.losses.update(live if verb == "lost" else ())
        if verb == "record":
            self.losses -= Counter({job: self.losses[job] for job in live})
        if verb not in ("beat", "record"):
            for job in live:
                del self.holder[job]

    def check(self) -> None:
        jobs = sql(self.engine, "SELECT * FROM jobs ORDER BY id")
        assert [job.id for job in jobs] == list(range(1, JOBS + 1))
        assert {job.id: job.token for job in jobs if job.state == "running"} == self.holder
        assert {job.id for job in jobs if job.state == "done"} == {job for job, n in self.accepted.items() if n}
        assert set(self.accepted.values()) <= {0, 1}, "recorded once"
        assert dict(map(tuple, sql(self.engine, "SELECT job_id, token FROM epoch_rows"))) == self.author, "rows are of who held the job"
        assert all((job.lease_until is not None) == (job.state == "running") for job in jobs)
        self._check_counts(jobs)
        self._check_story(jobs)
        assert self.queue.drained() == all(job.state not in ("queued", "running") for job in jobs)

    def _check_counts(self, jobs: list[Any]) -> None:
        """Only crashes spend retries; only losses in a row quarantine. An expired lease is counted when somebody takes it back."""
        assert [job.retries for job in jobs] == [self.retries[job.id] for job in jobs]
        assert [job.losses for job in jobs] == [self.losses[job.id] for job in jobs]
        assert all(job.retries <= job.max_retries + 1 for job in jobs)
        assert all((job.losses == 5) == (job.state == "quarantined") for job in jobs)

    def _check_story(self, jobs: list[Any]) -> None:
        unfinished = sql(self.engine, "SELECT job_id, token FROM attempts WHERE ended_at IS NULL")
        assert sorted(map(tuple, unfinished)) == sorted(self.holder.items()), "an attempt is open exactly while its claim holds"
        state: dict[int, str | None] = {}
        for move in sql(self.engine, "SELECT job_id, source, target FROM transitions ORDER BY id"):
            assert move.source == state.get(move.job_id), "transitions are a chain"
            state[move.job_id] = move.target
        assert state == {job.id: job.state for job in jobs}


def play(fresh: Fresh, steps: Steps) -> None:
    with fresh() as engine:
        table = Table(engine)
        for step in steps:
            table.step(*step)
            table.check()


@settings(QUIET, max_examples=20)
@given(steps=STEPS)
def test_any_interleaving_keeps_the_promises(fresh: Fresh, steps: Steps) -> None:
    play(fresh, steps)


@pytest.mark.ci
@settings(QUIET, max_examples=500)
@given(steps=STEPS)
def test_very_many_interleavings_keep_the_promises(fresh: Fresh, steps: Steps) -> None:
    play(fresh, steps)


def test_without_the_token_check_an_interleaving_is_found_that_breaks_them(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(queue: Queue, talk: Session, claims: Sequence[Claim]) -> dict[int, Any]:
        rows = talk.ask("lock", ids=talk.among(claim.job_id for claim in claims))
        return {row.id: row for row in rows if row.state == "running"}

    @settings(QUIET, max_examples=500, phases=[Phase.generate], derandomize=True, database=None, report_multiple_bugs=False)
    @given(steps=STEPS)
    def any_interleaving(steps: Steps) -> None:
        play(fresh, steps)

    monkeypatch.setattr(Queue, "_held", believe)
    with pytest.raises(AssertionError):
        any_interleaving()
