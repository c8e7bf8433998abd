"""Reads what W&B wrote on disk: the records of a .wandb file (LevelDB's log format after a header of seven bytes)."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7
FULL, FIRST, LAST = 1, 2, 4


def records(path: Path) -> Iterator[Any]:
    """Every complete record, in order."""
    raw = path.read_bytes()
    assert raw[:4] == b":W&B"
    at, parts = HEADER, b""
    while at + HEADER <= len(raw):
        if BLOCK - at % BLOCK < HEADER:  # the rest of a block is padding
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", raw, at)
        body = raw[at + HEADER : at + HEADER + length]
        at += HEADER + length
        parts = body if kind in (FULL, FIRST) else parts + body
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record


def runs(folder: Path) -> list[dict[str, Any]]:
    """Every offline run folder below, oldest first.

    Each with id, name, project, entity, group, job_type, tags, config, epochs, rows, summary, preempted and exit_code. One that
    was killed before it said which run it is holds nothing that could be synced, and is left out.
    """
    found = [list(records(path)) for path in sorted(folder.rglob("*.wandb"), key=lambda path: path.stat().st_mtime_ns)]
    return [_run(told) for told in found if any(record.HasField("run") for record in told)]


def _run(found: list[Any]) -> dict[str, Any]:
    run = next(record.run for record in found if record.HasField("run"))
    rows = [_items(record.history.item) for record in found if record.HasField("history")]
    summary: dict[str, Any] = {}
    for record in found:
        if record.HasField("summary"):
            summary |= _items(record.summary.update)
    exits = [record.exit.exit_code for record in found if record.HasField("exit")]
    return {
        "id": run.run_id,
        "name": run.display_name,
        "project": run.project,
        "entity": run.entity,
        "group": run.run_group,
        "job_type": run.job_type,
        "tags": list(run.tags),
        "config": _items(run.config.update),
        "rows": rows,
        "epochs": [row["epoch"] for row in rows],
        "summary": summary,
        "preempted": any(record.HasField("preempting") for record in found),
        "exit_code": exits[-1] if exits else None,
    }


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
