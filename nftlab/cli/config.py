"""`nftlab config`: what is set, and where that comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from nftlab.cli.database import shown
from nftlab.cli.options import Db, Json
from nftlab.cli.output import emit_json, table
from nftlab.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What is set, and where that comes from.")
SOURCES = {"COMMANDLINE": "option", "ENVIRONMENT": "environment"}


@app.command()
def show(
    context: typer.Context,
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", envvar="NFTLAB_RUNS", help="Checkpoints and W&B files.")] = Path("runs"),
    lease: Annotated[float, typer.Option("--lease", metavar="S", envvar="NFTLAB_LEASE", help="Seconds a claim lives.")] = 60.0,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Show the settings that commands here would use, passwords masked."""
    from nftlab.track.wandb import PROJECT

    rows: list[dict[str, Any]] = [
        _row("db", _database(db), "NFTLAB_DB", _source(context, "db")),
        _row("runs", str(runs.absolute()), "NFTLAB_RUNS", _source(context, "runs")),
        _row("lease", lease, "NFTLAB_LEASE", _source(context, "lease")),
        _row("data", os.environ.get("NFTLAB_DATA") or "your cache folder", "NFTLAB_DATA", _environment("NFTLAB_DATA")),
        _row("wandb", _wandb(), "WANDB_MODE", _environment("WANDB_MODE")),
        _row(
            "wandb project",
            os.environ.get("WANDB_PROJECT") or f"of the sweep's file, else {PROJECT}",
            "WANDB_PROJECT",
            _environment("WANDB_PROJECT"),
        ),
    ]
    if as_json:
        return emit_json(rows)
    table(["setting", "value", "variable", "from"], [list(row.values()) for row in rows])


def _database(db: str | None) -> str:
    """The URL as it may be shown; of what is none, and what every other command refuses, nothing is."""
    try:
        return shown(db)
    except UsageError:
        return "*** (no URL of a database)"


def _row(setting: str, value: Any, variable: str, source: str) -> dict[str, Any]:
    return {"setting": setting, "value": value, "variable": variable, "from": source}


def _source(context: typer.Context, option: str) -> str:
    source = context.get_parameter_source(option)
    return SOURCES.get(source.name, "default") if source else "default"


def _environment(variable: str) -> str:
    return "environment" if os.environ.get(variable) else "default"


def _wandb() -> str:
    from nftlab.track.wandb import has_key

    return os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")
