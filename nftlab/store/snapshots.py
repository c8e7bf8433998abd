"""Texts that many attempts share, kept once each and named by their hash: uncommitted changes and installed packages."""

from __future__ import annotations

import hashlib

from sqlalchemy import Engine, select

from nftlab.errors import NotFoundError
from nftlab.store.records import storable
from nftlab.store.session import session
from nftlab.store.tables import snapshots


def keep(engine: Engine, kind: str, text: str) -> str:
    """Keep a text of a `kind` ("diff", "packages"), once however many workers bring it; returns the SHA-256 that names it."""
    text = storable(text)
    sha = hashlib.sha256(text.encode()).hexdigest()
    with session(engine) as talk:
        talk.tell("snapshot", [{"sha": sha, "kind": kind, "text": text}])
    return sha


def snapshot(engine: Engine, sha: str) -> str:
    """The text that a hash names. Raises NotFoundError."""
    with engine.connect() as connection:
        text = connection.execute(select(snapshots.c.text).where(snapshots.c.sha == sha)).scalar()
    if text is None:
        raise NotFoundError(f"no snapshot {sha}")
    return str(text)
