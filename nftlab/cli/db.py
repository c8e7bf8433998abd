"""`nftlab db`: the job table's schema."""

from __future__ import annotations

import typer

from nftlab.cli.options import Db
from nftlab.cli.output import emit, masked, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check and upgrade the job table's schema.")


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
