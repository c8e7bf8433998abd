"""A trainer without torch behind the real supervisor: it says what the real one says, keeps checkpoints, and its curves are exact.

An epoch of a job follows from the one before alone, and the first from (configuration, seed): a job that was resumed from the wrong
place, or from the wrong file, ends with other numbers than `straight` tells.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nftlab import track
from nftlab.speeds import Speed
from nftlab.store import Claim, EpochRow, Outcome
from nftlab.worker import WorkerOptions, run_worker
from nftlab.worker.handle import Setup, TrainerHandle
from nftlab.worker.messages import Drop, Ended, Epoch, Join, Measure, Measured, Prepare, Prepared, Ready, Recorded, Stop, Train
from nftlab.worker.shelf import attempt_folder, clear_attempt

EPOCH = 0.1  # seconds
KEEP_EVERY = 3  # epochs between checkpoints


@dataclass
class Run:
    """A job in training: all that a checkpoint must hold."""

    config: Mapping[str, Any]
    seed: int
    epoch: int = 0
    state: str = ""
    best: tuple[float, int] = (float("inf"), 0)  # validation error, epoch
    test_error: float = 0.0

    def step(self) -> dict[str, float]:
        """The next epoch; its values, errors in percent."""
        self.epoch += 1
        told = json.dumps([self.state, self.config, self.seed, self.epoch], sort_keys=True)
        self.state = hashlib.sha256(told.encode()).hexdigest()
        val, test = int(self.state[:4], 16) / 655.36, int(self.state[4:8], 16) / 655.36
        if (val, self.epoch) < self.best:
            self.best, self.test_error = (val, self.epoch), test
        return {"train/loss": int(self.state[8:12], 16) / 65536, "val/error": val, "test/error": test}

    @property
    def over(self) -> bool:
        """Whether it was trained to its end."""
        return self.epoch >= int(self.config["epochs"])

    def outcome(self) -> Outcome:
        """How it ended."""
        return Outcome(False, self.best[1], self.best[0], self.test_error, EPOCH * self.epoch)


def straight(config: Mapping[str, Any], seed: int) -> tuple[list[dict[str, float]], Outcome]:
    """What a job comes to that nothing disturbs: its curve and how it ends."""
    run, points = Run(config, seed), []
    while not run.over:
        points.append({"epoch": run.epoch + 1, **run.step()})
    return points, run.outcome()


def serve(pipe: Connection, setup: Setup) -> None:
    """The life of the trainer process."""
    Toy(pipe, setup.runs).serve()


@dataclass
class Toy:
    """Carries out orders as `nftlab.worker.trainer` does."""

    pipe: Connection
    runs: Path
    lanes: dict[int, tuple[Claim, Run]] = field(default_factory=dict)  # by attempt
    stopping: bool = False
    unrecorded: int = 0

    def serve(self) -> None:
        self.pipe.send(Ready("cpu", "toy", 1, "none"))
        while True:
            order = self.pipe.recv()
            if isinstance(order, Prepare):
                self.pipe.send(Prepared("toy", "0" * 64))
            elif isinstance(order, Measure):
                self.pipe.send(Measured(tuple(Speed(n, "mapped", EPOCH / n, EPOCH / n, EPOCH / n, 0, 0) for n in order.sizes)))
            elif isinstance(order, Train):
                self._train(order)

    def _train(self, order: Train) -> None:
        self.stopping, self.unrecorded = False, 0
        self.lanes.clear()
        self._admit(order.claims)
        while not self.stopping:
            if self.lanes:
                self._epoch()
            else:
                self._mind()
        self.pipe.send(Ended())

    def _admit(self, claims: tuple[Claim, ...]) -> None:
        for claim in claims:
            clear_attempt(self.runs, claim)
            self.lanes[claim.attempt_id] = (claim, restored(claim))
        if through := [claim.attempt_id for claim in claims if self.lanes[claim.attempt_id][1].over]:
            self._say((), through)

    def _epoch(self) -> None:
        time.sleep(EPOCH)  # all the work there is
        while self.pipe.poll():
            self._mind()
        trained = {attempt: (claim, run, run.step()) for attempt, (claim, run) in self.lanes.items()}
        keep = {attempt for attempt, (_, run, _) in trained.items() if self.stopping or run.over or run.epoch % KEEP_EVERY == 1}
        while keep and self.unrecorded:
            self._mind()
        rows = []
        for attempt, (claim, run, values) in ((attempt, trained[attempt]) for attempt in trained if attempt in self.lanes):
            path, sha = save(self.runs, claim, run) if attempt in keep else (None, None)
            rows.append((attempt, EpochRow(run.epoch, values, EPOCH, run.best[1] == run.epoch, path, sha)))
        self._say(tuple(rows), [attempt for attempt, _ in rows if trained[attempt][1].over])

    def _say(self, rows: tuple[tuple[int, EpochRow], ...], through: list[int]) -> None:
        self.pipe.send(Epoch(rows, tuple((attempt, self.lanes.pop(attempt)[1].outcome()) for attempt in through)))
        self.unrecorded += 1

    def _mind(self) -> None:
        order = self.pipe.recv()
        if isinstance(order, Stop):
            self.stopping = True
        elif isinstance(order, Recorded):
            self.unrecorded -= order.count
        elif isinstance(order, Join):
            self._admit(order.claims)
        elif isinstance(order, Drop):
            for attempt in order.attempts:
                self.lanes.pop(attempt, None)


def save(runs: Path, claim: Claim, run: Run) -> tuple[str, str]:
    """A checkpoint, written aside, synced and renamed; the last two stay. Returns its path and SHA-256."""
    path = attempt_folder(runs, claim) / f"epoch-{run.epoch:06d}.json"
    content = json.dumps(vars(run)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".part"), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.with_suffix(".part").replace(path)
    for old in sorted(path.parent.glob("epoch-*.json"))[:-2]:
        old.unlink()
    return str(path), hashlib.sha256(content).hexdigest()


def restored(claim: Claim) -> Run:
    """The job where its last readable checkpoint left it."""
    for path, sha in ((claim.checkpoint, claim.checkpoint_sha), (claim.previous, claim.previous_sha)):
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                content = Path(path).read_bytes()
                assert hashlib.sha256(content).hexdigest() == sha, f"{path} is not what was written"
                kept = json.loads(content)
                return Run(**kept | {"best": tuple(kept["best"])})
    return Run(claim.config, claim.seed)


class FolderTracker:
    """One file per run id, one line per epoch; what earlier attempts logged is not logged again."""

    def __init__(self, job: track.TrackedJob, runs: Path) -> None:
        path = runs / "tracked" / f"{job.key}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        before = tracked(path)
        path.write_text("".join(json.dumps(row) + "\n" for row in before))  # less a line that a kill cut short
        self._file, self._logged = path.open("a", buffering=1), before[-1]["epoch"] if before else 0
        for epoch, values in job.history:
            self.log(epoch, values)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        if epoch > self._logged:
            self._file.write(json.dumps({"epoch": epoch, **values}) + "\n")
            self._logged = epoch

    def close(self, summary: Mapping[str, Any] | None, exit_code: int) -> None:
        self._file.close()


def tracked(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's file."""
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def work(options: WorkerOptions) -> int:
    """What a worker process does."""
    track.TRACKERS["folder"] = lambda job, runs, say: FolderTracker(job, runs)  # type: ignore[index]  # read-only for the library's users
    return run_worker(replace(options, track="folder"), partial(TrainerHandle, serve=serve, method="fork"))
