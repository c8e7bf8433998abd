"""Opening the job table for a command."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from nftlab.cli.output import say
from nftlab.harmless import masked

if TYPE_CHECKING:
    from sqlalchemy import Engine


def to_read(db: str | None) -> Engine | None:
    """The job table; None, which is said, where there is none yet: reading creates nothing."""
    from nftlab import store

    engine = store.open_db(db, create=False)
    if engine is None:
        say(f"no job table yet at {shown(db)}")
    return engine


def shown(db: str | None) -> str:
    """The job table's URL without its password; that of a SQLite file as it was written, so that it can be typed again.

    Raises UsageError for what is no URL of a database: nobody knows where a password would be in it.
    """
    from nftlab import store

    url, written = store.shown(db), db or store.default_url()
    return masked(written) if url.startswith("sqlite:") else url


def same_table(db: str | None) -> str:
    """The option that lets the next command work on the same table; empty where the environment or the default does."""
    return f" --db {shlex.quote(shown(db))}" if db and db != os.environ.get("NFTLAB_DB") else ""


def to_write(db: str | None) -> tuple[Engine, str]:
    """The job table, made if need be, and its URL as it may be shown."""
    from nftlab import store

    engine = store.open_db(db, create=True)
    assert engine is not None  # it was made if need be
    return engine, shown(db)


def to_work(db: str | None) -> tuple[Engine, str]:
    """`to_write` for workers; that a table was made is said, or a mistyped URL, where nothing was launched, looks like success."""
    from nftlab import store

    if (engine := store.open_db(db, create=False)) is not None:
        return engine, shown(db)
    engine, url = to_write(db)
    say(f"there was no job table yet at {url}, so an empty one is made; nftlab sweep launch FILE{same_table(db)} fills it")
    return engine, url
