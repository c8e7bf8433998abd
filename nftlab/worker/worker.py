"""The worker: claim a pack, have it trained, record it, until there is nothing left or somebody says stop."""

from __future__ import annotations

import contextlib
import math
import os
import random
import socket
import time
import uuid
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from sqlalchemy import Engine

from nftlab.errors import ConfigError, OutageError
from nftlab.search import Proposer, Referee
from nftlab.store import Claim, Outcome, Queue, Worker, launched, open_db, shown, sources, storable
from nftlab.store.watch import Watch
from nftlab.worker.blame import UnloadableError, of_other_code
from nftlab.worker.budget import Wishes
from nftlab.worker.circumstances import here, other_code
from nftlab.worker.handle import TrainerHandle
from nftlab.worker.options import WorkerOptions
from nftlab.worker.pack_run import Berth, PackRun
from nftlab.worker.pack_size import MOST, Pace, Sizes
from nftlab.worker.progress import Display
from nftlab.worker.pulse import STALLED
from nftlab.worker.spool import NEWCOMER, Outage
from nftlab.worker.tracking import Tracking
from nftlab.worker.warm import WarmTrainer

LOCKED = 5.0  # seconds that a write waits for a locked SQLite file before training goes on without the table; at most a third of the lease
HANGING, HANGING_HURRIED = 60.0, 8.0  # seconds that a Postgres server may take to answer, longer than it waits for rows; and after a stop
ASK_AGAIN = 60.0  # seconds until samplers that did not answer are asked again while there is other work
POLL = 1.0  # seconds between looks at an empty queue, give or take a quarter
TRACKING, TRACKING_HURRIED = 60.0, 10.0  # seconds that trackers get at the end, and after a stop

NewTrainer = Callable[..., TrainerHandle]  # of (device, runs, deterministic=…)


def run_worker(options: WorkerOptions, trainer: NewTrainer = TrainerHandle) -> int:
    """Works until drained or stopped; returns the exit code.

    0 drained and nothing failed, 1 drained with failed jobs in the sweeps it worked on or a search that cannot go on, 75 after
    SIGTERM, SIGUSR1 or the end of the budget, 130 after Ctrl-C. Raises what ends it otherwise, `exit_code` telling: SickNodeError,
    DatabaseError (69), FencedError (75), SchemaError, ConfigError (78). Claimed jobs are handed back first. Nothing is written
    to stdout.
    A database that was reached and then does not answer is waited for: as long as there is something to train, then for `patience`.
    """
    engine = open_db(options.db, create=True)
    assert engine is not None  # create=True
    display = Display()
    display.say(f"worker on {shown(engine.url)}")
    with Wishes(options.budget) as signals:
        session = Session(options, engine, signals, display, trainer)
        try:
            return session.run()
        finally:
            session.close()
            engine.dispose()


class Session:
    """One worker's life: its queue, its trainer process, its trackers, and what it has seen so far."""

    def __init__(self, options: WorkerOptions, engine: Engine, signals: Wishes, display: Display, trainer: NewTrainer) -> None:
        self.options, self.engine, self.signals, self.display = options, engine, signals, display
        locked, stalled_after = min(LOCKED, options.lease / 3), options.stalled_after or STALLED
        self.queue = Queue(engine, lease=options.lease, stalled_after=stalled_after, patience=locked)
        self.queue.pardon(NEWCOMER)
        self._refused: dict[str, UnloadableError] = {}  # the sweeps of other code that are left to others, and why
        self.queue.left = self._refused.keys()
        self._watch = Watch(engine, lambda: HANGING_HURRIED if signals.stop else HANGING) if engine.dialect.name == "postgresql" else None
        self.outage = Outage(self.queue, display.say)
        host = socket.gethostname()
        self.me = Worker(f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}", host, os.getpid())
        spawn = partial(trainer, options.device, options.runs, deterministic=options.deterministic)
        self._warm = WarmTrainer(spawn, engine, signals, display.say)
        self.tracking = Tracking(engine, options, self._warm.code, display.say)
        self._unloadable: dict[str, UnloadableError] = {}  # pack keys whose data set cannot be loaded here
        self._asking = -math.inf  # from when on samplers may be asked though jobs wait, on the monotonic clock
        self._compared: set[tuple[str, str | None, str | None]] = set()  # sweeps and the code of ours that theirs was compared with
        self.sizes = Sizes(engine, None if options.pack == "auto" else int(options.pack), self._warm.measure, display.say)
        self.proposer = Proposer(engine, self.me, display.say, without=self.queue.left)
        self.referee = Referee(engine)
        self._room = 1 if options.pack == "auto" else int(options.pack)  # places that proposals are to fill
        self._streak: dict[int, list[Claim]] = {}  # what failed together here since the last attempt that did not, by its first
        self._ended = self._waiting = 0

    @property
    def trainer(self) -> TrainerHandle:
        """The process that trains."""
        return self._warm.handle

    def run(self) -> int:
        """The loop of `run_worker`."""
        while not self.signals.stop:
            try:
                verdict = self._turn()
            except OutageError as error:
                self._endure(error)
                continue
            self.outage.over()
            if verdict is not None:
                return verdict
        if self.signals.spent:
            self.display.say(f"the budget is spent: {self._left()} jobs left")
        return self.signals.exit_code

    def _turn(self) -> int | None:
        """Trains a pack, or waits a little when there is none; the exit code when it is time to leave. Raises OutageError."""
        if self.options.max_jobs is not None and self._ended >= self.options.max_jobs:
            return self._verdict()
        berth = self._berth()
        if berth is not None and (claims := self.claim(berth)):
            self.outage.over()
            self._work(berth, claims)
        else:
            leaving = self._may_leave()
            self.tracking.catch_up()  # after that look: once the table is drained nobody finishes a job any more
            if leaving:
                return self._verdict()
            self._pause(POLL * random.uniform(0.75, 1.25))
        return None

    def _endure(self, error: OutageError) -> None:
        """Waits until the job table is to be tried again; raises the error when that has been for too long."""
        self.outage.note(error)
        self.engine.dispose()  # a server short of connections gets ours back while we wait
        if self.outage.lasted >= self.options.patience and not self.signals.stop:
            raise error
        self._pause(self.outage.rest)

    def _pause(self, seconds: float) -> None:
        """Lets time pass, until a signal comes."""
        wait([self.signals.socket], timeout=seconds)
        self.signals.drain()

    def close(self) -> None:
        """Ends the trainer and gives the trackers a bounded time to copy what they have."""
        self.trainer.kill()
        self.display.close()
        if self._watch:
            self._watch.close()
        patience = TRACKING_HURRIED if self.signals.stop else TRACKING
        if not self.tracking.mirror.shutdown(patience):
            self.display.say(f"tracking did not finish in {patience:.0f} s: see `wandb sync` for what is left in {self.options.runs}")

    def finished(self, claim: Claim, end: Outcome) -> None:
        """A job of ours is done."""
        self._ended += 1
        self._streak.clear()
        self.display.done(claim, end)

    def pruned(self, claim: Claim, why: str) -> None:
        """A job of ours ended early."""
        self._ended += 1
        self._streak.clear()
        self.display.pruned(claim, why)

    def failed(self, claim: Claim, error: str) -> None:
        """An attempt of ours failed."""
        self._ended += 1
        self.display.failed(claim, error)

    def leaves_to_others(self, claim: Claim, error: str) -> bool:
        """Whether a job that cannot run here may run with the code that its sweep was launched from; then the sweep is left alone here."""
        refusal = of_other_code(self.engine, claim.sweep, self._warm.code, error)
        if refusal is None:
            return False
        self._refused[claim.sweep] = refusal
        self.display.say(f"its jobs are left to others: {refusal}")
        return True

    def suspect(self, claims: list[Claim]) -> list[list[Claim]]:
        """Notes a failure that may be the machine's, of jobs that failed together; returns all those in a row."""
        self._streak[claims[0].attempt_id] = claims
        return list(self._streak.values())

    def observed(self, pace: Pace) -> None:
        """Remembers how fast a pack was, for forecasts."""
        assert self._warm.ready is not None
        self.sizes.observed(self._warm.ready, pace)

    # --- claiming

    def claim(self, berth: Berth) -> list[Claim]:
        """The jobs of a new pack; [] when others were faster."""
        self._room = self.sizes.places(berth.pack_key, berth.choice)
        size = self._allowed(self._room)
        return self.queue.claim(self.me, size, berth.noted, pack_key=berth.pack_key)

    def claim_more(self, berth: Berth, free: int, held: list[Claim]) -> list[Claim]:
        """Jobs for the free places of a pack beside those `held`; [] when none is left, or when the pack had better end.

        That is when jobs of another kind and higher priority wait, or so many of this one that a larger pack may pay.
        """
        if (free := self._allowed(free, len(held))) < 1:
            return []
        waiting = self._claimable(berth.pack_key)
        if not waiting:
            self.queue.reclaim(self.me, held)
        if self._propose(free) or not waiting:
            waiting = self._claimable(berth.pack_key)
        size = min(free, waiting)
        if size < 1 or self.signals.stop or berth.choice.outgrown(waiting):
            return []
        noted = berth.noted | {"beside": [claim.job_key for claim in held]}
        return self.queue.claim(self.me, size, noted, pack_key=berth.pack_key, join=True, held=held)

    def welcome(self, claims: list[Claim]) -> None:
        """What a worker does for jobs it has claimed, before they train."""
        self._compare_code(claims)
        files = sources(self.engine, {claim.sweep for claim in claims})
        self.referee.meet(files)
        self.tracking.start(claims, files)

    def _berth(self) -> Berth | None:
        """Where the next pack will train, its data set loaded before it is claimed; None when there is nothing or a stop came between."""
        while (head := self._head()) is not None and self._warm.start():
            try:
                prepared = self._warm.load(head["config"]["dataset"], head["config"].get("data_share", 1.0), head["sweep"])
            except UnloadableError as error:
                if str(error) not in map(str, self._unloadable.values()):
                    self.display.say(f"jobs on {head['config']['dataset']} are left to others: {error}")
                self._unloadable[head["pack_key"]] = error
                continue
            if prepared is None:
                return None
            assert self._warm.ready is not None
            choice = self.sizes.choose(head, self._claimable(head["pack_key"]), self._warm.ready)
            if self.signals.stop or self.trainer.gone:
                return None
            data = {"data": storable(prepared.source), "data_sha": prepared.sha256}
            return Berth(head["pack_key"], choice, here(self._warm.code, self._warm.ready) | data | choice.noted())
        return None

    def _head(self) -> dict[str, Any] | None:
        """The first claimable job that can train here. Raises UnloadableError when there are only others."""
        head = self.queue.peek(self._unloadable)
        if head is None:
            self.queue.reclaim(self.me)
            head = self.queue.peek(self._unloadable)
        if self._propose(self._room):
            head = self.queue.peek(self._unloadable)
        if head is None and self._refused and Queue(self.engine).peek():
            self._look_again()
            head = self.queue.peek(self._unloadable)
        if head is None and self._unloadable and (left := self.queue.peek()) and (error := self._unloadable.get(left["pack_key"])):
            raise error
        if head is None and self._refused and Queue(self.engine).peek():
            raise next(iter(self._refused.values()))
        return head

    def _look_again(self) -> None:
        """Whether sweeps that were left to others were launched again, from this code, and can be trained here after all."""
        for name in list(self._refused):
            if next(other_code(self.engine, {name}, self._warm.code, known=True), None) is None:
                del self._refused[name]

    def _claimable(self, pack_key: str) -> int:
        return self.queue.claimable(pack_key, MOST, self._unloadable)

    def _propose(self, places: int) -> bool:
        """Whether samplers proposed jobs: asked only while nothing of their priority waits, so that what they propose knows most."""
        if self.signals.stop:
            return False
        head = self.queue.peek()
        if head is None:
            return self.proposer.propose(places) > 0
        # What waits can train whatever becomes of the samplers, and the places are those of another kind of job. On data that
        # cannot be loaded here nobody could train what is proposed.
        if self._unloadable or time.monotonic() < self._asking:
            return False
        try:
            return self.proposer.propose(1, above=head["priority"]) > 0
        except OutageError as error:
            self._asking = time.monotonic() + ASK_AGAIN
            self.display.say(f"samplers are asked again in {ASK_AGAIN:.0f} s: {error.args[0]}")
            return False

    def _allowed(self, size: int, held: int = 0) -> int:
        """At most `size` jobs beside those held, and no more than `--max-jobs` leaves."""
        return size if self.options.max_jobs is None else min(size, self.options.max_jobs - self._ended - held)

    def _work(self, berth: Berth, claims: list[Claim]) -> None:
        self.display.pack(claims, self._left)
        try:
            PackRun(self, berth).run(claims)
        finally:
            self.display.end()

    def _left(self) -> int:
        """The jobs that are queued or running; as many as the last time while the table is away."""
        with contextlib.suppress(OutageError):
            counts = self.queue.counts()
            self._waiting = counts["queued"] + counts["running"]
        return self._waiting

    def _compare_code(self, claims: list[Claim]) -> None:
        """Says so when a sweep was launched from other code than this worker's; refuses it under `strict`."""
        code = self._warm.code
        new = {(claim.sweep, code["git_sha"], code["dirty"]) for claim in claims} - self._compared
        for what in other_code(self.engine, {name for name, *_ in new}, code):
            if self.options.strict:
                self.queue.release(claims, cause="other-code")
                raise ConfigError(what, "check out the code that was launched, launch again, or leave out --strict")
            self.display.say(what)
        self._compared |= new

    # --- leaving

    def _may_leave(self) -> bool:
        if self.options.drain_now:
            return self.queue.peek() is None and not self.queue.overdue()
        # in this order: trials that are proposed in between are seen as jobs
        return self.options.drain and not self.proposer.left() and self.queue.drained()

    def _verdict(self) -> int:
        """1 if jobs of the sweeps worked on have failed, else 0; says what waits for a paused sweep."""
        for sweep, count in self.queue.paused().items():
            self.display.say(f"{count} jobs wait for sweep {sweep}, which is paused; nftlab sweep resume {sweep}")
        worked_on = {name for name, *_ in self._compared}
        states_of = [sweep["jobs"] for sweep in launched(self.engine) if sweep["name"] in worked_on]
        return int(bool(self.proposer.broken) or any(states["failed"] + states["quarantined"] for states in states_of))
