"""A Postgres server that hangs without going away: a real one, whose process for our connection is stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from nftlab.errors import OutageError
from nftlab.store import Queue, open_db
from nftlab.store.watch import Watch


@contextmanager
def hanging(engine: Engine) -> Iterator[int]:
    """The server's process for the pooled connection does nothing; its number."""
    with engine.connect() as connection:
        backend = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    os.kill(backend, signal.SIGSTOP)
    try:
        yield backend
    finally:
        os.kill(backend, signal.SIGCONT)


@pytest.fixture
def watched(postgres: Engine, postgres_url: str) -> Iterator[Engine]:
    engine = open_db(postgres_url, create=False)
    assert engine is not None
    watch = Watch(engine, lambda: 1.0)
    yield engine
    watch.close()
    engine.dispose()


def test_a_call_that_is_not_answered_is_an_outage_and_the_next_one_is_answered(watched: Engine) -> None:
    queue = Queue(watched)
    with hanging(watched):
        began = time.monotonic()
        with pytest.raises(OutageError, match="cannot reach"):
            queue.counts()
        assert time.monotonic() - began < 20
        assert queue.counts()["queued"] >= 0


def test_a_connection_that_hangs_after_a_rest_is_replaced_without_a_word(watched: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftlab.store.engine.REST", -1.0)  # any rest is long enough
    with hanging(watched):
        assert Queue(watched).counts()["queued"] >= 0


def test_only_a_use_that_takes_too_long_is_ended(postgres_url: str, postgres: Engine) -> None:
    engine, patience = open_db(postgres_url, create=False), 1000.0
    assert engine is not None
    watch = Watch(engine, lambda: patience)

    def backend() -> int:
        with engine.connect() as connection:
            watch.look()
            return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    first = backend()
    assert backend() == first, "answered in time"
    patience = -1.0
    watch.look()
    patience = 1000.0
    assert backend() == first, "at rest, it is not in use"
    patience = -1.0
    with pytest.raises(OutageError, match="cannot reach"):
        backend()
    watch.close()
    engine.dispose()
