"""Jobs and curves as flat rows, for spreadsheets, data frames and other people's tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, select

from nftlab.store.runs import JobRow
from nftlab.store.tables import epoch_rows

_CHUNK = 500  # jobs per question
_RESULT = ("attempts", "retries", "epoch", "best_epoch", "val_error", "test_error", "diverged", "seconds", "error", "git_sha")


def job_rows(chosen: Sequence[JobRow]) -> list[dict[str, Any]]:
    """A row per job: what it is, its parameters, how it ended; errors in percent, times in seconds since the epoch (UTC)."""
    return [
        {"job": job.job_key, "sweep": job.sweep, "trial": job.trial_key, "seed": job.seed, "state": job.state}
        | dict(job.config)
        | {name: getattr(job, name) for name in (*_RESULT, "started_at", "finished_at") if name not in job.config}
        for job in chosen
    ]


def curve_rows(engine: Engine, chosen: Sequence[JobRow]) -> list[dict[str, Any]]:
    """A row per epoch of each job: `job`, `sweep`, `trial`, `seed`, `epoch` (from 1), `seconds`, values; what was not finite is None."""
    about = {job.job_id: {"job": job.job_key, "sweep": job.sweep, "trial": job.trial_key, "seed": job.seed} for job in chosen}
    ids, rows = list(about), []
    with engine.connect() as connection:
        for start in range(0, len(ids), _CHUNK):
            of = epoch_rows.c.job_id.in_(ids[start : start + _CHUNK])
            for row in connection.execute(select(epoch_rows).where(of).order_by(epoch_rows.c.job_id, epoch_rows.c.epoch)):
                values: Mapping[str, Any] = json.loads(row._mapping["values"])
                rows.append({**about[row.job_id], "epoch": row.epoch, "seconds": row.seconds, **values})
    return rows
