"""What the jobs will cost: their epochs times the speeds that are known; nothing is guessed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, ColumnElement, Connection, Engine, Row, and_, cast, func, select, true

from nftlab.configuration import build, coarse, cost_key, lane_cost_factors
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
class Kind:
    """`jobs` that cost the same: the configuration of one of them, their `pack_key`, and how many can train `together` with them."""

    config: Mapping[str, Any]
    pack_key: str
    jobs: int
    together: int


@dataclass(frozen=True)
class _Load:
    """Jobs that cost the same per epoch, the epochs that are left of them all, and how many jobs can train `together` with them."""

    jobs: int
    epochs: int
    together: int
    cost_key: str | None  # None: a configuration that this nftlab cannot run


def cost_left(engine: Engine, *, sweep: str | None = None) -> Forecast:
    """What the queued and running jobs (of one `sweep`) will still cost."""
    mine = jobs.c.sweep == sweep if sweep is not None else true()
    groups = (  # by what the cost depends on: jobs are too many to be read one by one
        select(jobs.c.pack_key, func.min(jobs.c.config).label("config"), func.count().label("jobs"), func.sum(jobs.c.epoch).label("done"))
        .where(mine, jobs.c.state.in_(OPEN))
        .group_by(jobs.c.pack_key, *(_value(engine, name) for name in lane_cost_factors()))
    )
    with engine.connect() as connection:
        rows = connection.execute(groups).all()
        together = _together((row.pack_key, row.jobs) for row in rows)
        loads = [_load(json.loads(row.config), row.jobs, row.done, together[row.pack_key]) for row in rows]
        return _forecast(connection, loads)


def kinds_of(sweeps: Iterable[Sweep]) -> list[Kind]:
    """The kinds of jobs that sweeps ask for, in their order."""
    counted: dict[tuple[Any, ...], tuple[Mapping[str, Any], int]] = {}
    costs = lane_cost_factors()
    for sweep in sweeps:
        for trial in sweep.trials:
            like = trial.pack_key, *(coarse(trial.config.get(name)) for name in costs)
            config, count = counted.get(like, (trial.config, 0))
            counted[like] = config, count + len(sweep.seeds)
    together = _together((like[0], count) for like, (_, count) in counted.items())
    return [Kind(config, like[0], count, together[like[0]]) for like, (config, count) in counted.items()]


def cost_of(engine: Engine | None, sweeps: Sequence[Sweep]) -> Forecast:
    """What all jobs of sweeps cost from their beginning, launched or not; without a job table no speed is known."""
    kinds = kinds_of(sweeps)
    # of trials that no sampler has proposed yet it is not known what they cost
    to_propose = sum((sweep.asked - len(sweep.trials)) * len(sweep.seeds) for sweep in sweeps)
    if engine is None:
        return Forecast(unknown_jobs=sum(kind.jobs for kind in kinds) + to_propose)
    with engine.connect() as connection:
        found = _forecast(connection, [_load(kind.config, kind.jobs, 0, kind.together) for kind in kinds])
        return replace(found, unknown_jobs=found.unknown_jobs + to_propose)


def _value(engine: Engine, name: str) -> ColumnElement[Any]:
    """A parameter in the jobs' configurations, which the table keeps as JSON texts."""
    if engine.dialect.name == "sqlite":
        return func.json_extract(jobs.c.config, f"$.{name}")
    return cast(jobs.c.config, JSON)[name].as_string()


def _together(counted: Iterable[tuple[str, int]]) -> Counter[str]:
    """Jobs by pack key."""
    found = Counter[str]()
    for pack_key, count in counted:
        found[pack_key] += count
    return found


def _load(config: Mapping[str, Any], count: int, done: int, together: int) -> _Load:
    try:
        hypers = build(config)
    except ValueError:
        return _Load(count, 0, together, None)
    return _Load(count, max(count * hypers.epochs - done, 0), together, cost_key(hypers))


def _forecast(connection: Connection, loads: Sequence[_Load]) -> Forecast:
    known, workers = _known(connection), _workers(connection)
    told = [(load.epochs, _best(known[load.cost_key], load.together)) for load in loads if load.cost_key in known]
    mean, low, high = (
        round(sum(epochs * share(speed) for epochs, speed in told) / HOUR, 6)
        for share in (attrgetter("seconds"), attrgetter("low"), attrgetter("high"))
    )
    unknown = sum(load.jobs for load in loads if load.cost_key not in known)
    devices = tuple(sorted({speed.device for _, speed in told}))
    return Forecast(mean, low, high, unknown, workers, round(mean / max(1, workers), 6), devices)


def _known(connection: Connection) -> dict[str | None, list[Row[Any]]]:
    """The speeds by cost key, those on the device that was seen last."""
    rows = connection.execute(select(speeds).order_by(speeds.c.at, speeds.c.device)).all()
    last = {row.cost_key: row.device for row in rows}  # of several the later one stays
    found: dict[str | None, list[Row[Any]]] = {}
    for row in rows:
        if row.device == last[row.cost_key]:
            found.setdefault(row.cost_key, []).append(row)
    return found


def _best(speeds: Sequence[Row[Any]], together: int) -> Row[Any]:
    """The one to count with: the fastest of those packs that so many jobs can fill, what was observed before what was measured."""
    fitting = [row for row in speeds if row.lanes <= together] or speeds
    return max(fitting, key=lambda row: (row.epochs > 0, -row.seconds))


def _workers(connection: Connection) -> int:
    """The live workers: those that hold jobs of any sweep, their leases running. An idle one is not in the table."""
    held = and_(attempts.c.job_id == jobs.c.id, attempts.c.token == jobs.c.token)
    running = select(func.count(attempts.c.worker.distinct())).select_from(jobs).join(attempts, held)
    return connection.execute(running.where(jobs.c.state == "running", jobs.c.lease_until >= now(connection))).scalar_one()
