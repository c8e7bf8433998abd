"""Which Slurm task did what."""

from __future__ import annotations

from sqlalchemy import JSON, Engine, cast, func, select, type_coerce

from nftlab.store.tables import ACCEPTED, attempts, jobs


def done_by_task(engine: Engine) -> dict[str, int]:
    """How many jobs each Slurm task finished (done or pruned), by the task's name as workers record it ("12_0")."""
    circumstances = attempts.c.circumstances
    document = cast(circumstances, JSON) if engine.dialect.name == "postgresql" else type_coerce(circumstances, JSON)
    task = document["slurm"].as_string().label("task")
    finished = (attempts.c.job_id == jobs.c.id) & (attempts.c.token == jobs.c.token) & jobs.c.state.in_(ACCEPTED)
    query = select(task, func.count()).join(jobs, finished).where(task.is_not(None)).group_by(task)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
