"""What goes wrong with a database, told in one line with the command that mends it."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

from sqlalchemy.engine import URL, ExceptionContext

from nftlab.errors import DatabaseError, NftlabError, OutageError, UsageError
from nftlab.store.url import shown

_KINDS = ("", "ALL TABLES IN ", "ALL SEQUENCES IN ")
_ELSEWHERE = "or name another database with --db or NFTLAB_DB"
# What a server says that refuses us for good. The driver has no code for it while it connects; in another language it passes for an outage.
_REFUSED = re.compile(r'authentication failed|no password supplied|pg_hba\.conf|(role|database) "[^"]*" does not exist|permission denied')


def locked(error: BaseException | None) -> bool:
    """Whether another process holds SQLite's write lock, so that trying again helps."""
    return isinstance(error, sqlite3.OperationalError) and _primary(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def identity(file: str) -> tuple[int, int] | None:
    """Which file a name means now; None: none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def vanished(file: str) -> OutageError:
    """A SQLite file was deleted, moved or replaced: an open connection would write into nothing without a word."""
    return OutageError(f"{file} is gone or another file than before", f"put it back, {_ELSEWHERE}")


def translate(url: URL, error: BaseException | None) -> NftlabError | None:
    """The error a user can act on, or None when the failure is a bug of ours (wrong SQL, broken constraint)."""
    if isinstance(error, sqlite3.Error):
        return _sqlite(Path(str(url.database)), error)
    return _postgres(url, error)


def on_error(context: ExceptionContext) -> NftlabError | None:
    """SQLAlchemy's hook: what it raises instead of its own wrapping of a driver's error."""
    engine = context.engine
    return translate(engine.url, context.original_exception) if engine is not None else None


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits only say where it happened


def _sqlite(path: Path, error: sqlite3.Error) -> NftlabError | None:
    code = _primary(error)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return OutageError(f"cannot write {path}: {error}", f"free space (df -h {path.parent}), then start again: nothing recorded is lost")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return DatabaseError(f"cannot open {path} for writing: {error}", f"chmod -R u+w {path.parent} (as its owner) {_ELSEWHERE}")
    if code == sqlite3.SQLITE_NOTADB:
        return DatabaseError(f"{path} is not a SQLite database", f"move it away {_ELSEWHERE}")
    if code == sqlite3.SQLITE_CORRUPT:
        return DatabaseError(f"{path} is damaged: {error}", f"sqlite3 {path} .recover | sqlite3 {path}.mended saves what can be read")
    if locked(error):
        return OutageError(f"{path} stayed locked by another process", f"find it with fuser {path}, or use Postgres for many workers")
    return None


def _postgres(url: URL, error: BaseException | None) -> NftlabError | None:
    import psycopg

    where, line = shown(url), " ".join(str(error).split())[:300]
    if isinstance(error, psycopg.errors.DiskFull):
        return OutageError(f"{where}: {line}", "free space on the server's disk, then start again")
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return OutageError(
            f"{where}: rows stayed locked by another session",
            "pg_stat_activity shows whose: wait for it, or end it with pg_terminate_backend",
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return OutageError(f"cannot write {where}: {line}", "wait for the end of a failover, or name the server that may be written to")
    if isinstance(error, psycopg.errors.QueryCanceled):
        return OutageError(
            f"{where}: {line}", f"ALTER ROLE {url.username or 'the user'} SET statement_timeout = 0, or see what is slow there"
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        rights = [f"GRANT ALL ON {what}SCHEMA public TO {url.username or 'the user'};" for what in _KINDS]
        return DatabaseError(f"no right to use {where}: {line}", f"as its owner: {' '.join(rights)} {_ELSEWHERE}")
    if isinstance(error, psycopg.errors.DuplicatePreparedStatement | psycopg.errors.InvalidSqlStatementName):
        return DatabaseError(f"{where}: {line}", "behind pgbouncer nftlab needs pool_mode = session; or connect to the server itself")
    if isinstance(error, psycopg.OperationalError | psycopg.errors.IdleInTransactionSessionTimeout):
        kind = DatabaseError if _REFUSED.search(line) else OutageError
        return kind(f"cannot reach {where}: {line}", f"start the server or create the database (createdb) {_ELSEWHERE}")
    if isinstance(error, psycopg.ProgrammingError) and "connection option" in line:
        bare = shown(url.set(query={}))  # what is no parameter may be a password
        return UsageError(f"{bare}: {line}", "what may stand behind the ? are libpq's parameters, such as passfile=FILE")
    return None
