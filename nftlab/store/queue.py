"""The queue: claim, beat, record, finish, fail, release. Every verb is one short transaction for a whole pack.

A write is believed only from the worker whose claim is the job's latest: the job is running and the tokens agree. So a job may be
trained twice (at-least-once execution) but is recorded once.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Engine

from nftlab.store.moves import LOSSES, command, departure, leave, loss, refund
from nftlab.store.records import Claim, EpochRow, Outcome, Worker, finite, read_config, storable
from nftlab.store.session import Session, session
from nftlab.store.tables import STATES

MAX_BACKOFF = 600.0  # seconds


class Queue:
    """The job table as workers see it, on SQLite and Postgres alike.

    `lease`: seconds a claim lives without a beat. `stalled_after`: seconds without progress after which beats renew it no longer
    (may be changed while working: it travels with each progress stamp). `backoff`: seconds of pause after a first crash, doubled by
    each further one, give or take a half. `patience`: seconds that writes wait for a locked SQLite file, None: two leases, at least 30 s.
    """

    def __init__(
        self, engine: Engine, *, lease: float = 60.0, stalled_after: float = 600.0, backoff: float = 2.0, patience: float | None = None
    ) -> None:
        self.lease = float(lease)
        self.stalled_after = float(stalled_after)
        self._backoff = backoff
        self.left: Collection[str] = ()  # sweeps whose jobs are left to other workers
        self._engine = engine
        self._patience = max(2 * self.lease, 30.0) if patience is None else patience
        self._pardon_ends = 0.0  # on the monotonic clock
        self._slept = _slept()
        self._at_once = engine.dialect.name == "postgresql"  # a claim and a finish are one statement each there, not four

    def peek(self, skipped: Iterable[str] = ()) -> dict[str, Any] | None:
        """`config`, `sweep`, `pack_key`, `alone` and `priority` of the first claimable job whose pack key is not `skipped`."""
        with session(self._engine, None) as talk:
            rows = self._ask(talk, "peek", skipped=talk.among(skipped))
        if not rows:
            return None
        head = rows[0]
        plain = {"sweep": head.sweep, "pack_key": head.pack_key, "priority": head.priority}
        return {"config": read_config(head.config), "alone": bool(head.alone), **plain}

    def claimable(self, pack_key: str, most: int, skipped: Iterable[str] = ()) -> int:
        """How many jobs of a pack key (counted up to `most`) could be claimed together now; 0 while others of higher priority wait.

        Those of the pack keys `skipped` do not count as waiting.
        """
        with session(self._engine, None) as talk:
            return int(self._ask(talk, "claimable", pack_key=pack_key, most=most, skipped=talk.among(skipped))[0].n)

    def claim(
        self,
        worker: Worker,
        k: int,
        circumstances: dict[str, Any],
        *,
        pack_key: str | None = None,
        join: bool = False,
        held: Sequence[Claim] = (),
    ) -> list[Claim]:
        """Take the head job and up to k−1 others that can train with it (of `pack_key` only, if given); [] when there are none.

        With `join` none that must train alone: they are for a pack in training. Expired leases are taken back first, but for
        those of the claims `held`, which the worker is about to renew.
        `circumstances` go on each attempt, with the claim's size and members added as `pack_size` and `pack`.
        On Postgres [] may also mean that another worker holds the head's group: `drained` tells when there is nothing left.
        """
        who = {"worker": worker.name, "host": worker.host, "pid": worker.pid}
        wanted = {"k": k, "lease": self.lease, "stalled_after": self.stalled_after, "pack_key": pack_key, **who}
        sentence = "claim_more" if join else "claim_of" if pack_key else "claim"
        claims = self._take(sentence, wanted, circumstances, regardless=self._pardons())
        if not claims:  # nothing waits, or somebody's lease ran out and those jobs may come first
            self.reclaim(worker, held)
            claims = self._take(sentence, wanted, circumstances, regardless=True)
        return claims

    def reclaim(self, worker: Worker, held: Sequence[Claim] = ()) -> None:
        """Take jobs back whose lease ran out, those `held` by the worker left out: theirs died, or its training stopped moving."""
        ours = {(claim.job_id, claim.token) for claim in held}
        # asked also where all are pardoned: a worker with nothing to do learns from it whether the table can be written to
        with session(self._engine, self._patience) as talk:
            rows = [] if self._pardons() else [row for row in talk.ask("expired") if (row.id, row.token) not in ours]
            if rows:
                leave(talk, [loss(row, "stalled" if row.stalled else "lease expired") for row in rows], by=worker)

    def pardon(self, leases: float = 2.0) -> None:
        """For so many leases nothing is taken back: after a call that the table did not answer nobody could renew a lease either."""
        self._pardon_ends = max(self._pardon_ends, time.monotonic() + leases * self.lease)

    def overdue(self) -> bool:
        """Whether there are jobs whose lease ran out and that are not taken back yet."""
        with session(self._engine, None) as talk:
            return bool(talk.ask("expired"))

    def beat(self, claims: Sequence[Claim], *, progressed: bool) -> set[int]:
        """Renew the leases, and the progress stamps if training moved; returns the job ids whose claims are stale."""
        with session(self._engine, self._patience) as talk:
            held = self._held(talk, claims)
            self._renew(talk, held, progressed)
        return _stale(claims, held)

    def record_epoch(self, results: Sequence[tuple[Claim, EpochRow]]) -> set[int]:
        """Write an epoch of each job of a pack, renewing its lease; returns stale job ids, of which nothing was written.

        An epoch recorded before (trained again after a resume) is written over.
        """
        claims = [claim for claim, _ in results]
        with session(self._engine, self._patience) as talk:
            held = self._held(talk, claims)
            rows = [_epoch_parameters(claim, row) for claim, row in results if claim.job_id in held]
            self._renew(talk, held, progressed=True)
            talk.tell("epoch_row", rows)
            talk.tell("epoch", rows)
            talk.tell("best", [row for row in rows if row["best"]])
            talk.tell("checkpoint", [row for row in rows if row["checkpoint"] is not None])
        return _stale(claims, held)

    def finish(self, results: Sequence[tuple[Claim, Outcome]]) -> set[int]:
        """Record the outcomes: the jobs are done, each exactly once; returns stale job ids, of which nothing was written.

        A job that this very claim has finished is not stale: the answer to the first call may have been lost.
        """
        ends = [(claim, _outcome_parameters(claim, outcome)) for claim, outcome in results]
        if not self._at_once:
            return self._end("finish", "done", ends)
        with session(self._engine, self._patience, at_once=True) as talk:
            ours = talk.ask("finish_at_once", rows=json.dumps([row for _, row in ends]))
        return _stale([claim for claim, _ in ends], [row.id for row in ours])

    def prune(self, pruned: Sequence[tuple[Claim, str]]) -> set[int]:
        """Record that jobs end early, and why; curve and best epoch stay. Returns stale job ids, told again as `finish` is."""
        end = {"target": "pruned", "error": None}
        return self._end("prune", "pruned", [(c, end | {"job_id": c.job_id, "token": c.token, "why": why}) for c, why in pruned])

    def fail(self, claim: Claim, error: str, *, cause: str) -> bool:
        """Record a failure with its traceback; False if the claim is stale.

        `cause` "crash": tried again, alone, after a growing pause, until the job's retries are spent. "config": failed at once.
        """
        if cause not in ("crash", "config"):
            raise ValueError(f'cause is "crash" or "config", not {cause!r}')
        with session(self._engine, self._patience) as talk:
            held = self._held(talk, [claim])
            for row in held.values():
                retries = row.retries + (cause == "crash")
                again = cause == "crash" and retries <= row.max_retries
                gone = departure(row, "queued" if again else "failed", cause, error)
                leave(talk, [gone | {"retries": retries, "delay": self._pause(retries), "alone": True}])
        return claim.job_id in held

    def release(self, claims: Sequence[Claim], *, cause: str, alone: bool = False) -> None:
        """Hand jobs back unharmed ("preempted", "interrupted", "disk", …): no retry is spent; stale claims are passed over.

        With `alone` they train without neighbours from now on. Causes "lost-trainer" and "stalled" count as losses, like an expired lease.
        """
        with session(self._engine, self._patience) as talk:
            rows = self._held(talk, claims).values()
            leaves = [loss(row, cause) if cause in LOSSES else departure(row, "queued", cause) for row in rows]
            leave(talk, [gone | {"alone": alone} for gone in leaves])

    def refund(self, claims: Sequence[Claim], worker: Worker, *, cause: str) -> int:
        """Take back what crashes and losses of these attempts cost, as they were the machine's; returns how many jobs got theirs back.

        A job that somebody has claimed since keeps its counts, and so does one that another machine has given back for this cause:
        twice it is the job. One that was given up or is still held is queued again. The attempts take `cause`.
        """
        with session(self._engine, self._patience) as talk:
            return refund(talk, claims, worker, cause)

    def counts(self) -> dict[str, int]:
        """Jobs by state, every state present."""
        with session(self._engine, None) as talk:
            found: dict[str, int] = {row.state: row.n for row in talk.ask("counts")}
        return {state: found.get(state, 0) for state in STATES}

    def drained(self) -> bool:
        """Whether nothing is queued (backing off included, of paused sweeps not) and nothing running."""
        with session(self._engine, None) as talk:
            return not talk.ask("unfinished")[0].some

    def paused(self) -> dict[str, int]:
        """How many jobs wait in the queue for their sweep to be resumed, by sweep."""
        with session(self._engine, None) as talk:
            return {row.sweep: row.n for row in talk.ask("paused")}

    def retry(self, job_ids: Iterable[int]) -> int:
        """Queue failed, quarantined and cancelled jobs again with fresh retries, from their checkpoints; returns how many."""
        return self._command("retry", job_ids)

    def cancel(self, job_ids: Iterable[int]) -> int:
        """Cancel queued and running jobs; a worker that trains one finds its claim stale at its next beat. Returns how many."""
        return self._command("cancel", job_ids)

    def rerun(self, job_ids: Iterable[int]) -> int:
        """Queue finished jobs again from scratch: curve, checkpoint and result are forgotten, attempts kept. Returns how many."""
        return self._command("rerun", job_ids)

    def _ask(self, talk: Session, sentence: str, **parameters: Any) -> list[Any]:
        """The answer to a sentence that looks for jobs, without those of sweeps that are left to others."""
        if self.left:
            return talk.ask(f"{sentence}_left", **parameters, left=talk.among(self.left))
        return talk.ask(sentence, **parameters)

    def _take(self, sentence: str, wanted: dict[str, Any], circumstances: dict[str, Any], *, regardless: bool) -> list[Claim]:
        """Claim in one transaction; nothing while a lease has run out, unless `regardless` of that."""
        with session(self._engine, self._patience, at_once=self._at_once) as talk:
            rows = self._ask(talk, sentence, **wanted, regardless=regardless, circumstances=json.dumps(circumstances))
            rows.sort(key=lambda row: (-row.priority, row.id))
            if self._at_once or not rows:
                return [_claim(row, row.attempt_id) for row in rows]
            noted = json.dumps({**circumstances, "pack_size": len(rows), "pack": [row.job_key for row in rows]})
            ids = talk.among(row.id for row in rows)
            tries = {attempt.job_id: attempt.id for attempt in talk.ask("attempt", **wanted, ids=ids, circumstances=noted)}
            talk.tell("claimed", [{"ids": ids, **wanted}])
        return [_claim(row, tries[row.id]) for row in rows]

    def _command(self, verb: str, job_ids: Iterable[int]) -> int:
        with session(self._engine, self._patience) as talk:
            return command(talk, verb, job_ids, Worker.me())

    def _end(self, sentence: str, state: str, ends: Sequence[tuple[Claim, dict[str, Any]]]) -> set[int]:
        """Running jobs reach an accepted state; returns stale job ids. A job that this very claim brought there is not stale."""
        claims = [claim for claim, _ in ends]
        with session(self._engine, self._patience) as talk:
            ours = self._ours(talk, claims)
            rows = [row for claim, row in ends if claim.job_id in ours and ours[claim.job_id].state == "running"]
            for each in (sentence, "end_attempt", "left"):
                talk.tell(each, rows)
        return _stale(claims, {job for job, row in ours.items() if row.state in ("running", state)})

    def _held(self, talk: Session, claims: Sequence[Claim]) -> dict[int, Any]:
        """The rows, locked, of the jobs that the claims still hold, by id."""
        return {job: row for job, row in self._ours(talk, claims).items() if row.state == "running"}

    def _ours(self, talk: Session, claims: Sequence[Claim]) -> dict[int, Any]:
        """The rows, locked, of the jobs that nobody has claimed since, by id."""
        tokens = {claim.job_id: claim.token for claim in claims}
        rows = talk.ask("lock", ids=talk.among(tokens))
        return {row.id: row for row in rows if row.token == tokens[row.id]}

    def _pardons(self) -> bool:
        if (slept := _slept()) - self._slept > self.lease / 3:  # the machine did, and with it other workers whose leases ran out meanwhile
            self._slept = slept
            self.pardon()
        return time.monotonic() < self._pardon_ends

    def _renew(self, talk: Session, held: Iterable[int], progressed: bool) -> None:
        ids = talk.among(held)
        if progressed:
            talk.tell("progress", [{"stalled_after": self.stalled_after, "ids": ids}])
        talk.tell("renew", [{"lease": self.lease, "ids": ids}])

    def _pause(self, retries: int) -> float:
        """Seconds before the next try: doubling, jittered so that jobs that crashed together do not come back together."""
        return float(min(self._backoff * 2 ** max(retries - 1, 0), MAX_BACKOFF) * random.uniform(0.5, 1.5))


def _stale(claims: Sequence[Claim], held: Iterable[int]) -> set[int]:
    return {claim.job_id for claim in claims}.difference(held)


def _slept() -> float:
    """Seconds that this machine was suspended since it started; 0 where that cannot be told."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() if hasattr(time, "CLOCK_BOOTTIME") else 0.0


def _claim(row: Any, attempt_id: int) -> Claim:
    values = row._asdict() | {"job_id": row.id, "config": read_config(row.config), "alone": bool(row.alone), "attempt_id": attempt_id}
    return Claim(**{name: values[name] for name in Claim.__dataclass_fields__})


def _epoch_parameters(claim: Claim, row: EpochRow) -> dict[str, Any]:
    values = {name: finite(value) for name, value in row.values.items()}
    best = {"best": row.best, "val_error": values.get("val/error"), "test_error": values.get("test/error")}
    saved = {"checkpoint": row.checkpoint and storable(row.checkpoint), "checkpoint_sha": row.checkpoint_sha}
    curve = {"epoch": row.epoch, "values": json.dumps(values), "seconds": row.seconds}
    return {"job_id": claim.job_id, "token": claim.token, **curve, **best, **saved}


def _outcome_parameters(claim: Claim, outcome: Outcome) -> dict[str, Any]:
    found = {"val_error": finite(outcome.val_error), "test_error": finite(outcome.test_error)}
    result = {"diverged": outcome.diverged, "best_epoch": outcome.best_epoch, "seconds": outcome.seconds, **found}
    why = {"target": "done", "why": "diverged" if outcome.diverged else "finished", "error": None}
    return {"job_id": claim.job_id, "token": claim.token, **result, **why}
