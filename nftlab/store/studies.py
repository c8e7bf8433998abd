"""Optuna's tables in our database, by reflection: Optuna takes a second to load and commits what it changes bit by bit."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, MetaData, Table, inspect, or_, select, text

_OURS = re.compile(r"studies|trials|(study|trial)_\w+")  # but for what Optuna notes of its own version


def study_tables(connection: Connection) -> list[Table]:
    """Optuna's tables, each behind those that its rows refer to; [] where nothing was ever proposed."""
    if not inspect(connection).has_table("studies"):
        return []
    found = MetaData()
    found.reflect(connection, only=lambda name, _: bool(_OURS.fullmatch(name)))
    return found.sorted_tables


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


def forget_study(connection: Connection, name: str) -> None:
    """Delete a study with its trials and all that hangs on them; of no effect if there is none of that name."""
    doomed: dict[FromClause, ColumnElement[bool]] = {}
    found = study_tables(connection)
    for table in found:
        above = (link.parent.in_(select(link.column).where(doomed[link.column.table])) for link in table.foreign_keys)
        doomed[table] = table.c.study_name == name if table.name == "studies" else or_(*above)
    for table in reversed(found):
        connection.execute(table.delete().where(doomed[table]))
