"""An empty job table on each database, without the studies of earlier tests."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, inspect

from tests.store.conftest import empty_file as empty_file
from tests.store.conftest import postgres as postgres
from tests.store.conftest import postgres_url as postgres_url
from tests.store.conftest import queue as queue
from tests.store.conftest import sqlite as sqlite
from tests.store.jobtable import sql


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An empty job table on each of the databases in turn."""
    found: Engine = request.getfixturevalue(request.param)
    if request.param == "postgres":
        sql(found, "TRUNCATE sweeps, jobs, attempts, transitions, epoch_rows, speeds RESTART IDENTITY CASCADE")
        if inspect(found).has_table("studies"):
            sql(found, "TRUNCATE studies RESTART IDENTITY CASCADE")
    return found
