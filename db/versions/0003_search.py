"""Sweeps that can be paused and stopped, what samplers proposed for them, and the code that attempts ran."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("sweeps", sa.Column("state", sa.Text(), nullable=False, server_default="active"))
    op.add_column("sweeps", sa.Column("proposer", sa.Text()))
    op.add_column("sweeps", sa.Column("proposer_until", sa.Double()))
    op.add_column("jobs", sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    for name, columns in (("jobs_head", [sa.text("priority DESC"), "id"]), ("jobs_pack", ["pack_key", sa.text("priority DESC"), "id"])):
        where = sa.text("state = 'queued' AND NOT paused")
        op.drop_index(name, "jobs")
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "proposals",
        sa.Column("sweep", sa.Text(), sa.ForeignKey("sweeps.name"), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trial_key", sa.Text(), nullable=False),
        sa.Column("told", sa.Text()),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sweep", "number"),
        sa.UniqueConstraint("sweep", "trial_key", name="proposals_once"),
    )
    op.create_table(
        "snapshots",
        sa.Column("sha", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
