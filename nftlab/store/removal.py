"""Taking a sweep out of the job table, with all that hangs on it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select, text

from nftlab.errors import UsageError
from nftlab.store.engine import writing
from nftlab.store.runs import now
from nftlab.store.sql import SQLITE_LAST
from nftlab.store.steering import never_launched
from nftlab.store.studies import forget_study, is_marked
from nftlab.store.tables import ACCEPTED, attempts, epoch_rows, jobs, proposals, sweeps, transitions


@dataclass(frozen=True)
class Contents:
    """What goes with a sweep: its jobs, how many of them have an accepted finish, and seconds of training."""

    jobs: int
    finished: int
    seconds: float


def contents(engine: Engine, name: str) -> Contents:
    """What `delete` would take away. Raises what `delete` raises."""
    with engine.connect() as connection:
        return _contents(connection, name)


def delete(engine: Engine, name: str) -> Contents:
    """Forget a sweep, its jobs with their attempts, transitions and epochs, its proposals and its Optuna study, in one transaction.

    Speeds and snapshots stay: sweeps share them. Raises NotFoundError for a sweep that was never launched, UsageError while a
    job of it is running or a worker proposes for it.
    """
    of_sweep = select(jobs.c.id).where(jobs.c.sweep == name)
    with writing(engine) as connection:
        gone, searched = _contents(connection, name), _searched(connection, name)
        _count_on(connection)
        for table in (epoch_rows, transitions, attempts):
            connection.execute(table.delete().where(table.c.job_id.in_(of_sweep)))
        for table in (proposals, jobs):
            connection.execute(table.delete().where(table.c.sweep == name))
        connection.execute(sweeps.delete().where(sweeps.c.name == name))
        if searched:
            forget_study(connection, name)
    return gone


def _contents(connection: Connection, name: str) -> Contents:
    """What goes, its rows locked: nothing is claimed, launched or proposed of it meanwhile."""
    sweep = connection.execute(select(sweeps).where(sweeps.c.name == name).with_for_update(key_share=True)).first()
    if sweep is None:
        raise never_launched(connection, name)
    query = select(jobs.c.state, jobs.c.seconds).where(jobs.c.sweep == name).order_by(jobs.c.id).with_for_update(key_share=True)
    rows = connection.execute(query).all()
    if running := sum(row.state == "running" for row in rows):
        raise UsageError(f"{running} jobs of sweep {name!r} are running", "cancel it first (nftlab sweep cancel)")
    if sweep.proposer is not None and sweep.proposer_until > now(connection):  # it would leave a study behind that nobody knows
        raise UsageError(f"a worker proposes for sweep {name!r} at this moment", "stop it (nftlab sweep stop), then delete it in a minute")
    return Contents(len(rows), sum(row.state in ACCEPTED for row in rows), sum(row.seconds for row in rows))


def _searched(connection: Connection, name: str) -> bool:
    """Whether the study of that name is ours: a sweep may share its name with somebody's. Those of earlier nftlabs have no mark."""
    proposed = select(proposals.c.number).where(proposals.c.sweep == name).limit(1)
    return connection.execute(proposed).first() is not None or is_marked(connection, name)


def _count_on(connection: Connection) -> None:
    """Never give a number to two jobs, or to two attempts: a worker that still trains one of the deleted would pass for the other's.

    Postgres' sequences see to it; SQLite counts from the largest id that is there, so the largest that there was is kept in its file.
    """
    if connection.dialect.name == "sqlite":
        last = max(connection.execute(text(f"SELECT {SQLITE_LAST.format(table=name)}")).scalar_one() for name in ("jobs", "attempts"))
        connection.exec_driver_sql(f"PRAGMA user_version = {last}")
