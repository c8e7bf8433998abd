"""A job's story as text: what it is, how it stands, what was tried, where its curve has got to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nftlab.cli.output import duration, number, printable, written

if TYPE_CHECKING:
    from nftlab.store import JobRow

LAST = 5  # epochs of the curve that are shown


def told(row: JobRow, story: Mapping[str, Sequence[Mapping[str, Any]]], curve: Sequence[Mapping[str, Any]]) -> str:
    """The story of one job; times are UTC, errors percent."""
    lines = [f"job {row.job_key}, sweep {row.sweep}, trial {row.trial_key}, seed {row.seed}", _standing(row)]
    lines += ["", "configuration", *(f"  {name}: {written(value)}" for name, value in row.config.items())]
    lines += ["", f"attempts ({len(story['attempts'])})"]
    for attempt in story["attempts"]:
        lines += _attempt(attempt)
    lines += ["", "transitions", *(_transition(move) for move in story["transitions"])]
    lines += ["", *_curve(row, curve)]
    return printable("\n".join(lines))


def moment(at: float | None) -> str:
    """A time of the database's clock, such as `2026-11-20 14:03:07`; unknown as `–`."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _standing(row: JobRow) -> str:
    errors = f"validation error {number(row.val_error)} %, test error {number(row.test_error)} %"
    best = f", best epoch {row.best_epoch}: {errors}" if row.best_epoch else ""
    diverged = ", diverged" if row.diverged else ""
    return f"{row.state}{diverged} at epoch {row.epoch} of {row.config.get('epochs')}, {duration(row.seconds)} of training{best}"


def _attempt(attempt: Mapping[str, Any]) -> list[str]:
    from nftlab.code import named
    from nftlab.store import data_of

    around = attempt["circumstances"]
    notes = [f"code {named(around)}"]
    notes += [f"{name} {around[name]}" for name in ("device", "torch", "way", "pack_size") if around.get(name) is not None]
    lines = [
        f"  {attempt['token']}. {moment(attempt['started_at'])} to {moment(attempt['ended_at'])}: {attempt['cause'] or 'running'}",
        f"     {attempt['worker']} on {attempt['host']}, {', '.join(notes)}",
    ]
    lines += [f"     data {source}"] if (source := data_of(around)) else []
    return lines + [f"     | {line}" for line in (attempt["error"] or "").splitlines()]


def _transition(move: Mapping[str, Any]) -> str:
    by = f"by {move['who']} on {move['host']}, token {move['token']}"
    return f"  {moment(move['at'])}  {move['source'] or 'new'} → {move['target']}  {move['why']}, {by}"


def _curve(row: JobRow, curve: Sequence[Mapping[str, Any]]) -> list[str]:
    if not curve:
        return ["curve: no epoch recorded"]
    shown = [*curve[-LAST:]]
    if row.best_epoch and all(point["epoch"] != row.best_epoch for point in shown):
        shown = [*(point for point in curve if point["epoch"] == row.best_epoch), *shown]
    names = [name for name in shown[-1] if name not in ("epoch", "seconds")]
    lines = [f"  {point['epoch']}: " + "  ".join(f"{name} {point[name]:.4g}" for name in names if name in point) for point in shown]
    return [f"curve ({len(curve)} epochs, shown are the best and the last)", *lines]
