"""Texts that attempts share."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from nftlab.errors import NotFoundError
from nftlab.store import keep, snapshot
from tests.store.jobtable import sql


def test_a_text_is_kept_once_and_found_by_its_hash(engine: Engine) -> None:
    text = "-ä = '%s'\n+ä = ':x'\n" * 1000
    one, again, other = keep(engine, "diff", text), keep(engine, "diff", text), keep(engine, "packages", "torch==2.11\n")
    assert one == again != other
    assert (snapshot(engine, one), snapshot(engine, other)) == (text, "torch==2.11\n")
    assert [tuple(row) for row in sql(engine, "SELECT kind FROM snapshots ORDER BY kind")] == [("diff",), ("packages",)]
    with pytest.raises(NotFoundError):
        snapshot(engine, "0" * 64)
