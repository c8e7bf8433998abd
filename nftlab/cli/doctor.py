"""`nftlab doctor`: what is missing on this machine, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from nftlab.cli.options import Db, Json
from nftlab.cli.output import emit, emit_json, printable
from nftlab.harmless import masked


def doctor(
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", envvar="NFTLAB_RUNS", help="The workers' checkpoints.")] = Path("runs"),
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Check this machine; exit 1 if it needs mending."""
    from nftlab.doctor import examine

    checks = []
    for check in examine(db, runs):
        check = replace(check, found=masked(check.found), mend=masked(check.mend))
        checks.append(check)
        if not as_json:
            emit(printable(f"{check.status:<4}  {check.name:<8}  {check.found}"))
            if check.mend:
                emit(printable(f"{'':16}→ {check.mend}"))
    failed = any(check.status == "fail" for check in checks)
    if as_json:
        emit_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    if failed:
        raise typer.Exit(1)
