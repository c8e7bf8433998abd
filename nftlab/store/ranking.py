"""How good the trials of a sweep are: the mean over seeds of its metric, which is also what a sampler is told."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, and_, select

from nftlab.store.records import read_config
from nftlab.store.runs import values_of
from nftlab.store.steering import never_launched
from nftlab.store.tables import epoch_rows, jobs, sweeps


@dataclass(frozen=True)
class Ranked:
    """A trial and its value: `mean` and `std` (sample, ddof = 1; None for one seed) of the metric over its `n` finished seeds.

    `asked`: its seeds in the table, `diverged`: those of the finished whose numbers were finite no longer, after the epoch that counts.
    `mean` is None for a trial that has no value, or none yet.
    """

    trial_key: str
    config: dict[str, Any]
    mean: float | None
    std: float | None
    n: int
    asked: int
    diverged: int


def objective(states: Collection[str], values: Sequence[float]) -> float | None:
    """The value that a sampler is told: the mean over seeds of the metric at each one's best epoch.

    None when there is none yet, when a seed was pruned, or when one has no finite value, as when it diverged at once.
    """
    return statistics.fmean(values) if values and "pruned" not in states and all(map(math.isfinite, values)) else None


def ranked(engine: Engine, sweep: str) -> list[Ranked]:
    """All trials of a sweep, the best by its metric and goal first; the earliest launched on ties, those without a value last.

    A trial with fewer seeds comes behind those with more, as it cannot win by luck, and one that diverged behind those that did not.
    Raises NotFoundError for a sweep that was never launched.
    """
    at_best = and_(epoch_rows.c.job_id == jobs.c.id, epoch_rows.c.epoch == jobs.c.best_epoch)
    columns = jobs.c.trial_key, jobs.c.state, jobs.c.config, jobs.c.diverged, epoch_rows.c["values"].label("at_best")
    query = select(*columns).outerjoin(epoch_rows, at_best)
    by_trial: dict[str, list[Any]] = {}
    with engine.connect() as connection:
        told = connection.execute(select(sweeps.c.metric, sweeps.c.goal).where(sweeps.c.name == sweep)).first()
        if told is None:
            raise never_launched(connection, sweep)
        for row in connection.execute(query.where(jobs.c.sweep == sweep).order_by(jobs.c.id)):
            by_trial.setdefault(row.trial_key, []).append(row)
    sign = -1 if told.goal == "maximize" else 1
    found = [_trial(key, rows, told.metric) for key, rows in by_trial.items()]
    return sorted(found, key=lambda trial: (trial.mean is None, trial.diverged > 0, trial.asked - trial.n, sign * (trial.mean or 0.0)))


def _trial(key: str, rows: Sequence[Any], metric: str) -> Ranked:
    done = [row for row in rows if row.state == "done"]
    values = [values_of(row.at_best or "{}").get(metric, math.nan) for row in done]
    mean = objective([row.state for row in rows], values)
    std = statistics.stdev(values) if mean is not None and len(values) > 1 else None
    return Ranked(key, read_config(rows[0].config), mean, std, len(values), len(rows), sum(bool(row.diverged) for row in done))
