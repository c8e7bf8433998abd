"""What the tests of the job table share: small sweeps, workers, and processes that do something at the same time."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, text

from nftlab.spec import Sweep, load_text
from nftlab.store import EpochRow, Outcome, Worker

CODE = {"git_sha": "abc", "dirty": None}
DONE = Outcome(diverged=False, best_epoch=2, val_error=3.5, test_error=4.5, seconds=7.0)
ANN, BOB = Worker("ann", "here", 1), Worker("bob", "there", 2)


def sweep_text(name: str = "s", trials: int = 4, seeds: int = 3, packs: int = 1, settings: str = "") -> str:
    """A grid of `packs` batch sizes × `trials` learning rates."""
    lrs, sizes = [round(1e-3 * (i + 1), 6) for i in range(trials)], [8 * (i + 1) for i in range(packs)]
    head = f"name: {name}\nmethod: grid\nmetric: {{name: val/error, goal: minimize}}\nparameters:\n  dataset: {{value: digits}}\n"
    axes = f"  batch_size: {{values: {json.dumps(sizes)}}}\n  lr: {{values: {json.dumps(lrs)}}}\n"
    return head + f"  algorithm: {{value: ct}}\n{axes}nftlab:\n  seeds: {seeds}\n{settings}"


def make_sweep(name: str = "s", trials: int = 4, seeds: int = 3, packs: int = 1, settings: str = "") -> Sweep:
    return load_text(sweep_text(name, trials, seeds, packs, settings), "test")


def epoch(number: int, *, best: bool = True, checkpoint: str | None = None, error: float = 5.0) -> EpochRow:
    return EpochRow(
        number, {"train/loss": 0.5, "val/error": error, "test/error": error + 1}, 0.25, best, checkpoint, checkpoint and "sha-" + checkpoint
    )


def sql(engine: Engine, sentence: str, **parameters: Any) -> list[Any]:
    """Run one sentence as a bystander would; its rows, if it has any."""
    with engine.begin() as connection:
        result = connection.execute(text(sentence), parameters)
        return list(result.all()) if result.returns_rows else []


def expire(engine: Engine) -> None:
    """Let every lease run out now, instead of waiting for it."""
    sql(engine, "UPDATE jobs SET lease_until = 1 WHERE state = 'running'")


def at_once(processes: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `work(i, *arguments)` returned in each of several processes that began together; their exceptions as text."""
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(processes), context.SimpleQueue()

    def begin(number: int) -> None:
        try:
            barrier.wait(30)
            answers.put(work(number, *arguments))
        except BaseException as error:
            answers.put(f"{type(error).__name__}: {error}")

    started = [context.Process(target=begin, args=(i,)) for i in range(processes)]
    for process in started:
        process.start()
    found = [answers.get() for _ in started]
    for process in started:
        process.join()
    return found
