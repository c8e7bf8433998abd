"""Opening the database: which one, its pragmas, its schema."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError

from nftlab.errors import ConfigError, DatabaseError, SchemaError
from nftlab.store import faults
from nftlab.store.place import refuse_network
from nftlab.store.session import PATIENCE, begin_immediate, translated
from nftlab.store.sql import WORDS
from nftlab.store.tables import SCHEMA, VERSION_TABLE, metadata
from nftlab.store.url import parse, shown

BUSY = 0.5  # seconds SQLite itself waits for a lock before we hear of it
LOG_PAGES = 10_000  # 40 MB of log before it is copied into the file: each copy costs two fsyncs (half the claims per second at 1,000)
REST = 0.5  # seconds after which a connection is tried before it is used: no server is gone and back sooner
IDLE = 30  # seconds that a transaction may stand still on Postgres: a process stopped within one would hold its rows for ever
LOCK = 40  # seconds to wait for rows there, longer than any of ours may stand still: somebody's open transaction is an outage, not the end
# A dead network is noticed within half a minute instead of when the kernel gives up, a quarter of an hour later.
_NOTICE = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
_CONNECT = _NOTICE | {"client_encoding": "utf8"}  # whatever the database's own is
_MIGRATION_LOCK = 0x6E66746C  # "nftl": the advisory lock under which one process creates or upgrades the schema


def open_db(url: str | None, *, create: bool) -> Engine | None:
    """The engine of an existing database at our schema; with `create`, of one that is made if need be.

    `url` is a SQLAlchemy URL or the path of a SQLite file; None: `default_url()`. Without `create`, a missing or empty
    database gives None and nothing is written. Raises SchemaError for another schema version, DatabaseError when the
    database cannot be opened or lives on a network file system, UsageError for a URL of another kind.
    """
    engine = _engine(parse(url))
    file = _file(engine)
    there = file is None or _there(file)
    if not there and not create:
        return None
    found = _version(engine) if there else None
    if found is None:
        if not create:
            engine.dispose()
            return None
        _migrate(engine, only_if_empty=True)
    elif found != SCHEMA:
        raise _mismatch(engine.url, found)
    return engine


def upgrade(url: str | None, *, regardless: bool = False) -> tuple[str | None, str]:
    """Bring the database (made if need be) to this nftlab's schema; returns the version before and after.

    Raises SchemaError while workers of the older schema hold jobs, unless `regardless`: they would go on with what they know of it.
    """
    engine = _engine(parse(url))
    try:
        if not regardless:
            _refuse_live(engine)
        return _migrate(engine, only_if_empty=False), SCHEMA
    finally:
        engine.dispose()


def _file(engine: Engine) -> Path | None:
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


def _there(file: Path) -> bool:
    try:
        if file.is_dir():
            raise DatabaseError(f"{file} is a folder", "name a file in it with --db or NFTLAB_DB")
        return file.is_file()
    except OSError as error:  # a folder that one may not enter, a name too long
        raise DatabaseError(f"cannot look at {file}: {error.strerror}", "name another database with --db or NFTLAB_DB") from None


def _engine(url: URL) -> Engine:
    if url.drivername == "sqlite":
        refuse_network(Path(str(url.database)))
        engine = create_engine(url, connect_args={"timeout": BUSY})
        event.listen(engine, "do_connect", _only_existing)
        event.listen(engine, "connect", _pragmas)
        event.listen(engine, "begin", _begin)
    else:
        try:
            engine = create_engine(url, connect_args=connecting(url))
        except ImportError:
            raise ConfigError("Postgres needs psycopg", "pip install 'nftlab[postgres]'") from None
        limit(engine, LOCK)
        event.listen(engine, "connect", _note_rest)
        event.listen(engine, "checkin", _note_rest)
        event.listen(engine, "checkout", _try_rested)
    event.listen(engine, "handle_error", faults.on_error)
    return engine


def _only_existing(_dialect: Any, record: Any, arguments: list[Any], _options: dict[str, Any]) -> None:
    """Notes which file is opened; where it has vanished SQLite would make an empty one."""
    record.info["file"] = faults.identity(arguments[0])
    if record.info["file"] is None:
        raise faults.vanished(arguments[0])


def _pragmas(driver: sqlite3.Connection, _record: Any) -> None:
    driver.isolation_level = None  # the sqlite3 module begins no transactions: `_begin` does
    # NORMAL syncs at checkpoints of the log, not at commits: a power cut may undo the last commits, never tear the file, and
    # work that the table does not know is done again. FULL would cost an fsync per epoch and claim.
    driver.execute("PRAGMA synchronous = NORMAL")
    driver.execute("PRAGMA foreign_keys = ON")
    driver.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")


def connecting(url: URL) -> dict[str, Any]:
    """How a connection to Postgres is made, what the URL says aside."""
    return {name: value for name, value in _CONNECT.items() if name not in url.query}


def limit(engine: Engine, lock: float) -> None:
    """New connections to Postgres stand still within a transaction for at most `IDLE` seconds, and wait for rows for at most `lock`."""

    def limits(driver: Any, _record: Any) -> None:
        driver.execute(f"SET idle_in_transaction_session_timeout = '{IDLE}s'; SET lock_timeout = '{lock}s'")
        driver.commit()

    event.listen(engine, "connect", limits)


def _note_rest(_driver: Any, record: Any) -> None:
    record.info["rested_since"] = time.monotonic()


def _try_rested(driver: Any, record: Any, _proxy: Any) -> None:
    """Before a connection is used: if it rested, whether the server is still there. To ask every time would cost what a claim does."""
    driver.autocommit = False  # a sentence said at once may have left it on
    if time.monotonic() - record.info["rested_since"] > REST:
        try:
            driver.execute("SELECT 1")
            driver.rollback()
        except Exception as error:
            raise InvalidatePoolError from error  # the pool connects anew


def _begin(connection: Connection) -> None:
    """SQLAlchemy's own transactions only read, but for those of `writing`: these begin as the only writer."""
    driver: Any = connection.connection.dbapi_connection
    with translated(connection.engine.url):
        if connection.get_execution_options().get("nftlab_writes"):
            begin_immediate(driver.execute, PATIENCE)
        else:
            driver.execute("BEGIN")  # so that several reads see one state


def writing(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction of SQLAlchemy's that writes: for what is done seldom; the queue has its own, `session`."""
    return engine.execution_options(nftlab_writes=True).begin()


def _version(engine: Engine) -> str | None:
    """The schema version of the database, None if our tables are not there yet."""
    with engine.connect() as connection:
        return _read_version(connection)


def _read_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _refuse_live(engine: Engine) -> None:
    """Raises SchemaError if an older schema's jobs have leases that have not run out."""
    file = _file(engine)
    found = _version(engine) if file is None or _there(file) else None
    if found is None or found >= SCHEMA:
        return
    now = WORDS[engine.dialect.name]["now"]
    with engine.connect() as connection:
        held = connection.execute(text(f"SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until > {now}")).scalar()
    if held:
        what = f"{held} jobs are in training by workers that know schema {found} only"
        raise SchemaError(what, "stop the workers first, or add --yes")


def _mismatch(url: URL, found: str) -> SchemaError:
    mend = f"nftlab db upgrade --db {shown(url)}" if found < SCHEMA else f"install the newer nftlab that made {shown(url)}"
    return SchemaError(f"the job table has schema {found}, this nftlab needs {SCHEMA}", mend)  # one URL: see harmless.masked


def _migrate(engine: Engine, *, only_if_empty: bool) -> str | None:
    """Run the missing migrations in one transaction; of many processes at once, one does and the others find it done."""
    from alembic import command
    from alembic.config import Config

    from nftlab.resources import shipped

    config = Config()
    config.set_main_option("script_location", str(shipped("db")).replace("%", "%%"))
    with _alone(engine), writing(engine) as connection:
        _wait_for_migrations(connection)
        before = _read_version(connection)
        if before == SCHEMA:
            return before
        if before is None and (others := sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))):
            what = f"{shown(engine.url)} has no job table of nftlab, but tables of the same names: {', '.join(others)}"
            raise SchemaError(what, "name another database with --db or NFTLAB_DB")
        if before is not None and (only_if_empty or before > SCHEMA):
            raise _mismatch(engine.url, before)
        config.attributes["connection"] = connection
        command.upgrade(config, SCHEMA)
        return before


def _wait_for_migrations(connection: Connection) -> None:
    """For those of other processes, however long they take, on Postgres; a SQLite file has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


@contextmanager
def making_tables(engine: Engine) -> Iterator[None]:
    """Only one process at a time adds tables that others bring (Optuna's) to the database."""
    with _alone(engine), engine.begin() as connection:
        _wait_for_migrations(connection)
        yield


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Only one process at a time makes a SQLite file: its folder is locked while the file is turned to write-ahead logging."""
    file = _file(engine)
    if file is None:
        yield
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        hint = f"mkdir -p {file.parent} as a user who may, or name another database with --db or NFTLAB_DB"
        raise DatabaseError(f"cannot make {file.parent}: {error.strerror}", hint) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # on the folder, so that no lock file is left behind
        _touched(file)
        _write_ahead(engine)
        yield
    finally:
        os.close(folder)


def _touched(file: Path) -> None:
    try:
        file.touch()
    except OSError as error:
        hint = f"chmod u+w {file.parent} as its owner, or name another database with --db or NFTLAB_DB"
        raise DatabaseError(f"cannot make {file}: {error.strerror}", hint) from None


def _write_ahead(engine: Engine) -> None:
    """Switch the file to write-ahead logging (it stays so): readers never wait for the writer, nor it for them."""
    with translated(engine.url):
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
