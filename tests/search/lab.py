"""What the tests of searches share: a search, a training that costs nothing, and a look into Optuna's study."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import optuna
from sqlalchemy import Engine

from nftlab.search import Proposer
from nftlab.spec import Sweep, load_text
from nftlab.store import Claim, EpochRow, Outcome, Queue, Worker

ME = Worker("me", "here", 1)
HEAD = "method: bayes\nmetric: {name: val/error, goal: minimize}\n"
LR = "  dataset: {value: digits}\n  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}\n"


def search(
    run_cap: int = 6, seeds: int = 2, *, parameters: str = LR, sampler: str = "{name: tpe, n_startup_trials: 2}", name: str = "s"
) -> Sweep:
    """A search for a learning rate, unless other parameters are given."""
    text = f"name: {name}\n{HEAD}run_cap: {run_cap}\nparameters:\n{parameters}nftlab:\n  seeds: {seeds}\n  sampler: {sampler}\n"
    return load_text(text, "test")


def error_of(claim: Claim) -> float:
    """A validation error that is smallest at lr = 1e-3, a percent more with every seed."""
    return abs(math.log10(claim.config["lr"]) + 3) * 10 + claim.seed


def train(queue: Queue, claim: Claim, error: float) -> None:
    """Two epochs, the first of them the best."""
    for epoch, value in ((1, error), (2, error + 5)):
        queue.record_epoch([(claim, EpochRow(epoch, {"val/error": value, "test/error": value + 1}, 0.1, epoch == 1))])
    queue.finish([(claim, Outcome(False, 1, error, error + 1, 0.2))])


def train_all(queue: Queue) -> None:
    """Trains whatever can be claimed."""
    while claims := queue.claim(ME, 99, {}):
        for claim in claims:
            train(queue, claim, error_of(claim))


def work_off(queue: Queue, proposer: Proposer, *, places: int = 2, end: Callable[[Queue, Claim], None] | None = None) -> None:
    """Claims, trains and proposes one after the other until nothing is left."""
    while True:
        claims = queue.claim(ME, 99, {})
        for claim in claims:
            end(queue, claim) if end else train(queue, claim, error_of(claim))
        if not claims and not proposer.propose(places) and not proposer.left():
            return


def study(engine: Engine, name: str = "s") -> optuna.Study:
    """The study as Optuna itself reads it."""
    return optuna.load_study(study_name=name, storage=engine.url.render_as_string(hide_password=False))


def suggested(engine: Engine) -> list[dict[str, Any]]:
    """What the sampler chose, trial by trial."""
    return [trial.params for trial in study(engine).trials]
