"""Workers under fire: a random one, or its trainer, is killed again and again until every job is done."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlalchemy import Engine

from nftlab.errors import NftlabError
from nftlab.store import Queue
from nftlab.worker import WorkerOptions, run_worker
from tests.store.jobtable import sql

EPOCHS = 4

Work = Callable[[WorkerOptions], int]


@dataclass
class Storm:
    """`workers` processes that do `work` with `options`, and a SIGKILL `every` so many seconds; who is gone is replaced.

    On a machine too busy for that, less often: between two kills each worker records EPOCHS epochs on average. Else a job that is five
    times killed before its first epoch would rightly be quarantined. The first kill comes as soon, and is of one who trains: on a fast
    machine a small storm may have no second.
    What the workers say is appended to `voice`. Workers are forked from a process that has imported what they need, because a storm
    starts hundreds; `work` is importable.
    """

    engine: Engine
    options: WorkerOptions
    work: Work
    workers: int
    every: float
    voice: Path
    most: int | None = None  # kills
    seed: int = 0
    kills: list[frozenset[int]] = field(default_factory=list)  # for each the attempts that the victim held
    exits: Counter[int] = field(default_factory=Counter)  # codes of workers that left while the storm went on
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._living: list[BaseProcess] = []

    def rage(self, seconds: float) -> None:
        """Until every job is finished, at most so many seconds; returns when the workers have left too."""
        queue, began = Queue(self.engine), time.monotonic()
        strike, due = began, EPOCHS * self.workers
        try:
            while not queue.drained():
                assert time.monotonic() < began + seconds, f"not done in {seconds} s: {queue.counts()}; see {self.voice}"
                self._replace_the_dead()
                if len(self.kills) != self.most and time.monotonic() >= strike and (recorded := self._epochs()) >= due:
                    self._strike()
                    strike, due = max(strike + self.every, time.monotonic()), recorded + EPOCHS * self.workers
                time.sleep(0.02)
            self.seconds = time.monotonic() - began
            for worker in self._living:
                worker.join(60)
        finally:
            for worker in self._living:
                worker.kill()
                worker.join()

    @property
    def hits(self) -> int:
        """The kills that ended the training of a job."""
        lost = {row.id for row in sql(self.engine, "SELECT id FROM attempts WHERE cause IN ('lease expired', 'lost-trainer')")}
        return sum(bool(held & lost) for held in self.kills)

    def _epochs(self) -> int:
        return int(sql(self.engine, "SELECT count(*) AS n FROM epoch_rows")[0].n)

    def _replace_the_dead(self) -> None:
        for worker in self._living:
            if worker.exitcode is not None:
                self.exits[worker.exitcode] += 1
        self._living = [worker for worker in self._living if worker.exitcode is None]
        while len(self._living) < self.workers:
            self._living.append(start(self.work, self.options, self.voice))

    def _strike(self) -> None:
        training = [] if self.kills else [worker for worker in self._living if self._held(worker)]
        victim = self._chance.choice(training or self._living)
        pid, held, trainers = victim.pid, self._held(victim), trainers_of(victim.pid or 0)
        try:
            os.kill(trainers[0] if trainers and self._chance.random() < 0.5 else pid or 0, signal.SIGKILL)
        except ProcessLookupError:  # it left by itself while we aimed
            return
        self.kills.append(held)

    def _held(self, worker: BaseProcess) -> frozenset[int]:
        """The attempts that a worker holds."""
        rows = sql(self.engine, "SELECT id FROM attempts WHERE pid = :pid AND ended_at IS NULL", pid=worker.pid)
        return frozenset(row.id for row in rows)


def start(work: Work, options: WorkerOptions, voice: Path) -> BaseProcess:
    """A worker process; its exit code is that of `nftlab worker`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.worker.toy", "psycopg"])
    worker = context.Process(target=_be_worker, args=(work, options, voice, dict(os.environ)))
    worker.start()
    return worker


def real(options: WorkerOptions) -> int:
    """A worker as `nftlab worker` starts it."""
    return run_worker(options)


def trainers_of(worker: int) -> list[int]:
    """The children of a worker that are Python as it is: spawned, or forked and so of the same command line."""
    try:
        mine = Path(f"/proc/{worker}/cmdline").read_bytes()
        children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
        words = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    except OSError:  # somebody died while we looked
        return []
    return [child for child, said in words.items() if said == mine or b"spawn_main" in said]


def _be_worker(work: Work, options: WorkerOptions, voice: Path, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    said = os.open(voice, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(said, 2)  # of the trainer too
    sys.stderr = os.fdopen(said, "w", buffering=1)
    try:
        code = work(options)
    except NftlabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = error.exit_code
    sys.exit(code)
