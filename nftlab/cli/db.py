"""`nftlab db`: the job table's schema and upkeep."""

from __future__ import annotations

import typer

from nftlab.cli import upkeep
from nftlab.cli.options import Db
from nftlab.cli.output import emit, masked

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Upgrade, check and back up the job table; remove old checkpoints.")


@app.command()
def upgrade(db: Db = None) -> None:
    """Bring the database to this nftlab's schema; makes it if need be."""
    from nftlab import store

    url = db or store.default_url()
    before, after = store.upgrade(url)
    emit(f"{masked(url)}: schema {after}" + ("" if before == after else f", was {before or 'empty'}"))


app.command()(upkeep.check)
app.command()(upkeep.backup)
app.command()(upkeep.prune)
