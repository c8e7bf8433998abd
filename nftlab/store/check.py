"""Is the job table what it says it is: the file whole, every row in its place, the guarantees kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

from nftlab.store.sweeps import FINISHES

SHOWN = 5  # jobs named per finding

# What must be empty, by what it would mean. Each answers with one column: the job's key, or what else names the row.
_JOB_RULES = {
    "running without a lease": "SELECT job_key FROM jobs WHERE state = 'running' AND lease_until IS NULL",
    "not running, yet with a lease": "SELECT job_key FROM jobs WHERE state <> 'running' AND lease_until IS NOT NULL",
    "running without an open attempt of their token": """
        SELECT job_key FROM jobs WHERE state = 'running' AND NOT EXISTS (
            SELECT 1 FROM attempts WHERE job_id = jobs.id AND attempts.token = jobs.token AND ended_at IS NULL)""",
    "with an open attempt that does not hold them": """
        SELECT DISTINCT job_key FROM jobs JOIN attempts ON attempts.job_id = jobs.id
        WHERE ended_at IS NULL AND (state <> 'running' OR attempts.token <> jobs.token)""",
    "recorded other than exactly once": f"""
        SELECT job_key FROM jobs LEFT JOIN ({FINISHES.format(of="")}) AS finishes ON finishes.job_id = jobs.id
        WHERE coalesce(finishes.n, 0) <> CASE WHEN state IN ('done', 'pruned') THEN 1 ELSE 0 END""",
    "whose last transition is to another state": """
        SELECT job_key FROM jobs JOIN (SELECT job_id, max(id) AS id FROM transitions GROUP BY job_id) AS newest ON newest.job_id = jobs.id
        JOIN transitions ON transitions.id = newest.id WHERE transitions.target <> jobs.state""",
    "with epochs written under a claim they never had": """
        SELECT DISTINCT job_key FROM jobs JOIN epoch_rows ON epoch_rows.job_id = jobs.id WHERE epoch_rows.token > jobs.token""",
    "paused while their sweep is not, or not while it is": """
        SELECT job_key FROM jobs JOIN sweeps ON sweeps.name = jobs.sweep WHERE jobs.paused <> (sweeps.state = 'paused')""",
}


@dataclass(frozen=True)
class Finding:
    """Something that must not be: what, how often, and the first few of what it is about."""

    what: str
    count: int
    first: list[str]


def check(engine: Engine) -> list[Finding]:
    """What is wrong with the job table; [] when nothing is. Reads all of it, in one view of the data."""
    with engine.connect() as connection:
        found = _file(connection) if engine.dialect.name == "sqlite" else []
        for what, query in _JOB_RULES.items():
            found.append(_finding(f"jobs {what}", [row[0] for row in connection.execute(text(query))]))
    return [finding for finding in found if finding.count]


def _file(connection: Connection) -> list[Finding]:
    """Damage of a SQLite file, and rows that refer to none: connections of other programs need not enforce that."""
    damage = [row[0] for row in connection.exec_driver_sql("PRAGMA quick_check") if row[0] != "ok"]
    orphans = [f"{row[0]} row {row[1]}" for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    return [_finding("damage in the file", damage), _finding("rows that refer to a row that is not there", orphans)]


def _finding(what: str, about: list[Any]) -> Finding:
    return Finding(what, len(about), [str(one) for one in about[:SHOWN]])
