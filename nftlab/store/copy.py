"""The whole job table into another database: from a laptop's file to a lab's server, or back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from nftlab.errors import DatabaseError, UsageError
from nftlab.store.engine import shown, writing
from nftlab.store.records import storable
from nftlab.store.runs import now
from nftlab.store.studies import has_studies, holds_studies, study_tables, study_version
from nftlab.store.tables import jobs, metadata, sweeps

CHUNK = 2000  # rows in memory at once

Progress = Callable[[str, int, int], None]


def copy(
    source: Engine,
    target: Engine,
    *,
    make_studies: Callable[[Engine], object],
    progress: Progress = lambda what, done, total: None,
) -> dict[str, int]:
    """Copy all rows as they are now, numbers and all, into a table that holds no sweep; returns how many, by table.

    All of it or, if anything comes between, nothing. `make_studies` makes Optuna's tables where there are studies to copy; `progress`
    hears the name of a table, how many of its rows are copied, and of how many. Raises UsageError when jobs of the source are running or
    the target holds a sweep or a study, DatabaseError when its Optuna is another.
    """
    with target.connect() as there:
        _refuse_occupied(target, there)
    if has_studies(source):
        make_studies(target)
    with writing(target) as there, _one_moment(source) as here:
        if there.dialect.name == "postgresql":
            there.execute(text("LOCK TABLE sweeps IN EXCLUSIVE MODE"))  # nobody launches into it now
        _refuse_occupied(target, there)
        _refuse_running(source, here)
        copied = {table.name: _copy(table, table, here, there, progress) for table in metadata.sorted_tables}
        if holds_studies(here):
            copied |= _copy_studies(source, target, here, there, progress)
    return copied


@contextmanager
def _one_moment(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees the table as it was when it began, whatever others write."""
    postgres = engine.dialect.name == "postgresql"  # SQLite's do so anyway
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ") if postgres else connection


def _refuse_occupied(target: Engine, there: Connection) -> None:
    if name := there.execute(select(sweeps.c.name).order_by(sweeps.c.name).limit(1)).scalar():
        what = f"{shown(target.url)} holds sweeps, {name!r} for one, and would mix with what is copied"
        raise UsageError(what, "name a new file or an empty database (createdb NAME)")
    if holds_studies(there):
        raise UsageError(f"{shown(target.url)} holds studies of Optuna", "name a new file or an empty database (createdb NAME)")


def _refuse_running(source: Engine, here: Connection) -> None:
    held = jobs.c.state == "running", jobs.c.lease_until > now(here)  # others were lost with their worker: they come back there too
    if running := here.execute(select(func.count()).where(*held)).scalar_one():
        hint = "stop the workers, which hand their jobs back (Ctrl-C, nftlab cluster stop), or nftlab sweep pause NAME and let them end"
        raise UsageError(f"{running} jobs of {shown(source.url)} are running", hint)


def _copy_studies(source: Engine, target: Engine, here: Connection, there: Connection, progress: Progress) -> dict[str, int]:
    found, wanted = study_version(here), study_version(there)
    if found != wanted:
        what = f"the studies in {shown(source.url)} are of another Optuna ({found}) than those that {shown(target.url)} can hold ({wanted})"
        raise DatabaseError(what, f"optuna storage upgrade --storage {shown(source.url)}")
    sources = {table.name: table for table in study_tables(here)}
    return {into.name: _copy(sources[into.name], into, here, there, progress) for into in study_tables(there)}


def _copy(table: Table, into: Table, here: Connection, there: Connection, progress: Progress) -> int:
    """Copy one table, in chunks; the next row that is added there gets a number behind those copied."""
    total = here.execute(select(func.count()).select_from(table)).scalar_one()
    postgres = there.dialect.name == "postgresql"
    add = (postgresql.insert if postgres else sqlite.insert)(into)
    rows = here.execute(select(table).order_by(*table.primary_key), execution_options={"yield_per": CHUNK})
    done = 0
    for part in rows.mappings().partitions():
        # speeds and snapshots may be there without a sweep: those that are known there stay
        there.execute(add.on_conflict_do_nothing(), [_portable(row) if postgres else dict(row) for row in part])
        done += len(part)
        progress(table.name, done, total)
    if done and postgres:
        _count_on(into, there)
    return done


def _portable(row: RowMapping) -> dict[str, Any]:
    """A row as Postgres can hold it: an earlier nftlab may have written the message of some crash as it was."""
    return {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}


def _count_on(into: Table, there: Connection) -> None:
    """Postgres counts rows by sequences, which have not seen those with numbers of their own."""
    [column, *more] = into.primary_key
    sequence = there.execute(select(func.pg_get_serial_sequence(into.name, column.name))).scalar()
    if sequence and not more:
        there.execute(select(func.setval(sequence, select(func.max(column)).scalar_subquery())))
