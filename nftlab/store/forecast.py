"""What the jobs will cost: their epochs times the speeds that are known; nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Row, and_, func, select, true

from nftlab.hypers import build, cost_key
from nftlab.store.runs import HOUR, now
from nftlab.store.tables import OPEN, attempts, jobs, speeds

if TYPE_CHECKING:
    from nftlab.spec import Sweep


@dataclass(frozen=True)
class Forecast:
    """Hours that jobs will keep one device busy: by the mean of what was seen, and by the smallest and the largest.

    `unknown_jobs` are those whose speed is not known; the hours are without them. `workers` hold jobs now; `hours`: the
    time on the clock if so many (at least one) share the work. `devices`: the names of those whose speeds were counted with.
    """

    device_hours: float = 0.0
    low: float = 0.0
    high: float = 0.0
    unknown_jobs: int = 0
    workers: int = 0
    hours: float = 0.0
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Load:
    """Jobs that cost the same per epoch, and the epochs that are left of them all."""

    jobs: int
    epochs: int
    cost_key: str | None  # None: a configuration that this nftlab cannot run


def cost_left(engine: Engine, *, sweep: str | None = None) -> Forecast:
    """What the queued and running jobs (of one `sweep`) will still cost."""
    mine = jobs.c.sweep == sweep if sweep is not None else true()
    groups = (  # by pack key: its jobs share all that the cost depends on, and are too many to be read one by one
        select(func.min(jobs.c.config).label("config"), func.count().label("jobs"), func.sum(jobs.c.epoch).label("done"))
        .where(mine, jobs.c.state.in_(OPEN))
        .group_by(jobs.c.pack_key)
    )
    with engine.connect() as connection:
        loads = [_load(json.loads(row.config), row.jobs, row.done) for row in connection.execute(groups)]
        return _forecast(connection, loads)


def cost_of(engine: Engine | None, sweeps: Iterable[Sweep]) -> Forecast:
    """What all jobs of sweeps cost from their beginning, launched or not; without a job table no speed is known."""
    counted: dict[str, tuple[Mapping[str, Any], int]] = {}
    to_propose = 0  # jobs of trials that no sampler has proposed yet: what they cost is not known
    for sweep in sweeps:
        to_propose += (sweep.asked - len(sweep.trials)) * len(sweep.seeds)
        for trial in sweep.trials:
            config, count = counted.get(trial.pack_key, (trial.config, 0))
            counted[trial.pack_key] = config, count + len(sweep.seeds)
    if engine is None:
        return Forecast(unknown_jobs=sum(count for _, count in counted.values()) + to_propose)
    with engine.connect() as connection:
        found = _forecast(connection, [_load(config, count, 0) for config, count in counted.values()])
        return replace(found, unknown_jobs=found.unknown_jobs + to_propose)


def _load(config: Mapping[str, Any], count: int, done: int) -> _Load:
    try:
        hypers = build(config)
    except ValueError:
        return _Load(count, 0, None)
    return _Load(count, max(count * hypers.epochs - done, 0), cost_key(hypers))


def _forecast(connection: Connection, loads: Sequence[_Load]) -> Forecast:
    best, workers = _best(connection), _workers(connection)
    told = [(load.epochs, best[load.cost_key]) for load in loads if load.cost_key in best]
    mean, low, high = (
        round(sum(epochs * share(speed) for epochs, speed in told) / HOUR, 6)
        for share in (attrgetter("seconds"), attrgetter("low"), attrgetter("high"))
    )
    unknown = sum(load.jobs for load in loads if load.cost_key not in best)
    devices = tuple(sorted({speed.device for _, speed in told}))
    return Forecast(mean, low, high, unknown, workers, round(mean / max(1, workers), 6), devices)


def _best(connection: Connection) -> dict[str | None, Row[Any]]:
    """The speed to count with, by cost key: on the device seen last the fastest, what was observed before what was measured."""
    rows = connection.execute(select(speeds).order_by(speeds.c.at, speeds.c.device)).all()
    last = {row.cost_key: row.device for row in rows}  # of several the later one stays
    mine = [row for row in rows if row.device == last[row.cost_key]]
    return {row.cost_key: row for row in sorted(mine, key=lambda row: (row.epochs > 0, -row.seconds))}


def _workers(connection: Connection) -> int:
    """The live workers: those that hold jobs of any sweep, their leases running. An idle one is not in the table."""
    held = and_(attempts.c.job_id == jobs.c.id, attempts.c.token == jobs.c.token)
    running = select(func.count(attempts.c.worker.distinct())).select_from(jobs).join(attempts, held)
    return connection.execute(running.where(jobs.c.state == "running", jobs.c.lease_until >= now(connection))).scalar_one()
