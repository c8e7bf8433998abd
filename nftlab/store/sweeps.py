"""Sweeps in the table: launching one adds the jobs that are not there yet; verifying one proves that each was recorded once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Select, func, select, text

from nftlab.store.moves import command
from nftlab.store.records import Worker
from nftlab.store.session import session
from nftlab.store.steering import never_launched
from nftlab.store.tables import ACCEPTED, STATES, jobs, sweeps

if TYPE_CHECKING:
    from nftlab.spec import Sweep, Trial

FINISHES = """
    SELECT job_id, sum(CASE WHEN target IN ('done', 'pruned') THEN 1 ELSE 0 END)
                 - sum(CASE WHEN source IN ('done', 'pruned') THEN 1 ELSE 0 END) AS n
    FROM transitions {of} GROUP BY job_id"""  # less those a rerun took back
_OF_SWEEP = "WHERE job_id IN (SELECT id FROM jobs WHERE sweep = :name)"


@dataclass(frozen=True)
class LaunchResult:
    """What a launch did. `jobs_known` were in the table before; `jobs_rerun` of those were queued again from scratch.

    `dropped`: jobs of this sweep in the table that the file no longer asks for (they stay); `other_code`: finished jobs that
    ran with other code than the one launched now.
    """

    sweep: str
    jobs_added: int
    jobs_known: int
    jobs_rerun: int
    dropped: int
    other_code: int


def launch(engine: Engine, sweep: Sweep, *, code: dict[str, Any], rerun: bool = False) -> LaunchResult:
    """Put a sweep's jobs into the table, in one transaction; those already there are left as they are.

    `code` says what was launched: `git_sha` (None outside a repository) and `dirty` (hash of the uncommitted diff, None if
    clean). With `rerun`, finished jobs that the file asks for start again from scratch. Launching twice, or from many
    processes at once, adds nothing the second time.
    """
    me, asked = Worker.me(), {key: (trial, seed) for key, trial, seed in sweep.jobs()}
    metric = {"metric": sweep.metric.name, "goal": sweep.metric.goal, "source": sweep.source, "path": sweep.path}
    row = {"name": sweep.name, "method": sweep.method, "priority": sweep.priority, "retries": sweep.retries, **metric}
    with session(engine) as talk:
        talk.tell("sweep", [row | {"code": json.dumps(code)}])
        known: dict[str, int] = {job.job_key: job.id for job in talk.ask("known", sweep=sweep.name)}
        new = [(key, trial, seed) for key, (trial, seed) in asked.items() if key not in known]
        talk.tell("job", _rows(sweep, new))
        after = max(known.values(), default=0)
        talk.tell("launched", [{"sweep": sweep.name, "after": after, "who": me.name, "host": me.host}])
        ran = [json.loads(job.circumstances) for job in talk.ask("accepted", sweep=sweep.name)]
        again = command(talk, "rerun", [job_id for key, job_id in known.items() if key in asked], me) if rerun else 0
    other = sum(any(was.get(name) != code.get(name) for name in ("git_sha", "dirty")) for was in ran)
    return LaunchResult(sweep.name, len(new), len(asked) - len(new), again, len(known.keys() - asked.keys()), other)


def verify(engine: Engine, name: str) -> dict[str, Any]:
    """Expand the stored file again and compare it with what was recorded.

    `expected` jobs are each counted once: as `missing` (not in the table, or done without a recorded finish) or by state.
    `duplicates`: finishes recorded beyond the first of a job, and rows beyond the first of a (trial, seed). `extra`: jobs in the
    table that the file does not ask for. Raises NotFoundError for a sweep that was never launched.
    """
    from nftlab.spec import load_text

    with engine.connect() as connection:
        source = connection.execute(select(sweeps.c.source).where(sweeps.c.name == name)).scalar()
        if source is None:
            raise never_launched(connection, name)
        rows = connection.execute(_of(name, jobs.c.trial_key, jobs.c.seed, jobs.c.state, jobs.c.id)).all()
        recorded_of = connection.execute(text(FINISHES.format(of=_OF_SWEEP)), {"name": name})
        finishes: dict[int, int] = {row.job_id: row.n for row in recorded_of}
    expected = {(trial.key, seed) for _, trial, seed in load_text(source, where=f"the stored file of sweep {name}").jobs()}
    states: Counter[str] = Counter()
    seen: Counter[tuple[str, int]] = Counter()
    duplicates = extra = 0
    for trial_key, seed, state, job_id in rows:
        seen[trial_key, seed] += 1
        recorded = finishes.get(job_id, 0)
        duplicates += max(recorded - 1, 0) + (seen[trial_key, seed] > 1)
        if (trial_key, seed) not in expected:
            extra += 1
        elif seen[trial_key, seed] == 1:
            states["missing" if state in ACCEPTED and recorded < 1 else state] += 1
    missing = states["missing"] + len(expected - seen.keys())
    found = {state: states[state] for state in STATES}
    return {"expected": len(expected), **found, "missing": missing, "duplicates": duplicates, "extra": extra}


def complete(verified: dict[str, Any]) -> bool:
    """Whether every expected job has exactly one accepted finish (done or pruned)."""
    return verified["done"] + verified["pruned"] == verified["expected"] and not verified["missing"] and not verified["duplicates"]


def launched(engine: Engine) -> list[dict[str, Any]]:
    """Every launched sweep, latest first: its columns, and `jobs` by state."""
    with engine.connect() as connection:
        found = [dict(row._mapping) for row in connection.execute(select(sweeps).order_by(sweeps.c.launched_at.desc(), sweeps.c.name))]
        counted = connection.execute(select(jobs.c.sweep, jobs.c.state, func.count()).group_by(jobs.c.sweep, jobs.c.state)).all()
    by_sweep = {(sweep, state): n for sweep, state, n in counted}
    for sweep in found:
        sweep["code"] = json.loads(sweep["code"])
        sweep["jobs"] = {state: by_sweep.get((sweep["name"], state), 0) for state in STATES}
    return found


def trained(engine: Engine) -> dict[str, float]:
    """Seconds of training that the jobs of each sweep took so far."""
    with engine.connect() as connection:
        rows = connection.execute(select(jobs.c.sweep, func.sum(jobs.c.seconds)).group_by(jobs.c.sweep)).all()
    return {sweep: round(seconds, 3) for sweep, seconds in rows}


def _of(name: str, *columns: Any) -> Select[Any]:
    return select(*columns).where(jobs.c.sweep == name).order_by(jobs.c.id)


def _rows(sweep: Sweep, new: Iterable[tuple[str, Trial, int]]) -> list[dict[str, Any]]:
    """The parameters of the new jobs' rows."""
    shared = {"sweep": sweep.name, "priority": sweep.priority, "max_retries": sweep.retries}
    configs: dict[str, str] = {}  # a trial's text is written once for all its seeds
    rows = []
    for key, trial, seed in new:
        if trial.key not in configs:
            configs[trial.key] = json.dumps(trial.config, sort_keys=True, separators=(",", ":"))
        of_trial = {"trial_key": trial.key, "config": configs[trial.key], "pack_key": trial.pack_key}
        rows.append({"job_key": key, "seed": seed, **of_trial, **shared})
    return rows
