"""`nftlab db`: the job table's schema and upkeep, and a server for a lab that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nftlab.cli import upkeep
from nftlab.cli.database import shown
from nftlab.cli.options import Db
from nftlab.cli.output import emit, say

_HELP = "Upgrade, check, back up and copy the job table; remove old checkpoints; serve a Postgres."

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=_HELP)


@app.command()
def upgrade(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Also while workers of the older schema hold jobs.")] = False,
    db: Db = None,
) -> None:
    """Bring the database to this nftlab's schema; makes it if need be."""
    from nftlab import store

    before, after = store.upgrade(db, regardless=yes)
    emit(f"{shown(db)}: schema {after}" + ("" if before == after else f", was {before or 'empty'}"))


app.command()(upkeep.check)
app.command()(upkeep.backup)
app.command()(upkeep.copy)
app.command()(upkeep.prune)


@app.command()
def serve(
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the data are kept: on a local disk.")] = Path("db/postgres"),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, metavar="P", help="The port to listen at.")] = 5432,
    host: Annotated[
        str, typer.Option("--host", metavar="H", help="The address to listen at; 0.0.0.0 lets in every machine that has the password.")
    ] = "localhost",
) -> None:
    """Run a Postgres server for the job table until Ctrl-C; print its URL.

    The password is made at the first start and lies in DIR/passfile, which the URL names: other machines need a copy of that file.
    """
    from nftlab.store import serve

    serve.serve(folder, host=host, port=port, ready=emit, say=say)
    say("stopped")
