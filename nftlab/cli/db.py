"""`nftlab db`: the job table's schema, and a server for a lab that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nftlab.cli.options import Db
from nftlab.cli.output import emit, masked, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check and upgrade the job table's schema, serve a Postgres.")


@app.command()
def upgrade(db: Db = None) -> None:
    """Bring the database to this nftlab's schema; makes it if need be."""
    from nftlab import store

    url = db or store.default_url()
    before, after = store.upgrade(url)
    emit(f"{masked(url)}: schema {after}" + ("" if before == after else f", was {before or 'empty'}"))


@app.command()
def check(db: Db = None) -> None:
    """Say whether the database can be used; exit 78 if it has another schema, 69 if it cannot be reached."""
    from nftlab import store

    url = db or store.default_url()
    if store.open_db(url, create=False) is None:
        say(f"{masked(url)}: not there yet, the first launch makes it")
    else:
        emit(f"{masked(url)}: ready")


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
