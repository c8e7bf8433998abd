"""`nftlab worker`: claim jobs, train them, record them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nftlab.cli.options import Db


def worker(
    drain: Annotated[bool, typer.Option("--drain", help="Leave when nothing is queued, backing off or running.")] = False,
    drain_now: Annotated[bool, typer.Option("--drain-now", help="Leave when nothing can be claimed now.")] = False,
    max_jobs: Annotated[int | None, typer.Option("--max-jobs", min=1, metavar="N", help="Leave after N jobs.")] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="D", help="auto, cpu, cuda or cuda:N; default auto.")] = None,
    pack: Annotated[str | None, typer.Option("--pack", metavar="K", help="Most jobs to train as one program; default auto.")] = None,
    lease: Annotated[
        float | None,
        typer.Option(
            "--lease", metavar="S", envvar="NFTLAB_LEASE", help="Seconds without a sign of life until others take the jobs; default 60."
        ),
    ] = None,
    stalled_after: Annotated[
        float | None,
        typer.Option(
            "--stalled-after", metavar="S", help="Seconds without progress that are a hang; default 600, or five epochs if longer."
        ),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="DIR", envvar="NFTLAB_RUNS", help="Checkpoints and W&B files; default ./runs.")
    ] = None,
    no_wandb: Annotated[bool, typer.Option("--no-wandb", help="Do not mirror curves to Weights & Biases.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse jobs that were launched from other code.")] = False,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Repeat to the same bits on CUDA too; slower.")] = False,
    db: Db = None,
) -> None:
    """Train jobs until told to stop.

    Ctrl-C, SIGTERM and SIGUSR1 finish the epoch and hand the jobs back; a second Ctrl-C stops at once.
    """
    from nftlab.worker import WorkerOptions, run_worker

    given: dict[str, Any] = {
        "max_jobs": max_jobs,
        "device": device,
        "pack": pack,
        "lease": lease,
        "stalled_after": stalled_after,
        "runs": runs,
        "track": "none" if no_wandb else None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}  # the rest are the worker's own defaults
    options = WorkerOptions(db=db, drain=drain, drain_now=drain_now, strict=strict, deterministic=deterministic, **chosen)
    raise typer.Exit(run_worker(options))
