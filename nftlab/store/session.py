"""One short transaction in the queue's own sentences, spoken straight to the driver.

SQLAlchemy owns URLs, pools, tables, migrations and reading; its statement layer costs more than SQLite itself needs for a claim, and it
would be spent while every other writer waits for the lock (benchmarks/queue.py).
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.engine import URL

from nftlab.store import faults
from nftlab.store.sql import TEMPLATES, WORDS

PATIENCE = 120.0  # seconds a write waits for a locked SQLite file unless told otherwise: two default leases


class Session:
    """The sentences of `sql.py` by name, inside a transaction that writes."""

    def __init__(self, dialect: str, cursor: Any) -> None:
        self._sql = sentences(dialect)
        self._cursor = cursor
        self._lists = dialect == "postgresql"

    def ask(self, name: str, **parameters: Any) -> list[Any]:
        """Run a sentence; its rows, as named tuples."""
        self._cursor.execute(self._sql[name], parameters)
        return list(self._cursor.fetchall())

    def tell(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a sentence that answers nothing, once per row of parameters."""
        if len(rows) == 1:
            self._cursor.execute(self._sql[name], rows[0])
        elif rows:
            self._cursor.executemany(self._sql[name], rows)

    def among(self, ids: Iterable[int] | Iterable[str]) -> Any:
        """The value of `:ids` in `id {among}`, of `:skipped` in `{unskipped}`: a list on Postgres, JSON on SQLite.

        So a statement's text stays the same.
        """
        return list(ids) if self._lists else json.dumps(list(ids))


@contextmanager
def session(engine: Engine, patience: float | None = PATIENCE, *, at_once: bool = False) -> Iterator[Session]:
    """A transaction that is committed at the end and undone by an exception; driver errors come out as NftlabErrors.

    SQLite's begins as the only writer, after waiting for the lock at most `patience` seconds; None: for one sentence that only reads.
    On Postgres such a sentence, and one that is said `at_once`, is a transaction by itself, without BEGIN and COMMIT around it.
    """
    dialect = engine.dialect.name
    with translated(engine.url):
        connection = engine.raw_connection()
        try:
            driver: Any = connection.dbapi_connection
            if dialect == "sqlite":
                _require_file(connection, str(engine.url.database))
            if dialect == "sqlite" and patience is not None:
                begin_immediate(driver.execute, patience)
            if dialect == "postgresql":
                driver.autocommit = at_once or patience is None
            yield Session(dialect, _cursor(dialect, driver))
            driver.commit()
        except BaseException:
            if dialect == "postgresql" and driver.closed:  # the server or the network is gone: there is nothing to roll back
                connection.invalidate()
            raise
        finally:
            connection.close()  # back to the pool, which rolls back what was not committed


def _require_file(connection: PoolProxiedConnection, file: str) -> None:
    """Raise OutageError when the open file is no more what its name means; the next session opens what is there by then."""
    if faults.identity(file) != connection.info["file"]:
        connection.invalidate()
        raise faults.vanished(file)


def begin_immediate(execute: Callable[[str], Any], patience: float) -> None:
    """Become SQLite's only writer; while another is, SQLite waits (deaf to Ctrl-C, so not for long) and we ask again."""
    deadline = time.monotonic() + patience
    while True:
        try:
            execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not faults.locked(error) or time.monotonic() > deadline:
                raise


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn a driver's errors into NftlabErrors where a user can act on them."""
    try:
        yield
    except Exception as error:
        if (mendable := faults.translate(url, error)) is not None:
            raise mendable from error
        raise


@cache
def sentences(dialect: str) -> dict[str, str]:
    """The queue's statements in one dialect ("sqlite" or "postgresql") and its driver's parameter style, by name."""
    written = {name: template.format(**WORDS[dialect]) for name, template in TEMPLATES.items()}
    return {name: re.sub(r":(\w+)", r"%(\1)s", sql) for name, sql in written.items()} if dialect == "postgresql" else written


def _cursor(dialect: str, driver: Any) -> Any:
    """A cursor whose rows are named tuples."""
    if dialect == "postgresql":
        from psycopg.rows import namedtuple_row

        return driver.cursor(row_factory=namedtuple_row)
    cursor = driver.cursor()
    cursor.row_factory = lambda cursor, values: _row(tuple(column[0] for column in cursor.description))(*values)
    return cursor


@cache
def _row(names: tuple[str, ...]) -> type[Any]:
    return namedtuple("Row", names)
