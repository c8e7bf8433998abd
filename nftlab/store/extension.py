"""What a sweep file would change about the sweep that was launched under its name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, select

from nftlab.store.records import read_config
from nftlab.store.session import session
from nftlab.store.steering import never_launched
from nftlab.store.sweeps import continued
from nftlab.store.tables import jobs, sweeps

if TYPE_CHECKING:
    from nftlab.spec import Sweep, Trial


@dataclass(frozen=True)
class Extension:
    """The jobs a file would add, those the table has of it, and those in the table that it no longer asks for.

    `seeds` and `values` (by parameter) are what the new jobs bring that no job in the table has. `to_propose`: jobs of a search
    that the file leaves to its sampler.
    """

    added: int
    known: int
    dropped: int
    seeds: list[int]
    values: dict[str, list[Any]]
    to_propose: int = 0


def extension(engine: Engine, sweep: Sweep) -> Extension:
    """Compare a sweep file with the table; nothing is changed. Raises NotFoundError for a sweep that was never launched.

    Of a search, the trials that were proposed so far count.
    """
    with engine.connect() as connection:
        if connection.execute(select(sweeps.c.name).where(sweeps.c.name == sweep.name)).scalar() is None:
            raise never_launched(connection, sweep.name)
        rows = connection.execute(select(jobs.c.job_key, jobs.c.seed, jobs.c.config).where(jobs.c.sweep == sweep.name)).all()
    had = {row.job_key for row in rows}
    asked = _asked(engine, sweep)
    new = {key: of for key, of in asked.items() if key not in had}
    seeds = sorted({seed for _, seed in new.values()} - {row.seed for row in rows})
    before = _values([read_config(config) for config in {row.config for row in rows}])
    after = _values([trial.config for trial in {trial.key: trial for trial, _ in new.values()}.values()])
    fresh = {name: [json.loads(value) for value in values if value not in before.get(name, {})] for name, values in after.items()}
    values = {name: found for name, found in fresh.items() if found}
    to_propose = sweep.asked * len(sweep.seeds) - len(asked) if sweep.search else 0
    return Extension(len(new), len(asked) - len(new), len(had - asked.keys()), seeds, values, to_propose)


def dropped(engine: Engine, sweep: Sweep) -> int:
    """How many jobs in the table a sweep file no longer asks for; 0 for a sweep that was never launched."""
    with engine.connect() as connection:
        had = set(connection.execute(select(jobs.c.job_key).where(jobs.c.sweep == sweep.name)).scalars())
    return len(had - _asked(engine, sweep).keys()) if had else 0


def _asked(engine: Engine, sweep: Sweep) -> dict[str, tuple[Trial, int]]:
    """Trial and seed of every job that a file asks for; of a search, of those trials that were proposed so far."""
    if sweep.search:
        with session(engine, None) as talk:
            sweep = continued(talk, sweep)
    return {key: (trial, seed) for key, trial, seed in sweep.jobs()}


def _values(configs: list[dict[str, Any]]) -> dict[str, dict[str, None]]:
    """The values of every parameter in order of appearance, as JSON: 1 and true are two values."""
    found: dict[str, dict[str, None]] = {}
    for config in configs:
        for name, value in config.items():
            found.setdefault(name, {})[json.dumps(value)] = None
    return found
