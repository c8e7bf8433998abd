"""The queue's promises, on SQLite and on Postgres by the same body."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine

from nftlab.errors import DatabaseError
from nftlab.store import STATES, Claim, Outcome, Queue, Worker, complete, curve, jobs, launch, open_db, story, verify
from nftlab.store.queue import _slept
from nftlab.store.session import sentences, session
from nftlab.store.steering import cancel
from tests.store.conftest import TABLES
from tests.store.jobtable import ANN, BOB, CODE, DONE, at_once, epoch, expire, make_sweep, sql


def row(engine: Engine, claim: Claim) -> Any:
    return next(job for job in jobs(engine) if job.job_id == claim.job_id)


def lose(engine: Engine, queue: Queue, claims: list[Claim], how: str) -> None:
    """The worker falls silent until its leases run out, or says in what way its trainer was lost."""
    if how == "lease":
        expire(engine)
    else:
        queue.release(claims, cause=how)


def test_claim_takes_the_head_and_its_kin_in_launch_order(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=2, seeds=2, packs=2), code=CODE)
    head = queue.peek()
    claims = queue.claim(ANN, 3, CODE)
    assert [claim.job_id for claim in claims] == [1, 2, 3]
    assert head is not None
    assert {claim.pack_key for claim in claims} == {head["pack_key"]}
    assert (claims[0].config, claims[0].seed, claims[0].token, claims[0].epoch) == (head["config"], 0, 1, 0)
    assert [claim.job_id for claim in queue.claim(BOB, 3, CODE)] == [4], "what cannot train with the head stays"
    assert [claim.job_id for claim in queue.claim(BOB, 9, CODE)] == [5, 6, 7, 8]
    assert queue.claim(BOB, 9, CODE) == []
    assert queue.peek() is None
    assert row(engine, claims[0]).circumstances == {**CODE, "pack_size": 3, "pack": [claim.job_key for claim in claims]}


def test_what_is_skipped_does_not_count_as_waiting(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep("low", trials=1, seeds=2, packs=2), code=CODE)
    launch(engine, make_sweep("high", trials=1, seeds=1, settings="  priority: 5\n"), code=CODE)
    high = queue.peek() or {}
    low = queue.peek([high["pack_key"], "another"]) or {}
    assert low["pack_key"] != high["pack_key"]
    assert queue.claimable(low["pack_key"], 9) == 0
    assert queue.claimable(low["pack_key"], 9, [high["pack_key"]]) == 2


def test_priority_goes_first_and_a_pack_key_can_be_asked_for(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep("low", trials=1, seeds=2), code=CODE)
    launch(engine, make_sweep("high", trials=1, seeds=1, packs=2, settings="  priority: 5\n"), code=CODE)
    assert [claim.sweep for claim in queue.claim(ANN, 1, CODE)] == ["high"]
    low = next(job for job in jobs(engine, sweep="low") if job.state == "queued")
    key = queue.claim(ANN, 9, CODE, pack_key="no such pack")
    assert key == []
    wanted = sql(engine, "SELECT pack_key FROM jobs WHERE id = :id", id=low.job_id)[0].pack_key
    assert {claim.sweep for claim in queue.claim(ANN, 9, CODE, pack_key=wanted)} == {"low"}


def test_alone_is_trained_without_neighbours(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=2, seeds=2), code=CODE)
    first, second, *_ = claims = queue.claim(ANN, 4, CODE)
    queue.release([first], cause="memory", alone=True)
    queue.release(claims[1:], cause="memory")
    assert [claim.job_id for claim in queue.claim(ANN, 4, CODE)] == [first.job_id]
    queue.release([replace(second, token=2)], cause="stale: changes nothing", alone=True)
    assert [claim.job_id for claim in queue.claim(ANN, 4, CODE)] == [2, 3, 4]


def test_a_companion_that_must_be_alone_is_left_for_later(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=3), code=CODE)
    claims = queue.claim(ANN, 3, CODE)
    queue.release(claims[1:2], cause="memory", alone=True)
    queue.release([claims[0], claims[2]], cause="preempted")
    assert [claim.job_id for claim in queue.claim(ANN, 3, CODE)] == [1, 3]


def test_a_worker_never_takes_back_what_it_holds(engine: Engine, queue: Queue) -> None:
    """It may have slept past its lease, or waited for a sampler, and looks for a companion before it renews."""
    launch(engine, make_sweep(trials=1, seeds=3), code=CODE)
    held = queue.claim(ANN, 2, CODE)
    expire(engine)
    assert [claim.job_id for claim in queue.claim(ANN, 2, CODE, pack_key=held[0].pack_key, join=True, held=held)] == [3]
    queue.reclaim(ANN, held)
    assert queue.beat(held, progressed=False) == set(), "still ours"
    expire(engine)
    queue.reclaim(ANN, held[:1])  # of the other it does not know any more
    assert [(job.state, job.losses) for job in sql(engine, "SELECT state, losses FROM jobs ORDER BY id")] == [
        ("running", 0),
        ("queued", 1),
        ("queued", 1),
    ]


def test_what_could_join_a_pack_in_training(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=4, packs=2), code=CODE)
    key, *_, other = [job.pack_key for job in sql(engine, "SELECT pack_key FROM jobs ORDER BY id")]
    claims = queue.claim(ANN, 2, CODE)
    assert [queue.claimable(key, most) for most in (1, 128)] == [1, 2]
    assert queue.claimable(other, 128) == 4, "at equal priority each kind has its turn to the end"
    queue.release(claims, cause="pack-crash", alone=True)
    assert queue.claimable(key, 128) == 2
    assert [claim.job_id for claim in queue.claim(ANN, 1, CODE, pack_key=key, join=True)] == [3]
    launch(engine, make_sweep("urgent", trials=1, seeds=1, packs=1, settings="  priority: 5\n"), code=CODE)
    assert (queue.claimable(key, 128), queue.claimable(other, 128)) == (2, 0), "the urgent job is of the first kind"
    sql(engine, "UPDATE jobs SET alone = true WHERE sweep = 'urgent'")
    assert queue.claimable(key, 128) == 0, "it comes first and cannot join"
    sql(engine, "UPDATE jobs SET not_before = 1e12 WHERE sweep = 'urgent'")
    assert queue.claimable(key, 128) == 1


def test_processes_claim_and_finish_each_job_once(engine: Engine) -> None:
    launch(engine, make_sweep(trials=25, seeds=6, packs=2), code=CODE)
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    shares = at_once(4, _drain, url)
    times = Counter(job for share in shares for job in share)
    assert len(times) == 300
    assert set(times.values()) == {1}
    assert complete(verify(engine, "s"))


def _drain(number: int, url: str) -> list[int]:
    engine = open_db(url, create=False)
    assert engine is not None
    queue, me, mine = Queue(engine), Worker(f"w{number}", "here", os.getpid()), []
    while not queue.drained():
        claims = queue.claim(me, 1 + 2 * number, CODE)
        assert len({claim.pack_key for claim in claims}) <= 1
        queue.record_epoch([(claim, epoch(1)) for claim in claims])
        assert queue.finish([(claim, DONE) for claim in claims]) == set()
        mine += [claim.job_id for claim in claims]
    return mine


def test_an_epoch_is_written_with_its_checkpoint_and_summary(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    assert queue.record_epoch([(claim, epoch(1, checkpoint="one", error=9.0))]) == set()
    queue.record_epoch([(claim, epoch(2, checkpoint="two", error=float("nan")))])
    queue.record_epoch([(claim, epoch(3, best=False))])
    queue.record_epoch([(claim, epoch(1, checkpoint=None, best=False, error=8.0))])  # trained again after a resume: written over
    job = row(engine, claim)
    assert (job.epoch, job.best_epoch, job.val_error, job.seconds) == (3, 2, None, 0.75)
    assert [point["epoch"] for point in curve(engine, claim.job_id)] == [1, 2, 3]
    assert [point["val/error"] for point in curve(engine, claim.job_id)][::2] == [8.0, 5.0]
    queue.release([claim], cause="preempted")
    [again] = queue.claim(BOB, 1, CODE)
    assert (again.checkpoint, again.checkpoint_sha, again.previous, again.previous_sha) == ("two", "sha-two", "one", "sha-one")
    assert (again.epoch, again.token, row(engine, claim).attempts, row(engine, claim).retries) == (3, 2, 2, 0)


@pytest.mark.parametrize("lost_by", ["expiry", "cancel", "release", "finish", "crash"])
def test_a_stale_token_changes_nothing(engine: Engine, queue: Queue, lost_by: str) -> None:
    launch(engine, make_sweep(trials=1, seeds=2), code=CODE)
    stale, live = queue.claim(ANN, 2, CODE)
    if lost_by == "expiry":
        sql(engine, "UPDATE jobs SET lease_until = 1 WHERE id = :id", id=stale.job_id)
        assert [claim.job_id for claim in queue.claim(BOB, 9, CODE)] == [stale.job_id]
    elif lost_by == "cancel":
        assert queue.cancel([stale.job_id]) == 1
    elif lost_by == "release":
        queue.release([stale], cause="preempted")
    elif lost_by == "finish":
        queue.finish([(stale, DONE)])
    else:
        assert queue.fail(stale, "boom", cause="crash")
    before = _everything(engine, stale)
    assert queue.beat([stale, live], progressed=True) == {stale.job_id}
    assert queue.record_epoch([(stale, epoch(1, checkpoint="x")), (live, epoch(1))]) == {stale.job_id}
    assert queue.fail(stale, "late", cause="crash") is False
    assert queue.fail(stale, "late", cause="config") is False
    queue.release([stale], cause="preempted", alone=True)
    told_before = lost_by == "finish"
    assert queue.finish([(stale, replace(DONE, val_error=0.0)), (live, DONE)]) == (set() if told_before else {stale.job_id})
    assert _everything(engine, stale) == before
    assert row(engine, live).state == "done", "its neighbour in the pack goes on"


def _everything(engine: Engine, claim: Claim) -> list[Any]:
    tables = ("jobs WHERE id", "attempts WHERE job_id", "transitions WHERE job_id", "epoch_rows WHERE job_id")
    return [sql(engine, f"SELECT * FROM {table} = :id", id=claim.job_id) for table in tables]


def test_beats_keep_the_lease_but_not_past_a_stall(engine: Engine) -> None:
    queue = Queue(engine, lease=60, stalled_after=90)
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    expire(engine)
    assert queue.beat([claim], progressed=False) == set(), "late, but nobody took it: it goes on"
    assert queue.claim(BOB, 1, CODE) == []
    sql(engine, "UPDATE jobs SET progress_at = progress_at - 100")
    assert queue.beat([claim], progressed=False) == set()
    [taken] = queue.claim(BOB, 1, CODE)
    assert taken.token == 2
    assert story(engine, claim.job_key)["attempts"][0]["cause"] == "stalled"
    sql(engine, "UPDATE jobs SET progress_at = progress_at - 100")
    queue.beat([taken], progressed=True)
    assert queue.claim(BOB, 1, CODE) == []


def test_for_a_while_after_its_start_or_a_sleep_a_worker_takes_nothing_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may be about to renew what ran out in an outage, or while the machine was suspended."""
    launch(engine, make_sweep(trials=1), code=CODE)
    queue = Queue(engine, lease=0.3)
    queue.claim(ANN, 9, CODE)
    expire(engine)
    queue.pardon(1 / 3)
    assert (queue.claim(BOB, 1, CODE), queue.overdue()) == ([], True)
    time.sleep(0.15)
    slept = _slept() + 0.15  # half a lease
    monkeypatch.setattr("nftlab.store.queue._slept", lambda: slept)
    assert (queue.claim(BOB, 1, CODE), queue.overdue()) == ([], True)
    time.sleep(0.65)
    assert len(queue.claim(BOB, 9, CODE)) == 3


def test_an_expired_lease_returns_the_job_without_spending_a_retry(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    queue.record_epoch([(claim, epoch(1, checkpoint="one"))])
    expire(engine)
    [again] = queue.claim(BOB, 1, CODE)
    assert (again.checkpoint, again.epoch, row(engine, again).retries) == ("one", 1, 0)
    told = story(engine, claim.job_key)
    assert [(move["source"], move["target"], move["why"], move["who"]) for move in told["transitions"]][1:] == [
        ("queued", "running", "claimed", "ann"),
        ("running", "queued", "lease expired", "bob"),
        ("queued", "running", "claimed", "bob"),
    ]
    assert [attempt["cause"] for attempt in told["attempts"]] == ["lease expired", None]


@pytest.mark.parametrize("how", ["lease", "lost-trainer", "stalled"])
def test_five_losses_in_a_row_quarantine_unless_an_epoch_was_recorded(engine: Engine, queue: Queue, how: str) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    for loss in range(1, 9):
        [claim] = queue.claim(ANN, 1, CODE)
        if loss == 4:
            queue.record_epoch([(claim, epoch(1))])
        lose(engine, queue, [claim], how)
    assert queue.claim(ANN, 1, CODE) == []
    job = row(engine, claim)
    assert (job.state, job.retries) == ("quarantined", 0)
    assert "5 workers in a row" in str(job.error)
    assert queue.drained()
    assert queue.retry([job.job_id]) == 1
    assert len(queue.claim(ANN, 1, CODE)) == 1


@pytest.mark.parametrize("how", ["lease", "lost-trainer"])
def test_jobs_lost_together_three_times_train_alone_until_they_record_an_epoch(engine: Engine, queue: Queue, how: str) -> None:
    launch(engine, make_sweep(trials=1, seeds=3), code=CODE)
    for _ in range(3):
        claims = queue.claim(ANN, 3, CODE)
        assert [claim.alone for claim in claims] == [False] * 3
        lose(engine, queue, claims, how)
    for number in (1, 2, 3):
        [claim] = queue.claim(ANN, 3, CODE)
        assert (claim.job_id, claim.alone) == (number, True)
        assert queue.claimable(claim.pack_key, 3) == 0
        assert queue.claim(BOB, 2, CODE, pack_key=claim.pack_key, join=True) == []
        queue.record_epoch([(claim, epoch(1))])
        queue.release([claim], cause="preempted")
        sql(engine, "UPDATE jobs SET not_before = 1e12 WHERE id = :id", id=claim.job_id)  # after the others
    sql(engine, "UPDATE jobs SET not_before = 0")
    assert [(claim.job_id, claim.alone) for claim in queue.claim(ANN, 3, CODE)] == [(1, False), (2, False), (3, False)]


def test_a_crash_backs_off_alone_until_retries_are_spent(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1, settings="  retries: 2\n"), code=CODE)
    patient = Queue(engine, backoff=1000.0)
    [claim] = queue.claim(ANN, 1, CODE)
    assert patient.fail(claim, "Traceback\n  line\nValueError: boom\n", cause="crash")
    pause = sql(
        engine, "SELECT not_before - finished AS s FROM (SELECT not_before, (SELECT max(at) FROM transitions) AS finished FROM jobs) x"
    )
    assert 300 <= pause[0].s <= 901, "at most ten minutes, give or take a half"
    assert patient.claim(ANN, 1, CODE) == []
    assert not patient.drained()
    sql(engine, "UPDATE jobs SET not_before = 0")
    for retries in (1, 2):
        [claim] = queue.claim(ANN, 1, CODE)
        assert claim.alone
        assert row(engine, claim).retries == retries
        assert queue.fail(claim, "Traceback\nValueError: boom", cause="crash")
    job = row(engine, claim)
    assert (job.state, job.retries, job.attempts, job.error) == ("failed", 3, 3, "ValueError: boom")
    assert [attempt["error"].splitlines()[0] for attempt in story(engine, job.job_key)["attempts"]] == ["Traceback"] * 3


@pytest.mark.parametrize("odd", ["bad header: AB\0CD", "no file caf\udce9"])
def test_an_error_of_any_characters_can_be_recorded(odd: str, engine: Engine, queue: Queue) -> None:
    """Else its job would go back as if its worker had been lost, and end the next one."""
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    queue.fail(claim, f"Traceback\nValueError: {odd}", cause="config")
    [job] = jobs(engine)
    written = odd.replace("\0", "\\x00").replace("\udce9", "\\udce9")
    assert (job.state, job.error) == ("failed", f"ValueError: {written}")
    assert story(engine, job.job_key)["attempts"][0]["error"] == f"Traceback\nValueError: {written}"


def test_a_bad_configuration_fails_at_once(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    assert queue.fail(claim, "lr: too large", cause="config")
    assert (row(engine, claim).state, row(engine, claim).retries) == ("failed", 0)
    with pytest.raises(ValueError, match="crash"):
        queue.fail(claim, "?", cause="mood")


def test_finish_records_a_diverged_job_as_done(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=2), code=CODE)
    one, two = queue.claim(ANN, 2, CODE)
    assert queue.finish([(one, DONE), (two, Outcome(True, None, float("nan"), None, 1.0))]) == set()
    assert (row(engine, one).diverged, row(engine, one).val_error, row(engine, one).test_error) == (False, 3.5, 4.5)
    assert (row(engine, two).state, row(engine, two).diverged, row(engine, two).val_error) == ("done", True, None)
    assert queue.finish([(one, replace(DONE, val_error=0.0))]) == set(), "told before"
    assert row(engine, one).val_error == 3.5, "recorded exactly once"
    assert queue.counts() == {state: 2 * (state == "done") for state in STATES}


def test_cancel_retry_and_rerun_touch_only_what_they_may(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=3), code=CODE)
    done, running = queue.claim(ANN, 2, CODE)
    queue.record_epoch([(done, epoch(1, checkpoint="one"))])
    queue.finish([(done, DONE)])
    every = [1, 2, 3]
    assert queue.retry(every) == 0
    assert queue.cancel(every) == 2
    assert queue.beat([running], progressed=True) == {running.job_id}
    assert story(engine, running.job_key)["attempts"][-1]["cause"] == "cancel"
    assert queue.drained()
    assert queue.retry(every) == 2
    assert queue.rerun(every) == 1
    assert curve(engine, done.job_id) == []
    [again] = queue.claim(ANN, 1, CODE)
    assert (again.job_id, again.epoch, again.checkpoint, again.token) == (done.job_id, 0, None, 2)
    assert queue.finish([(again, DONE)]) == set()
    assert verify(engine, "s")["duplicates"] == 0


def test_nothing_happens_for_nobody(queue: Queue) -> None:
    assert queue.beat([], progressed=True) == queue.record_epoch([]) == queue.finish([]) == set()
    queue.release([], cause="preempted")
    assert queue.cancel([]) == 0
    assert queue.peek() is None
    assert queue.drained()


def test_a_finish_that_waited_for_a_cancel_is_stale(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    answers: list[set[int]] = []
    late = Thread(target=lambda: answers.append(queue.finish([(claim, DONE)])))
    with session(engine) as talk:
        talk.tell("cancel", [{"ids": talk.among([claim.job_id])}])
        late.start()
        late.join(0.1)  # it meets the lock that this transaction holds until it ends
        assert late.is_alive()
    late.join()
    assert answers == [{claim.job_id}]
    assert row(engine, claim).state == "cancelled"


def test_a_worker_frozen_in_a_transaction_does_not_keep_its_jobs(postgres: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are locked and so passed over by all others, until the server ends a transaction that stands still."""
    monkeypatch.setattr("nftlab.store.engine.IDLE", 1)
    sql(postgres, f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    launch(postgres, make_sweep(trials=1, seeds=1), code=CODE)
    frozen = open_db(postgres.url.render_as_string(hide_password=False), create=False)
    assert frozen is not None
    [claim] = Queue(frozen).claim(ANN, 1, CODE)
    expire(postgres)
    with pytest.raises(DatabaseError):
        _freeze(frozen, claim, until=lambda: Queue(postgres).claim(BOB, 1, CODE))
    assert row(postgres, claim).attempts == 2
    assert Queue(frozen).finish([(claim, DONE)]) == {claim.job_id}, "it comes back with another connection, and too late"
    frozen.dispose()


def _freeze(frozen: Engine, claim: Claim, until: Callable[[], object]) -> None:
    with session(frozen) as talk:
        talk.ask("lock", ids=talk.among([claim.job_id]))
        assert not until()
        deadline = time.monotonic() + 60
        while not until():
            assert time.monotonic() < deadline
        talk.ask("now")


@pytest.mark.parametrize("sentence", ["claim", "claim_of", "peek", "claim_left", "claim_of_left", "peek_left", "expired", "unfinished"])
def test_what_workers_ask_all_day_never_reads_the_whole_table(sqlite: Engine, sentence: str) -> None:
    asked = dict.fromkeys(("k", "lease", "stalled_after", "pack_key", "regardless"), 1) | {"skipped": "[]", "left": "[]"}
    plan = [step.detail for step in sql(sqlite, f"EXPLAIN QUERY PLAN {sentences('sqlite')[sentence]}", **asked)]
    reads = [step for step in plan if re.match(r"(SCAN|SEARCH) jobs", step)]
    assert reads
    assert all(re.search(r"USING INDEX jobs_(head|pack|lease)|PRIMARY KEY \(rowid=", step) for step in reads), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_a_refund_gives_back_what_a_sick_machine_cost(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=2, seeds=2, settings="  retries: 1\n"), code=CODE)
    failed, waiting, retaken, other = queue.claim(ANN, 4, CODE)
    for claim in (failed, waiting, retaken):
        queue.fail(claim, "RuntimeError: no device", cause="crash")
    [again] = queue.claim(ANN, 1, CODE)
    assert (again.job_id, again.alone) == (failed.job_id, True)
    queue.fail(again, "RuntimeError: no device", cause="crash")
    assert row(engine, failed).state == "failed"
    [second] = queue.claim(ANN, 1, CODE)
    queue.fail(second, "RuntimeError: no device", cause="config")  # its own fault
    [third] = queue.claim(BOB, 1, CODE)
    assert (second.job_id, third.job_id) == (waiting.job_id, retaken.job_id)
    assert queue.refund([failed, again, waiting, retaken, other], ANN, cause="sick-node") == 1
    found = [row(engine, claim) for claim in (failed, waiting, retaken, other)]
    assert [(job.state, job.retries) for job in found] == [("queued", 0), ("failed", 1), ("running", 1), ("queued", 0)]
    assert [step["why"] for step in story(engine, failed.job_key)["transitions"]][-2:] == ["crash", "sick-node"]
    assert [attempt["cause"] for attempt in story(engine, failed.job_key)["attempts"]] == ["sick-node", "sick-node"]
    assert queue.claim(BOB, 2, CODE)[0].alone is False


def test_a_refund_gives_back_what_lost_trainers_cost_to_quarantined_jobs_too(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=2), code=CODE)
    lost = []
    for cause in ("lost-trainer", "stalled", "lost-trainer", "stalled", "lost-trainer"):
        claims = queue.claim(ANN, 2, CODE)
        queue.release(claims, cause=cause)
        lost += claims
    lost += queue.claim(ANN, 2, CODE)
    quarantined, held = (row(engine, claim) for claim in lost[:2])
    assert (quarantined.state, held.state) == ("quarantined", "running")
    assert queue.refund(lost, ANN, cause="sick-node") == 2
    assert [step["target"] for step in story(engine, held.job_key)["transitions"]][-2:] == ["running", "queued"]
    assert [(job.state, job.losses) for job in sql(engine, "SELECT state, losses FROM jobs")] == [("queued", 0)] * 2
    assert [attempt["cause"] for attempt in story(engine, quarantined.job_key)["attempts"]] == ["sick-node"] * 5
    assert [claim.alone for claim in queue.claim(BOB, 2, CODE)] == [False, False]
    assert queue.refund(lost, ANN, cause="sick-node") == 0


def lost_for_good(engine: Engine, queue: Queue, worker: Worker) -> list[Claim]:
    """The only job's claims by a worker under which its trainer dies five times."""
    claims = []
    for _ in range(5):
        claims += (found := queue.claim(worker, 1, CODE))
        queue.release(found, cause="lost-trainer")
    return claims


def test_a_second_machine_gives_nothing_back_to_the_same_job(engine: Engine, queue: Queue) -> None:
    """Else a few jobs that kill every trainer would pass from machine to machine at the head of the queue for ever."""
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    for worker, given in ((ANN, 1), (ANN, 1), (BOB, 0)):  # the first machine may be restarted
        claims = lost_for_good(engine, queue, worker)
        assert row(engine, claims[0]).state == "quarantined"
        assert queue.refund(claims, worker, cause="sick-node") == given
    assert row(engine, claims[0]).state == "quarantined"


def test_a_refund_leaves_what_was_given_up_in_a_stopped_sweep(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    claims = lost_for_good(engine, queue, ANN)
    cancel(engine, "s")
    assert queue.refund(claims, ANN, cause="sick-node") == 0
    assert row(engine, claims[0]).state == "quarantined"


def test_sweeps_left_to_others_are_not_seen(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=2), code=CODE)
    launch(engine, make_sweep(trials=1, seeds=3, name="other"), code=CODE)
    queue.left = {"s"}
    head = queue.peek()
    assert head is not None
    assert queue.claimable(head["pack_key"], 9) == 3
    assert [claim.sweep for claim in queue.claim(ANN, 1, {})] == ["other"]
    assert [claim.sweep for claim in queue.claim(ANN, 9, {}, pack_key=head["pack_key"], join=True)] == ["other"] * 2
    assert queue.peek() is None
    assert (queue.counts()["queued"], queue.drained()) == (2, False)


def test_a_job_began_when_it_was_first_claimed_and_keeps_its_last_error(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    queue.fail(claim, "ValueError: boom", cause="crash")
    sql(engine, "UPDATE jobs SET started_at = 1, not_before = 0")
    queue.release(queue.claim(BOB, 1, CODE), cause="preempted")
    assert (row(engine, claim).started_at, row(engine, claim).error) == (1, "ValueError: boom")


def test_a_retry_does_not_wait_for_the_pause_after_a_crash(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [claim] = queue.claim(ANN, 1, CODE)
    Queue(engine, backoff=1000.0).fail(claim, "boom", cause="crash")
    assert (queue.claim(ANN, 1, CODE), queue.cancel([claim.job_id]), queue.retry([claim.job_id])) == ([], 1, 1)
    assert [again.job_id for again in queue.claim(ANN, 1, CODE)] == [claim.job_id]


def test_a_rerun_forgets_all_that_was_before(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    [crashed] = queue.claim(ANN, 1, CODE)
    queue.fail(crashed, "boom", cause="crash")
    [claim] = queue.claim(ANN, 1, CODE)
    for number, checkpoint in ((1, "one"), (2, "two")):
        queue.record_epoch([(claim, epoch(number, checkpoint=checkpoint))])
    queue.finish([(claim, replace(DONE, diverged=True))])
    queue.rerun([claim.job_id])
    job = row(engine, claim)
    assert (job.state, job.diverged, job.seconds, job.best_epoch, job.val_error, job.test_error) == ("queued", False, 0, None, None, None)
    [again] = queue.claim(ANN, 1, CODE)
    assert (again.alone, again.epoch) == (False, 0)
    assert (again.checkpoint, again.checkpoint_sha, again.previous, again.previous_sha) == (None, None, None, None)


def test_a_refund_lets_a_job_that_was_alone_for_its_losses_have_company_again(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    for worker in (BOB, BOB, BOB, ANN):
        claims = queue.claim(worker, 1, CODE)
        queue.release(claims, cause="lost-trainer")
    assert claims[0].alone
    assert queue.refund(claims, ANN, cause="sick-node") == 1
    [again] = queue.claim(ANN, 1, CODE)
    queue.record_epoch([(again, epoch(1))])
    queue.release([again], cause="preempted")
    assert [claim.alone for claim in queue.claim(ANN, 1, CODE)] == [False]
