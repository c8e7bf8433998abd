"""Reading the table: jobs, their curves and stories, and how far the work is. Plain values; nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, func, select, text, true

from nftlab.store.records import read_config
from nftlab.store.sql import TEMPLATES, WORDS
from nftlab.store.tables import ACCEPTED, STATES, attempts, epoch_rows, transitions
from nftlab.store.tables import jobs as _jobs

KEY = 16  # digits of a job's or a trial's key

HOUR = 3600.0


@dataclass(frozen=True)
class JobRow:
    """A job as reports and commands see it: `config` without the seed, errors in percent at the best epoch.

    `git_sha` and `circumstances` are those of its last attempt (None and empty before the first); `error` is the last line; `sums` the
    SHA-256 of its last checkpoints.
    """

    job_id: int
    job_key: str
    sweep: str
    trial_key: str
    seed: int
    config: dict[str, Any]
    state: str
    attempts: int
    retries: int
    epoch: int
    best_epoch: int | None
    val_error: float | None
    test_error: float | None
    diverged: bool
    seconds: float
    error: str | None
    priority: int
    started_at: float | None
    finished_at: float | None
    git_sha: str | None
    circumstances: dict[str, Any]
    sums: tuple[str, ...]


@dataclass(frozen=True)
class Shelved:
    """What a job needs of its checkpoints: all while it is `running`, else those `needed`, as JOB/TOKEN/FILE."""

    running: bool
    needed: frozenset[str]


def jobs(
    engine: Engine,
    *,
    sweep: str | Collection[str] | None = None,
    state: str | None = None,
    where: Mapping[str, Any] | None = None,
    seed: int | None = None,
    key: str | None = None,
    trial: str | None = None,
) -> list[JobRow]:
    """The jobs that match every selector given, in launch order; of one sweep or of several.

    `where` compares fields of the configuration; a text matches what it would be written as (so `--where lr=1e-4` needs no types).
    `key` is a job key or the beginning of one, `trial` a whole trial key.
    """
    last = (attempts.c.job_id == _jobs.c.id) & (attempts.c.token == _jobs.c.token)
    query = select(_jobs, attempts.c.circumstances).outerjoin(attempts, last).order_by(_jobs.c.id)
    if sweep is not None:
        query = query.where(_jobs.c.sweep.in_([sweep] if isinstance(sweep, str) else sweep))
    for column, wanted in ((_jobs.c.state, state), (_jobs.c.seed, seed), (_jobs.c.trial_key, trial)):
        if wanted is not None:
            query = query.where(column == wanted)
    if key is not None:
        query = query.where(_begins(_jobs.c.job_key, key))
    read: dict[str, Any] = {}  # seeds of a trial share their configuration's text: it is parsed once
    with engine.connect() as connection:
        found = [_job(row, read) for row in connection.execute(query)]
    return [job for job in found if all(_matches(job.config.get(name), value) for name, value in (where or {}).items())]


def trial_keys(engine: Engine, beginning: str, *, sweeps: Collection[str] | None = None) -> list[str]:
    """The keys of the trials (of these `sweeps`) that begin like this, in their order; none for an empty beginning."""
    mine = _jobs.c.sweep.in_(sweeps) if sweeps is not None else true()
    query = select(_jobs.c.trial_key).distinct().where(mine, _begins(_jobs.c.trial_key, beginning)).order_by(_jobs.c.trial_key)
    if not beginning:
        return []
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def curve(engine: Engine, job_id: int) -> list[dict[str, Any]]:
    """The epochs of a job in order: `epoch` (1-based), `seconds` and its values; what was not finite is NaN."""
    query = select(epoch_rows).where(epoch_rows.c.job_id == job_id).order_by(epoch_rows.c.epoch)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [{"epoch": row.epoch, "seconds": row.seconds, **values_of(row._mapping["values"])} for row in rows]


def shelved(engine: Engine) -> dict[str, Shelved]:
    """What every job, by key, needs of its checkpoints: a finished one none, another the two it would resume from."""
    columns = (_jobs.c.job_key, _jobs.c.state, _jobs.c.checkpoint, _jobs.c.previous)
    with engine.connect() as connection:
        rows = connection.execute(select(*columns)).all()
    return {row.job_key: Shelved(row.state == "running", _needed(*row[1:])) for row in rows}


def story(engine: Engine, job_key: str) -> dict[str, list[dict[str, Any]]]:
    """What happened to a job: its `attempts` (with circumstances and full error text) and its `transitions`, oldest first."""
    of_job = select(_jobs.c.id).where(_jobs.c.job_key == job_key).scalar_subquery()
    with engine.connect() as connection:
        tries = connection.execute(select(attempts).where(attempts.c.job_id == of_job).order_by(attempts.c.id)).mappings().all()
        moves = connection.execute(select(transitions).where(transitions.c.job_id == of_job).order_by(transitions.c.id)).mappings().all()
    told = [dict(row) | {"circumstances": json.loads(row["circumstances"])} for row in tries]
    return {"attempts": told, "transitions": [dict(row) for row in moves]}


def data_of(circumstances: Mapping[str, Any]) -> str | None:
    """The data that an attempt trained on, such as `"made, seed 0" (sha256 56814f2d01fd)`; None when that was not recorded."""
    source, sha = circumstances.get("data"), circumstances.get("data_sha")
    return f'"{source}" (sha256 {str(sha)[:12]})' if source and sha else None


def status(engine: Engine, *, sweep: str | None = None) -> dict[str, Any]:
    """How far the work is: `jobs` by state, `jobs_per_hour`, `eta_seconds`, the last five `failures` with their last line (of one `sweep`).

    The pace is that of the hour before the last finish, counted from when its first job started; 0 before any, and a day after the
    last. There is no ETA (None) without a pace or while nothing runs, nor of no jobs; it is 0 when nothing is left of some.
    """
    mine = _jobs.c.sweep == sweep if sweep is not None else true()
    by_state = select(_jobs.c.state, func.count().label("n")).where(mine).group_by(_jobs.c.state)
    ended = select(_jobs.c.job_key, _jobs.c.sweep, _jobs.c.error).where(mine, _jobs.c.state.in_(("failed", "quarantined")))
    with engine.connect() as connection:
        found: dict[str, int] = {row.state: row.n for row in connection.execute(by_state)}
        pace = _pace(connection, mine)
        latest = connection.execute(ended.order_by(_jobs.c.finished_at.desc(), _jobs.c.id).limit(5))
        failed = [{"job": key, "sweep": name, "error": error} for key, name, error in latest]
    counts = {state: found.get(state, 0) for state in STATES}
    return {"jobs": counts, "jobs_per_hour": round(pace, 3), "eta_seconds": _eta(counts, pace), "failures": failed}


def _begins(column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    whole = len(beginning) == KEY  # then an index may find it
    return column == beginning if whole else func.substr(column, 1, len(beginning)) == beginning


def _needed(state: str, *checkpoints: str | None) -> frozenset[str]:
    if state in ACCEPTED:
        return frozenset()
    return frozenset("/".join(Path(path).parts[-3:]) for path in checkpoints if path)  # the runs folder may be mounted elsewhere by now


def _job(row: Row[Any], read: dict[str, Any]) -> JobRow:
    values = dict(row._mapping)
    for name, reader in (("config", read_config), ("circumstances", json.loads)):
        written = values[name] or "{}"
        if written not in read:
            read[written] = reader(written)
        values[name] = dict(read[written])
    values |= {"job_id": row.id, "diverged": bool(row.diverged), "git_sha": values["circumstances"].get("git_sha")}
    values["sums"] = tuple(sha for sha in (row.checkpoint_sha, row.previous_sha) if sha)
    return JobRow(**{name: values[name] for name in JobRow.__dataclass_fields__})


def _matches(has: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and not isinstance(has, str) and has is not None:
        try:
            wanted = json.loads(wanted)
        except ValueError:
            return False
    return type(has) is type(wanted) and has == wanted if isinstance(has, bool) or isinstance(wanted, bool) else bool(has == wanted)


def values_of(written: str) -> dict[str, float]:
    """The values of an epoch row as they were recorded; what was not finite is NaN."""
    return {name: float("nan") if value is None else value for name, value in json.loads(written).items()}


def _pace(connection: Connection, mine: ColumnElement[bool]) -> float:
    """Jobs per hour that left the queue by work, in the hour up to the last of them; 0 if the last was over a day ago."""
    worked = and_(mine, _jobs.c.finished_at.is_not(None), _jobs.c.state.in_(("done", "pruned", "failed")))
    last = connection.execute(select(func.max(_jobs.c.finished_at)).where(worked)).scalar()
    if last is None or last < now(connection) - 24 * HOUR:
        return 0.0
    window = select(func.count(), func.min(_jobs.c.started_at)).where(_jobs.c.finished_at > last - HOUR, worked)
    count, first = connection.execute(window).one()
    span = last - max(first if first is not None else last - HOUR, last - HOUR)
    return float(count / max(span, 1.0) * HOUR)


def _eta(counts: Mapping[str, int], pace: float) -> float | None:
    left = counts["queued"] + counts["running"]
    if left == 0:
        return 0.0 if any(counts.values()) else None
    return round(left / pace * HOUR, 1) if pace > 0 and counts["running"] else None


def now(connection: Connection) -> float:
    """The database's clock: seconds since the epoch."""
    return float(connection.execute(text(TEMPLATES["now"].format(**WORDS[connection.dialect.name]))).scalar_one())
