"""Optuna's tables in our database, by reflection: Optuna takes a second to load and commits what it changes bit by bit."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, MetaData, Table, false, inspect, or_, select, text

MARK = "nftlab"  # the attribute of a study that is a search's
# Optuna's, but for what it notes of its own version; a shared database may have tables of others whose names are much alike
_THEIRS = re.compile(
    "studies|study_directions|trials|(study|trial)_(user|system)_attributes|trial_(params|values|intermediate_values|heartbeats)"
)


def study_tables(connection: Connection) -> list[Table]:
    """Optuna's tables, each behind those that its rows refer to; [] where nothing was ever proposed."""
    if not inspect(connection).has_table("studies"):
        return []
    found = MetaData()
    found.reflect(connection, only=lambda name, _: bool(_THEIRS.fullmatch(name)))
    return [table for table in found.sorted_tables if _THEIRS.fullmatch(table.name)]


def has_studies(engine: Engine) -> bool:
    """Whether there is a study in the database."""
    with engine.connect() as connection:
        return holds_studies(connection)


def holds_studies(connection: Connection) -> bool:
    """The same within a transaction."""
    return inspect(connection).has_table("studies") and connection.execute(text("SELECT study_id FROM studies LIMIT 1")).first() is not None


def study_version(connection: Connection) -> str | None:
    """Which tables Optuna made, as it names them itself."""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def is_marked(connection: Connection, name: str) -> bool:
    """Whether there is a study of that name that is a search's."""
    if not inspect(connection).has_table("studies"):
        return False
    query = "SELECT 1 FROM studies JOIN study_user_attributes USING (study_id) WHERE study_name = :name AND key = :mark"
    return connection.execute(text(query), {"name": name, "mark": MARK}).first() is not None


def forget_study(connection: Connection, name: str) -> None:
    """Delete a study with its trials and all that hangs on them; of no effect if there is none of that name."""
    doomed: dict[FromClause, ColumnElement[bool]] = {}
    found = study_tables(connection)
    for table in found:
        above = (link.parent.in_(select(link.column).where(doomed[link.column.table])) for link in table.foreign_keys)
        doomed[table] = table.c.study_name == name if table.name == "studies" else or_(false(), *above)
    for table in reversed(found):
        connection.execute(table.delete().where(doomed[table]))
