"""`nftlab worker`: claim jobs, train them, record them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.cli.database import to_work
from nftlab.cli.options import Db
from nftlab.errors import NftlabError

if TYPE_CHECKING:
    from nftlab.worker import WorkerOptions


def worker(
    drain: Annotated[bool, typer.Option("--drain", help="Leave when nothing is queued, backing off or running.")] = False,
    drain_now: Annotated[bool, typer.Option("--drain-now", help="Leave when nothing can be claimed now.")] = False,
    max_jobs: Annotated[int | None, typer.Option("--max-jobs", min=1, metavar="N", help="Leave after N jobs.")] = None,
    device: Annotated[
        str,
        typer.Option("--device", metavar="D", help="auto, cpu, cuda, cuda:N; all, or a list such as cuda:0,cuda:1, is a worker for each."),
    ] = "auto",
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
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="T", help="Work so long (20h, 1.5h, 90m, 3600s), then hand the jobs back.")
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option("--patience", metavar="S", help="Seconds to wait for a lost database with nothing left to train; default 600."),
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

    Ctrl-C, SIGTERM, SIGUSR1 and the end of the budget finish the epoch and hand the jobs back; a second Ctrl-C stops at once.
    Several workers share the cores and leave together, with the most serious of their exit codes.
    """
    given = locals()  # the options above, by their names
    from nftlab.worker import check_crew, devices, run_crew, run_worker

    del given["device"]
    options = asked(**given)
    crew = [replace(options, device=name) for name in devices(device)]
    check_crew(crew)
    to_work(db)[0].dispose()  # each worker opens its own; here it is made, and that is said, once for all
    raise typer.Exit(run_worker(crew[0]) if len(crew) == 1 else run_crew(crew, _member))


def asked(*, budget: str | None, no_wandb: bool, **given: Any) -> WorkerOptions:
    """What a worker is told by the options of the command line, all but `--device`; those that are None are left to its own defaults.

    Raises UsageError for what does not go together.
    """
    from nftlab.worker import WorkerOptions
    from nftlab.worker.budget import seconds

    given |= {"budget": None if budget is None else seconds(budget), "track": "none" if no_wandb else None}
    return WorkerOptions(**{name: value for name, value in given.items() if value is not None})


def check(context: typer.Context, words: Sequence[str], *, processes: int) -> None:
    """Raises what `nftlab worker` itself would for these words on a machine where --device all means so many `processes`."""
    from nftlab.worker import check_crew, named

    probe = typer.Typer()
    probe.command("worker")(worker)
    found = typer.main.get_command(probe).make_context("nftlab worker", list(words), parent=context).params
    device = found.pop("device")
    options = asked(**found)
    check_crew([replace(options, device=name) for name in (["auto"] * processes if device == "all" else named(device))])


def _member(options: WorkerOptions) -> int:
    """A worker of several, in its own process: what ends it is told there."""
    from nftlab.cli import complain
    from nftlab.worker import run_worker

    try:
        return run_worker(options)
    except NftlabError as error:
        complain(error)
        return error.exit_code
