"""How jobs change state other than by a claim or a finish: every move ends the attempt it interrupts and leaves a transition."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, TextClause

from nftlab.store.records import Worker, last_line

MAX_LOSSES = 5  # lost workers in a row, without an epoch recorded in between, that quarantine a job
CHUNK = 500  # jobs per statement when a user's verb touches many

# A user's verbs: the states they apply to, and the one they lead to.
COMMANDS: dict[str, tuple[frozenset[str], str]] = {
    "retry": (frozenset({"failed", "quarantined", "cancelled"}), "queued"),
    "cancel": (frozenset({"queued", "running"}), "cancelled"),
    "rerun": (frozenset({"done", "pruned", "failed", "quarantined", "cancelled"}), "queued"),
}

Sentences = Mapping[str, TextClause]


def among(connection: Connection, ids: Iterable[int]) -> dict[str, Any]:
    """The parameter of `WHERE id {among}`: a list on Postgres, JSON on SQLite, so that the statement's text stays the same."""
    listed = list(ids)
    return {"ids": listed if connection.dialect.name == "postgresql" else json.dumps(listed)}


def departure(row: Row[Any], target: str, cause: str, error: str | None = None) -> dict[str, Any]:
    """A running job about to leave for `target`, nothing counted against it."""
    line = None if error is None else last_line(error)
    counters = {"retries": row.retries, "losses": row.losses, "delay": 0.0, "alone": False}
    return {"job_id": row.id, "token": row.token, "target": target, "why": cause, "error": error, "line": line, **counters}


def loss(row: Row[Any], cause: str) -> dict[str, Any]:
    """A job whose worker or trainer was lost: queued again, but quarantined by the fifth loss without an epoch in between."""
    losses = row.losses + 1
    if losses < MAX_LOSSES:
        return departure(row, "queued", cause) | {"losses": losses}
    error = f"{losses} workers in a row were lost training this job, no epoch recorded in between; last: {cause}"
    return departure(row, "quarantined", cause, error) | {"losses": losses}


def leave(connection: Connection, sql: Sentences, leaves: Sequence[dict[str, Any]], by: Worker | None = None) -> None:
    """Move running jobs out; `by` whom, None: the worker of the attempt that ends."""
    again = [job for job in leaves if job["target"] == "queued"]
    ended = [job for job in leaves if job["target"] != "queued"]
    if again:
        connection.execute(sql["requeue"], again)
    if ended:
        connection.execute(sql["give_up"], ended)
    if leaves:
        connection.execute(sql["end_attempt"], leaves)
        if by is None:
            connection.execute(sql["left"], leaves)
        else:
            connection.execute(sql["transition"], [job | {"source": "running", "who": by.name, "host": by.host} for job in leaves])


def command(connection: Connection, sql: Sentences, verb: str, job_ids: Iterable[int], by: Worker) -> int:
    """Apply a user's verb to those of the jobs that are in a state it applies to; returns how many were."""
    sources, target = COMMANDS[verb]
    ids, moved = sorted(set(job_ids)), 0
    for start in range(0, len(ids), CHUNK):
        rows = connection.execute(sql["lock"], among(connection, ids[start : start + CHUNK])).all()
        rows = [row for row in rows if row.state in sources]
        if not rows:
            continue
        chosen = among(connection, (row.id for row in rows))
        if verb == "rerun":
            connection.execute(sql["forget"], chosen)
        connection.execute(sql[verb], chosen)
        if running := [{"job_id": row.id, "token": row.token, "why": verb, "error": None} for row in rows if row.state == "running"]:
            connection.execute(sql["end_attempt"], running)
        why = {"target": target, "why": verb, "who": by.name, "host": by.host}
        connection.execute(sql["transition"], [{"job_id": row.id, "token": row.token, "source": row.state, **why} for row in rows])
        moved += len(rows)
    return moved
