"""The database's URL: what a user writes, and what may be shown of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from nftlab.errors import UsageError

_HOW = "write sqlite:///PATH or postgresql://USER@HOST/NAME"
# What is meant as a URL, or as libpq's KEY=VALUE, rather than as a file's name: a slip of the pen in a URL with a password must not
# become the name of a file. sqlite:///PATH and ./PATH still reach a file of any name.
_NEARLY = re.compile(r"postgres.*(:|@|//)|[\w+]+:/|\s*\w+\s*=|(//)?[^/]+:.*@", re.IGNORECASE | re.DOTALL)
_ONE_AT = re.compile(r"[\w+]+://(?:[^:/]*(?::[^@]*)?@)?+[^@?]*(?:\?.*)?", re.DOTALL)  # as SQLAlchemy reads it, no @ in host and name
# libpq's parameters but for passwords, and SQLite's: any other may be a password to whoever wrote it
_SHOWN = """
host hostaddr port dbname user passfile service servicefile options application_name fallback_application_name client_encoding
connect_timeout tcp_user_timeout keepalives keepalives_idle keepalives_interval keepalives_count target_session_attrs
load_balance_hosts sslmode sslnegotiation sslcert sslkey sslrootcert sslcrl sslcrldir sslsni ssl_min_protocol_version
ssl_max_protocol_version channel_binding require_auth requirepeer gssencmode krbsrvname gsslib mode cache uri timeout
"""


def default_url() -> str:
    """NFTLAB_DB, else the SQLite file db/nftlab.sqlite in the current folder."""
    return os.environ.get("NFTLAB_DB") or f"sqlite:///{Path.cwd() / 'db' / 'nftlab.sqlite'}"


def parse(url: str | None) -> URL:
    """A SQLite or Postgres URL with our drivers, from what a user writes; None: `default_url()`.

    Raises UsageError for anything else, and shows of it what can be shown for sure.
    """
    written = url or default_url()
    if "://" not in written and not _NEARLY.match(written):
        written = f"sqlite:///{written}"
    try:
        parsed = make_url(written)
    except (ArgumentError, ValueError):  # no URL; no number where a port is
        raise UsageError("this is no URL of a database, and it is not shown: it may hold a password", _HOW) from None
    kind, in_file = parsed.get_backend_name(), parsed.host is None and parsed.username is None
    if kind == "sqlite" and in_file and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite", database=str(Path(parsed.database).expanduser().absolute()))
    if not _ONE_AT.fullmatch(written):
        raise UsageError("the database's URL has an @ behind the one that ends the password", f"write @ in a password as %40; {_HOW}")
    if kind in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    # the URL last: what masks passwords takes all from a port in it to the last @ of the text
    raise UsageError("the job table is a SQLite file or a Postgres database", f"{_HOW}, not {shown(parsed)}")


def shown(url: str | URL | None) -> str:
    """The database's URL as messages print it: no password, no driver."""
    url = url if isinstance(url, URL) else parse(url)
    url = url.set(drivername=url.get_backend_name()).update_query_dict(dict.fromkeys(secret_keys(url), "***"))
    return url.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def secret_keys(url: URL) -> list[str]:
    """The parameters behind the ? that are passwords, or may be: no driver knows them."""
    return [name for name in url.query if name not in _SHOWN.split()]
