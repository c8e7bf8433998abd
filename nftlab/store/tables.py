"""The tables: sweeps, jobs, attempts, transitions, epoch rows, speeds, proposals and snapshots, the same on SQLite and Postgres.

Times are float seconds since the epoch (UTC) from the database's clock. JSON is kept as canonical text, so that what was
hashed is what is read back. Names stay clear of Optuna's, which may share the database. `db/versions` builds these
tables; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA = "0003"  # the Alembic head this nftlab reads and writes
VERSION_TABLE = "nftlab_version"  # Optuna brings an `alembic_version` of its own

STATES = ("queued", "running", "done", "failed", "pruned", "cancelled", "quarantined")
OPEN = ("queued", "running")  # the states of what is still to be recorded
ACCEPTED = ("done", "pruned")  # the states that record a finish

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts rows only in a column typed INTEGER

sweeps = Table(
    "sweeps",
    metadata,
    Column("name", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("goal", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("source", Text, nullable=False),  # the file as launched last: verify expands it again
    Column("path", Text, nullable=False),
    Column("code", Text, nullable=False),  # JSON: git_sha, dirty
    Column("launched_at", Double, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),  # active, paused or stopped
    Column("proposer", Text),  # the worker that asks the sampler now, alone until then
    Column("proposer_until", Double),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),  # in launch order: the queue's order within a priority
    Column("job_key", Text, nullable=False, unique=True),
    Column("sweep", Text, ForeignKey("sweeps.name"), nullable=False),
    Column("trial_key", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("config", Text, nullable=False),  # canonical JSON, without the seed
    Column("pack_key", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="queued"),
    Column("priority", Integer, nullable=False),
    Column("alone", Boolean, nullable=False, server_default=text("false")),
    Column("paused", Boolean, nullable=False, server_default=text("false")),  # with its sweep; kept here for the indexes below
    Column("not_before", Double, nullable=False, server_default=text("0")),  # backing off until then
    Column("token", Integer, nullable=False, server_default=text("0")),  # counts claims; the last claim's fences all earlier ones
    Column("lease_until", Double),
    Column("progress_at", Double),
    Column("stalled_after", Double),  # seconds without progress after which beats no longer renew the lease
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("retries", Integer, nullable=False, server_default=text("0")),
    Column("max_retries", Integer, nullable=False),
    Column("losses", Integer, nullable=False, server_default=text("0")),  # lost workers in a row without an epoch recorded
    Column("epoch", Integer, nullable=False, server_default=text("0")),  # last recorded; 0: none
    Column("best_epoch", Integer),
    Column("val_error", Double),  # percent, at the best epoch
    Column("test_error", Double),
    Column("diverged", Boolean, nullable=False, server_default=text("false")),
    Column("seconds", Double, nullable=False, server_default=text("0")),
    Column("checkpoint", Text),
    Column("checkpoint_sha", Text),
    Column("previous", Text),
    Column("previous_sha", Text),
    Column("error", Text),  # last line; the attempt has all of it
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    UniqueConstraint("sweep", "trial_key", "seed", name="jobs_once"),
)


def _partial(name: str, where: str, *columns: ColumnElement[Any]) -> Index:
    """An index of the few rows that one question asks about, so that it stays small while finished jobs pile up."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


_partial("jobs_head", "state = 'queued' AND NOT paused", jobs.c.priority.desc(), jobs.c.id)
_partial("jobs_pack", "state = 'queued' AND NOT paused", jobs.c.pack_key, jobs.c.priority.desc(), jobs.c.id)
_partial("jobs_lease", "state = 'running'", jobs.c.lease_until)
_partial("jobs_finished", "finished_at IS NOT NULL", jobs.c.finished_at)
Index("jobs_by_sweep", jobs.c.sweep, jobs.c.state)

attempts = Table(
    "attempts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
    Column("token", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("cause", Text),
    Column("error", Text),
    Column("circumstances", Text, nullable=False),  # JSON
    UniqueConstraint("job_id", "token", name="attempts_once"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
    Column("source", Text),  # NULL: the job was created
    Column("target", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("token", Integer, nullable=False),
)
Index("transitions_by_job", transitions.c.job_id)

epoch_rows = Table(
    "epoch_rows",
    metadata,
    Column("job_id", _Id, ForeignKey("jobs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("values", Text, nullable=False),  # JSON; what is not finite is null
    Column("seconds", Double, nullable=False),
    Column("token", Integer, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,  # one B-tree in the order curves are read in
)

speeds = Table(
    "speeds",
    metadata,
    Column("device", Text, primary_key=True),  # its name, such as "NVIDIA H200", not its number
    Column("cost_key", Text, primary_key=True),
    Column("lanes", Integer, primary_key=True, autoincrement=False),
    Column("way", Text, primary_key=True),
    Column("seen", Boolean, primary_key=True),  # in training; else measured before it
    Column("seconds", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

proposals = Table(
    "proposals",
    metadata,
    Column("sweep", Text, ForeignKey("sweeps.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # the trial's number in the Optuna study
    Column("trial_key", Text, nullable=False),
    Column("told", Text),  # what the sampler was told: complete, pruned or failed; NULL: nothing yet
    Column("at", Double, nullable=False),
    UniqueConstraint("sweep", "trial_key", name="proposals_once"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("sha", Text, primary_key=True),  # of the text: attempts name it in their circumstances
    Column("kind", Text, nullable=False),  # diff: uncommitted changes; packages: what was installed
    Column("text", Text, nullable=False),
    Column("at", Double, nullable=False),
)
