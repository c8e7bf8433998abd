"""A copy of a SQLite job table while workers go on writing to it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from nftlab.errors import DatabaseError, DiskError, UsageError
from nftlab.store.session import translated
from nftlab.store.url import secret_keys, shown

_PAGES = 1000  # copied between two looks at the progress: 4 MB


def backup(engine: Engine, out: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Copy a SQLite table as it is now to `out`, whole or not at all; returns its bytes. `progress` hears the pages copied and all pages.

    Raises UsageError when `out` exists, DiskError when it cannot be written, DatabaseError when the copy is damaged.
    """
    if out.exists():
        raise UsageError(f"{out} is there already", "name another file")
    aside = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside.touch(exist_ok=False)  # ours, no link that somebody left
        _copy(engine, aside, progress)
        os.link(aside, out)  # unlike a rename it does not replace what another process put there meanwhile
        return out.stat().st_size
    except OSError as error:
        raise DiskError(f"{out} cannot be written: {error.strerror or error}", "name a file on another disk") from error
    finally:
        for left in (aside, *(aside.with_name(aside.name + end) for end in ("-wal", "-shm", "-journal"))):
            with contextlib.suppress(OSError):
                left.unlink()


def dump_command(engine: Engine, out: Path) -> str:
    """The command that backs a Postgres table up; it asks for the password, or reads it from PGPASSWORD or ~/.pgpass."""
    url = engine.url.difference_update_query(secret_keys(engine.url))
    open_url = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
    return f"pg_dump --format=custom --file={shlex.quote(str(out))} {shlex.quote(shown(open_url))}"


def _copy(engine: Engine, aside: Path, progress: Callable[[int, int], None]) -> None:
    connection = engine.raw_connection()
    try:
        source: Any = connection.dbapi_connection
        with translated(engine.url.set(database=str(aside))), contextlib.closing(sqlite3.connect(aside)) as target:
            # Within a transaction that reads, the copy is of one moment; else every write of a worker would start it over.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(target, pages=_PAGES, progress=lambda status, left, total: progress(total - left, total))
            target.execute("PRAGMA journal_mode = DELETE")  # one file, no log beside it
            if (found := target.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
                raise DatabaseError(f"the copy is damaged: {found}", "nftlab db check tells about the job table itself")
    finally:
        connection.close()  # which ends the transaction
