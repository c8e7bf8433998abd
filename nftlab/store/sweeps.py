"""Sweeps in the table: launching one adds the jobs that are not there yet; verifying one proves that each was recorded once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Select, func, select, text

from nftlab.configuration import brief
from nftlab.errors import ConfigError
from nftlab.store.moves import command
from nftlab.store.records import Worker, read_config, storable
from nftlab.store.session import Session, session
from nftlab.store.steering import never_launched
from nftlab.store.tables import ACCEPTED, STATES, jobs, proposals, sweeps

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
    ran with other code than the one launched now; `to_propose`: jobs of a search that its sampler has not proposed yet.
    """

    sweep: str
    jobs_added: int
    jobs_known: int
    jobs_rerun: int
    dropped: int
    other_code: int
    to_propose: int = 0


def launch(engine: Engine, sweep: Sweep, *, code: dict[str, Any], rerun: bool = False) -> LaunchResult:
    """Put a sweep's jobs into the table, in one transaction; those already there are left as they are.

    `code` says what was launched: `git_sha` (None outside a repository) and `dirty` (hash of the uncommitted diff, None if
    clean). With `rerun`, finished jobs that the file asks for start again from scratch. Launching twice, or from many
    processes at once, adds nothing the second time. A sweep keeps the priority that it has in the table. A search has jobs only
    for the trials that were proposed before: workers propose the others. Raises ConfigError when
    it is launched again with other parameters or another metric.
    """
    me = Worker.me()
    metric = {"metric": sweep.metric.name, "goal": sweep.metric.goal, "source": sweep.source, "path": storable(sweep.path)}
    row = {"name": sweep.name, "method": sweep.method, "priority": sweep.priority, "retries": sweep.retries, **metric}
    with session(engine) as talk:
        talk.tell("sweep", [row | {"code": json.dumps(code)}])
        sweep = replace(sweep, priority=talk.ask("sweep_state", sweep=sweep.name)[0].priority)
        if sweep.search:
            _refuse_change(engine, sweep)  # sees the table as it was; since `tell` nobody proposes for what was launched before
            sweep = continued(talk, sweep)
        asked = {key: (trial, seed) for key, trial, seed in sweep.jobs()}
        known: dict[str, int] = {job.job_key: job.id for job in talk.ask("known", sweep=sweep.name)}
        new = [(key, trial, seed) for key, (trial, seed) in asked.items() if key not in known]
        add_jobs(talk, sweep, new, max(known.values(), default=0), me, "launched")
        ran = talk.ask("accepted", sweep=sweep.name)
        again = command(talk, "rerun", [job_id for key, job_id in known.items() if key in asked], me) if rerun else 0
    other = sum(was.n for was in ran if (was.git_sha, was.dirty) != (code.get("git_sha"), code.get("dirty")))
    to_propose = sweep.asked * len(sweep.seeds) - len(asked) if sweep.search else 0
    return LaunchResult(sweep.name, len(new), len(asked) - len(new), again, len(known.keys() - asked.keys()), other, to_propose)


def verify(engine: Engine, name: str) -> dict[str, Any]:
    """Expand the stored file again and compare it with what was recorded.

    `expected` jobs are each counted once: as `missing` (not in the table, not yet proposed, or done without a recorded finish) or by state.
    `duplicates`: finishes recorded beyond the first of a job, and rows beyond the first of a (trial, seed). `extra`: jobs in the
    table that the file does not ask for. Raises NotFoundError for a sweep that was never launched.
    """
    with engine.connect() as connection:
        source = connection.execute(select(sweeps.c.source).where(sweeps.c.name == name)).scalar()
        if source is None:
            raise never_launched(connection, name)
        rows = connection.execute(_of(name, jobs.c.trial_key, jobs.c.seed, jobs.c.state, jobs.c.id)).all()
        recorded_of = connection.execute(text(FINISHES.format(of=_OF_SWEEP)), {"name": name})
        finishes: dict[int, int] = {row.job_id: row.n for row in recorded_of}
    expected, to_propose = asked_for(engine, name, source)
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
    missing = states["missing"] + len(expected - seen.keys()) + to_propose
    found = {state: states[state] for state in STATES}
    return {"expected": len(expected) + to_propose, **found, "missing": missing, "duplicates": duplicates, "extra": extra}


def asked_for(engine: Engine, name: str, source: str) -> tuple[set[tuple[str, int]], int]:
    """The (trial key, seed) of every job that a sweep's stored file asks for, and how many jobs its sampler has still to propose.

    The file is expanded for it, which takes seconds where trials are many. Raises SpecError for one that this nftlab cannot read.
    """
    from nftlab.spec import load_text

    sweep = load_text(source, where=f"the stored file of sweep {name}", stored=True)
    keys = [trial.key for trial in sweep.trials] if sweep.search is None else _proposed(engine, name)[: sweep.asked]
    return {(key, seed) for key in keys for seed in sweep.seeds}, (sweep.asked - len(keys)) * len(sweep.seeds)


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


def check_launched(engine: Engine, name: str) -> None:
    """Raises NotFoundError, which names those that were, for a sweep that was never launched."""
    with engine.connect() as connection:
        if connection.execute(select(sweeps.c.name).where(sweeps.c.name == name)).scalar() is None:
            raise never_launched(connection, name)


def states(engine: Engine, name: str) -> list[tuple[tuple[str, int], str]]:
    """((trial key, seed), state) of each of a sweep's jobs."""
    with engine.connect() as connection:
        rows = connection.execute(_of(name, jobs.c.trial_key, jobs.c.seed, jobs.c.state)).all()
    return [((key, seed), state) for key, seed, state in rows]


def trained(engine: Engine) -> dict[str, float]:
    """Seconds of training that the jobs of each sweep took so far."""
    with engine.connect() as connection:
        rows = connection.execute(select(jobs.c.sweep, func.sum(jobs.c.seconds)).group_by(jobs.c.sweep)).all()
    return {sweep: round(seconds, 3) for sweep, seconds in rows}


def add_jobs(talk: Session, sweep: Sweep, new: Sequence[tuple[str, Trial, int]], after: int, by: Worker, why: str) -> None:
    """Insert the rows of new jobs, with the transition that begins their story; `after`: the sweep's last job before."""
    talk.tell("job", _rows(sweep, new))
    talk.tell("launched", [{"sweep": sweep.name, "after": after, "who": by.name, "host": by.host, "why": why}])


def _proposed(engine: Engine, name: str) -> list[str]:
    """The trial keys that a sampler proposed, first proposed first."""
    query = select(proposals.c.trial_key).where(proposals.c.sweep == name).order_by(proposals.c.number)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def continued(talk: Session, sweep: Sweep) -> Sweep:
    """A search with the trials that were proposed before, as far as the file still asks for so many."""
    from nftlab.spec import Trial

    rows = talk.ask("continued", sweep=sweep.name)[: sweep.asked]
    return replace(sweep, trials=tuple(Trial(read_config(row.config), row.trial_key, row.pack_key) for row in rows))


def _refuse_change(engine: Engine, sweep: Sweep) -> None:
    """What a sampler has learnt holds for the parameters and the metric it was told of."""
    from nftlab.spec import load_text

    assert sweep.search is not None
    if not (keys := _proposed(engine, sweep.name)):
        return
    with engine.connect() as connection:
        source = connection.execute(select(sweeps.c.source).where(sweeps.c.name == sweep.name)).scalar_one()
    before = load_text(source, where=f"the stored file of sweep {sweep.name}", stored=True)
    if before.search is None or (before.search.space.identity, before.metric) != (sweep.search.space.identity, sweep.metric):
        what = f"sweep {sweep.name} goes on from {len(keys)} proposed trials, so its parameters and metric cannot change"
        raise ConfigError(what, "give the changed search another name, or change only run_cap, seeds and settings")


def _of(name: str, *columns: Any) -> Select[Any]:
    return select(*columns).where(jobs.c.sweep == name).order_by(jobs.c.id)


def _rows(sweep: Sweep, new: Iterable[tuple[str, Trial, int]]) -> list[dict[str, Any]]:
    """The parameters of the new jobs' rows."""
    shared = {"sweep": sweep.name, "priority": sweep.priority, "max_retries": sweep.retries}
    configs: dict[str, str] = {}  # a trial's text is written once for all its seeds
    rows = []
    for key, trial, seed in new:
        if trial.key not in configs:
            configs[trial.key] = json.dumps(brief(trial.config), sort_keys=True, separators=(",", ":"))
        of_trial = {"trial_key": trial.key, "config": configs[trial.key], "pack_key": trial.pack_key}
        rows.append({"job_key": key, "seed": seed, **of_trial, **shared})
    return rows
