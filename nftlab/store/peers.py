"""Jobs beside each other at the same epochs: what pruning compares."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine, select

from nftlab.store.runs import values_of
from nftlab.store.tables import epoch_rows, jobs, sweeps


@dataclass(frozen=True)
class Peer:
    """A job of a sweep and a seed: its state, its values at the epochs asked for, and when each was recorded."""

    job_id: int
    state: str
    values: dict[int, dict[str, float]]
    at: dict[int, float]


def peers(engine: Engine, sweep: str, seed: int, epochs: Collection[int]) -> list[Peer]:
    """The jobs of a sweep with one seed that recorded any of some epochs, in launch order."""
    query = select(jobs.c.id, jobs.c.state, epoch_rows).join(epoch_rows, epoch_rows.c.job_id == jobs.c.id)
    query = query.where(jobs.c.sweep == sweep, jobs.c.seed == seed, epoch_rows.c.epoch.in_(epochs)).order_by(jobs.c.id)
    found: dict[int, Peer] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            peer = found.setdefault(row.id, Peer(row.id, row.state, {}, {}))
            peer.values[row.epoch], peer.at[row.epoch] = values_of(row._mapping["values"]), row.at
    return list(found.values())


def sources(engine: Engine, names: Collection[str]) -> dict[str, str]:
    """The files of launched sweeps by name."""
    with engine.connect() as connection:
        rows = connection.execute(select(sweeps.c.name, sweeps.c.source).where(sweeps.c.name.in_(names)))
        return {row.name: row.source for row in rows}
