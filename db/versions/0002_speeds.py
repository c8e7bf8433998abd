"""What workers remember about how fast a configuration trains on a device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "speeds",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("cost_key", sa.Text(), nullable=False),
        sa.Column("lanes", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("seen", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("device", "cost_key", "lanes", "way", "seen"),
        sqlite_with_rowid=False,
    )
