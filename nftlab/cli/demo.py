"""`nftlab demo`: from launch to table, on real digits, in the current folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nftlab.cli.database import to_write
from nftlab.cli.options import Db, Json
from nftlab.cli.output import emit_json, say
from nftlab.errors import DiskError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

SWEEP, REPORT = "sweeps/nft/quick.yaml", "nft/quick"
NEXT = (
    "nftlab status                           how far the job table is",
    "nftlab job list --sweep {sweep}       the runs behind the table",
    "nftlab report {report} --format latex  the table for a paper",
    "nftlab sweep launch YOUR.yaml           runs of your own, then nftlab worker --drain",
)


def demo(as_json: Json = False, db: Db = None) -> None:
    """Go from launch to table on real digits.

    Takes a few minutes on two CPU cores and writes into the current folder; a second time it only prints.
    """
    from nftlab import store
    from nftlab.cli.report import build, show, write
    from nftlab.code import identity
    from nftlab.report import as_dict
    from nftlab.resources import shipped
    from nftlab.spec import load

    _must_be_writable(Path.cwd())
    engine, shown = to_write(db)
    sweep = load(shipped("sweeps").parent / SWEEP)
    _must_be_alone(engine, sweep.name, shown)
    result = store.launch(engine, sweep, code=identity())
    say(f"{sweep.name}: {result.jobs_added} jobs added, {result.jobs_known} known\ndatabase: {shown}")
    code = _work(engine, db)
    if code > 1:
        raise typer.Exit(code)
    built = build(REPORT, db)
    if as_json:
        emit_json({"sweep": sweep.name, "jobs_added": result.jobs_added, "jobs_known": result.jobs_known, **as_dict(built)})
    else:
        show(built)
    _epilogue(write(built), sweep.name)
    if not store.complete(store.verify(engine, sweep.name)):
        say(f"not all runs were recorded: nftlab job list --sweep {sweep.name}")
        raise typer.Exit(1)


def _work(engine: Engine, db: str | None) -> int:
    """Trains what is left; returns the worker's exit code."""
    from nftlab.store import Queue

    if Queue(engine).drained():
        return 0
    from nftlab.worker import WorkerOptions, run_worker

    return run_worker(WorkerOptions(db=db, drain=True))


def _must_be_writable(folder: Path) -> None:
    from nftlab.doctor import unwritable

    if why := unwritable(folder):
        raise DiskError(f"the demo writes into the current folder, and {folder} cannot be written ({why})", "cd to a folder of yours")


def _must_be_alone(engine: Engine, sweep: str, shown: str) -> None:
    """The demo's worker takes whatever is queued, so nobody else's jobs may be."""
    from nftlab import store

    others = {job.sweep for state in store.OPEN for job in store.jobs(engine, state=state)} - {sweep}
    if others:
        raise UsageError(
            f"{shown} holds unfinished jobs of {', '.join(sorted(others))}", "run the demo in an empty folder, without NFTLAB_DB"
        )


def _epilogue(files: dict[str, Path], sweep: str) -> None:
    tracked = Path(os.environ.get("WANDB_DIR") or os.environ.get("NFTLAB_RUNS") or "runs") / "wandb"
    if "html" in files:
        say(f"page with curves: {files['html'].absolute()}")
    if tracked.is_dir():
        say(f"W&B runs: {tracked.absolute()} (wandb leet {tracked} shows them here in the terminal)")
    say("\n".join(["next:", *(f"  {line.format(sweep=sweep, report=REPORT)}" for line in NEXT)]))
