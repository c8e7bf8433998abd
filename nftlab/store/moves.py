"""How jobs change state other than by a claim or a finish: every move ends the attempt it interrupts and leaves a transition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from nftlab.store.records import Claim, Worker, last_line, storable
from nftlab.store.session import Session
from nftlab.store.tables import OPEN

MAX_LOSSES = 5  # lost workers in a row, without an epoch recorded in between, that quarantine a job
# Releases with these causes count as losses: the trainer was killed, by what is not known, or by us because it hung.
LOSSES = frozenset({"lost-trainer", "stalled"})
CHUNK = 500  # jobs per statement when a user's verb touches many

# A user's verbs: the states they apply to, and the one they lead to.
COMMANDS: dict[str, tuple[frozenset[str], str]] = {
    "retry": (frozenset({"failed", "quarantined", "cancelled"}), "queued"),
    "cancel": (frozenset({"queued", "running"}), "cancelled"),
    "stop": (frozenset({"queued"}), "cancelled"),
    "rerun": (frozenset({"done", "pruned", "failed", "quarantined", "cancelled"}), "queued"),
}


def departure(row: Any, target: str, cause: str, error: str | None = None) -> dict[str, Any]:
    """A running job about to leave for `target`, nothing counted against it."""
    error = None if error is None else storable(error)
    line = None if error is None else last_line(error)
    counters = {"retries": row.retries, "losses": row.losses, "delay": 0.0, "alone": False}
    return {"job_id": row.id, "token": row.token, "target": target, "why": cause, "error": error, "line": line, **counters}


def loss(row: Any, cause: str) -> dict[str, Any]:
    """A job whose worker or trainer was lost: queued again, but quarantined by the fifth loss without an epoch in between."""
    losses = row.losses + 1
    if losses < MAX_LOSSES:
        return departure(row, "queued", cause) | {"losses": losses}
    error = f"{losses} workers in a row were lost training this job, no epoch recorded in between; last: {cause}"
    return departure(row, "quarantined", cause, error) | {"losses": losses}


def leave(talk: Session, leaves: Sequence[dict[str, Any]], by: Worker | None = None) -> None:
    """Move running jobs out; `by` whom, None: the worker of the attempt that ends."""
    talk.tell("requeue", [job for job in leaves if job["target"] == "queued"])
    talk.tell("give_up", [job for job in leaves if job["target"] != "queued"])
    talk.tell("end_attempt", leaves)
    if by is None:
        talk.tell("left", leaves)
    else:
        talk.tell("transition", [job | {"source": "running", "who": by.name, "host": by.host} for job in leaves])


def refund(talk: Session, claims: Sequence[Claim], by: Worker, cause: str) -> int:
    """Undo what crashes and losses of these attempts counted against their jobs, once; returns how many jobs that were.

    Only the attempts still marked as such count, only of jobs that nobody has claimed since, and of none that another machine has
    given back before. Jobs in training go back to the queue, and so do those that were given up, unless their sweep was stopped.
    """
    claims = sorted(claims, key=lambda claim: claim.token)
    first, last = {claim.job_id: claim for claim in reversed(claims)}, {claim.job_id: claim for claim in claims}
    rows = talk.ask("lock", ids=talk.among(last))
    rows = [row for row in rows if row.token == last[row.id].token]  # nobody has claimed them since
    stopped = {row.id for row in talk.ask("stopped", ids=talk.among(last))}
    given_up = {row.id for row in rows if row.state in ("failed", "quarantined")} - stopped
    ours = {row.id: row for row in rows if row.state in OPEN or row.id in given_up}
    leave(talk, [departure(row, "queued", cause) for row in ours.values() if row.state == "running"])
    counted = talk.ask("counted", ids=talk.among(claim.attempt_id for claim in claims), why=cause)
    crashed = Counter(row.job_id for row in counted if row.cause == "crash")
    lost = Counter(row.job_id for row in counted if row.cause in LOSSES)
    undone = [
        {"job_id": job, "token": row.token, "source": row.state, "target": "queued", "why": cause, "who": by.name, "host": by.host}
        | {"retries": crashed[job], "losses": lost[job], "alone": first[job].alone}
        for job, row in ours.items()
        if crashed[job] or lost[job]
    ]
    mine = {change["job_id"] for change in undone}
    talk.tell("refund", undone)
    talk.tell("transition", [change for change in undone if change["source"] != "running"])
    talk.tell("acquit", [{"attempt": claim.attempt_id, "why": cause} for claim in claims if claim.job_id in mine])
    return len(undone)


def command(talk: Session, verb: str, job_ids: Iterable[int], by: Worker) -> int:
    """Apply a user's verb to those of the jobs that are in a state it applies to; returns how many were."""
    sources, target = COMMANDS[verb]
    ids, moved = sorted(set(job_ids)), 0
    for start in range(0, len(ids), CHUNK):
        rows = [row for row in talk.ask("lock", ids=talk.among(ids[start : start + CHUNK])) if row.state in sources]
        chosen = {"ids": talk.among(row.id for row in rows)}
        if verb == "rerun":
            talk.tell("forget", [chosen])
        talk.tell(verb, [chosen])
        common = {"target": target, "why": verb, "error": None, "who": by.name, "host": by.host}
        changes = [{"job_id": row.id, "token": row.token, "source": row.state, **common} for row in rows]
        talk.tell("end_attempt", [change for change in changes if change["source"] == "running"])
        talk.tell("transition", changes)
        moved += len(rows)
    return moved
