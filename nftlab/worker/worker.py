"""The worker: claim a pack, have it trained, record it, until there is nothing left or somebody says stop."""

from __future__ import annotations

import os
import random
import socket
import uuid
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from nftlab.code import identity
from nftlab.errors import ConfigError
from nftlab.store import Claim, Outcome, Queue, Worker, curve, launched, open_db, shown
from nftlab.track import Mirror, Say, TrackedJob, Tracker, close_trackers, open_tracker
from nftlab.worker import pack_size
from nftlab.worker.circumstances import here
from nftlab.worker.handle import TrainerHandle
from nftlab.worker.messages import Failed, Prepare, Prepared, Ready, Report
from nftlab.worker.options import WorkerOptions
from nftlab.worker.pack_run import STALLED, PackRun, SickNodeError
from nftlab.worker.progress import Display
from nftlab.worker.signals import Signals

POLL = 1.0  # seconds between looks at an empty queue, give or take a quarter
TRACKING, TRACKING_HURRIED = 60.0, 10.0  # seconds that trackers get at the end, and after a stop


def run_worker(options: WorkerOptions) -> int:
    """Works until drained or stopped; returns the exit code.

    0 drained and nothing failed, 1 drained with failed jobs in the sweeps it worked on, 75 after SIGTERM or SIGUSR1, 130 after
    Ctrl-C. Raises what ends it otherwise, `exit_code` telling: SickNodeError, DatabaseError (69), FencedError (75), SchemaError,
    ConfigError (78). Claimed jobs are handed back first. Nothing is written to stdout.
    """
    engine = open_db(options.db, create=True)
    assert engine is not None  # create=True
    display = Display()
    display.say(f"worker on {shown(engine.url)}")
    with Signals() as signals:
        session = Session(options, engine, signals, display)
        try:
            return session.run()
        finally:
            session.close()
            engine.dispose()


class Session:
    """One worker's life: its queue, its trainer process, its trackers, and what it has seen so far."""

    def __init__(self, options: WorkerOptions, engine: Engine, signals: Signals, display: Display) -> None:
        self.options, self.engine, self.signals, self.display = options, engine, signals, display
        self.queue = Queue(engine, lease=options.lease, stalled_after=options.stalled_after or STALLED)
        host = socket.gethostname()
        self.me = Worker(f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}", host, os.getpid())
        opener = partial(_open, options.track, options.runs)
        self.mirror = Mirror(None if options.track == "none" else opener, display.say, partial(close_trackers, options.track))
        self.trainer = self._spawn()
        self._ready: Ready | None = None
        self._code = identity()
        self._codes_seen: set[str] = set()  # sweeps whose code was compared with ours
        self._limits: dict[str, int] = {}  # pack key → the largest pack that this machine's memory takes
        self._streak: set[str] = set()  # jobs that failed here since the last one that did not
        self._ended = 0

    def run(self) -> int:
        """The loop of `run_worker`."""
        while not self.signals.stop:
            if self.options.max_jobs is not None and self._ended >= self.options.max_jobs:
                return self._verdict()
            claims = self._claim()
            if claims:
                self._work(claims)
            elif self._may_leave():
                return self._verdict()
            else:
                wait([self.signals.socket], timeout=POLL * random.uniform(0.75, 1.25))
                self.signals.drain()
        return self.signals.exit_code

    def close(self) -> None:
        """Ends the trainer and gives the trackers a bounded time to copy what they have."""
        self.trainer.kill()
        self.display.close()
        patience = TRACKING_HURRIED if self.signals.stop else TRACKING
        if not self.mirror.shutdown(patience):
            self.display.say(f"tracking did not finish in {patience:.0f} s: see `wandb sync` for what is left in {self.options.runs}")

    def finished(self, claim: Claim, end: Outcome) -> None:
        """A job of ours is done."""
        self._ended += 1
        self._streak.clear()
        self.display.done(claim, end)

    def failed(self, claim: Claim, error: str) -> None:
        """An attempt of ours failed."""
        self._ended += 1
        self.display.failed(claim, error)

    def suspect(self, key: str) -> int:
        """Counts a failure that may be the machine's; returns how many different jobs have failed in a row."""
        self._streak.add(key)
        return len(self._streak)

    def limit(self, pack_key: str, size: int) -> None:
        """From now on claims at most `size` such jobs at once."""
        self._limits[pack_key] = max(1, size)

    # --- claiming

    def _claim(self) -> list[Claim]:
        """The next pack, its data set loaded before it is claimed; [] when there is nothing or a stop came between."""
        head = self.queue.peek()
        if head is None:
            self.queue.reclaim(self.me)
            head = self.queue.peek()
        if head is None or not self._start_trainer():
            return []
        prepared = self._ask(Prepare(head["config"]["dataset"]))
        if not isinstance(prepared, Prepared):
            return []
        assert self._ready is not None
        noted = here(self._code, self._ready) | {"data": prepared.source, "data_sha": prepared.sha256}
        return self.queue.claim(self.me, self._size(head), noted, pack_key=head["pack_key"])

    def _size(self, head: dict[str, Any]) -> int:
        assert self._ready is not None
        asked = self.options.pack
        size = pack_size.auto(head["config"], self._ready.device) if asked == "auto" else int(asked)
        size = min(size, self._limits.get(head["pack_key"], size))
        if self.options.max_jobs is not None:
            size = min(size, self.options.max_jobs - self._ended)
        return 1 if head["alone"] else size

    def _work(self, claims: list[Claim]) -> None:
        self._compare_code(claims)
        for claim in claims:
            self.mirror.start(self._tracked(claim))
        self.display.pack(claims, self.queue.counts())
        try:
            PackRun(self, claims).run()
        finally:
            self.display.end()

    def _compare_code(self, claims: list[Claim]) -> None:
        """Says so when a sweep was launched from other code than this worker's; refuses it under `strict`."""
        names = {claim.sweep for claim in claims} - self._codes_seen
        self._codes_seen |= names
        for sweep in launched(self.engine) if names else []:
            if sweep["name"] in names and any(sweep["code"].get(part) != self._code.get(part) for part in ("git_sha", "dirty")):
                what = f"sweep {sweep['name']} was launched from code {_short(sweep['code'])}, this worker runs {_short(self._code)}"
                if self.options.strict:
                    self.queue.release(claims, cause="other-code")
                    raise ConfigError(what, "check out the code that was launched, launch again, or leave out --strict")
                self.display.say(what)

    def _tracked(self, claim: Claim) -> TrackedJob:
        rows = curve(self.engine, claim.job_id) if claim.epoch and self.options.track != "none" else []
        history = tuple((row.pop("epoch"), {name: value for name, value in row.items() if name != "seconds"}) for row in rows)
        return TrackedJob(claim.job_key, claim.sweep, claim.trial_key, claim.seed, claim.config, self._code["git_sha"], history)

    # --- leaving

    def _may_leave(self) -> bool:
        if self.options.drain_now:
            return self.queue.peek() is None
        return self.options.drain and self.queue.drained()

    def _verdict(self) -> int:
        """1 if jobs of the sweeps worked on have failed, else 0."""
        worked_on = [sweep["jobs"] for sweep in launched(self.engine) if sweep["name"] in self._codes_seen]
        return int(any(states["failed"] + states["quarantined"] for states in worked_on))

    # --- the trainer

    def _spawn(self) -> TrainerHandle:
        self._ready = None
        return TrainerHandle(self.options.device, self.options.runs, deterministic=self.options.deterministic)

    def _start_trainer(self) -> bool:
        """A trainer that is ready; False when a stop came between."""
        if self.trainer.gone:
            self.trainer.kill()
            self.trainer = self._spawn()
        if self._ready is None:
            ready = self._ask(None)
            self._ready = ready if isinstance(ready, Ready) else None
        return self._ready is not None

    def _ask(self, order: Prepare | None) -> Report | None:
        """What the trainer answers, None when a stop came between. Raises SickNodeError when it cannot or dies."""
        if order is not None:
            self.trainer.tell(order)
        while not self.signals.stop:
            wait([*self.trainer.waitable, self.signals.socket], timeout=POLL)
            self.signals.drain()
            for report in self.trainer.hear():
                if isinstance(report, Failed):
                    raise SickNodeError(report.error if report.kind != "crash" else report.traceback.rstrip())
                return report
            if self.trainer.gone:
                raise SickNodeError(f"the trainer {self.trainer.end} before it could train")
        return None


def _open(kind: str, runs: Path, job: TrackedJob, say: Say) -> Tracker:
    return open_tracker(kind, job, runs, say)


def _short(code: dict[str, Any]) -> str:
    """`1a2b3c4`, `1a2b3c4 with changes`, or `unknown` outside a repository."""
    sha = code.get("git_sha")
    return f"{str(sha)[:7]}{' with changes' if code.get('dirty') else ''}" if sha else "unknown"
