"""What the command's tests share: a small sweep, work done on it, and reading what was printed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from typer.testing import Result

from nftlab.configuration import build, cost_key
from nftlab.speeds import Speed
from nftlab.store import Claim, EpochRow, Outcome, Queue, Worker, open_db, remember

SWEEP = """
name: small
method: grid
metric: {name: val/error, goal: minimize}
parameters:
  dataset: {value: digits}
  network: {value: fc-a}
  algorithm: {values: [ct, nft]}
  epochs: {value: 2}
  eta_max: {values: [500, 2000]}
nftlab: {seeds: 2}
"""
JOBS = 6  # ct once, nft with two eta_max; two seeds

Invoke = Callable[..., Result]


def claim(queue: Queue, k: int = 1) -> list[Claim]:
    return queue.claim(Worker("tester", "here", 1), k, {"git_sha": "a" * 40, "dirty": None, "device": "cpu", "way": "mapped-single"})


def finish(queue: Queue, claims: list[Claim], error: float = 5.0) -> None:
    """Records one epoch and a finish for each claim."""
    values = {"train/loss": 0.5, "val/error": error, "test/error": error + 1}
    assert queue.record_epoch([(job, EpochRow(1, values, 0.1, True)) for job in claims]) == set()
    assert queue.finish([(job, Outcome(False, 1, error, error + 1, 0.1)) for job in claims]) == set()


def finish_all(queue: Queue) -> None:
    while claims := claim(queue, 4):
        finish(queue, claims)


def learn(algorithm: str, seconds: float = 3600.0) -> None:
    """Lets the default job table know how long an epoch of the small sweep takes, give or take."""
    engine = open_db(None, create=True)
    assert engine is not None
    key = cost_key(build({"algorithm": algorithm, "dataset": "digits", "network": "fc-a"}))
    remember(engine, "NVIDIA H200", key, [Speed(4, "mapped", seconds, 0.75 * seconds, 1.5 * seconds, 1, 0)])
    engine.dispose()


def read(result: Result | subprocess.CompletedProcess[str]) -> Any:
    """The one JSON value on stdout."""
    return json.loads(result.stdout)
