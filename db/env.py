"""Alembic's entry: runs migrations on the connection that `nftlab.store.engine` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from nftlab.store.tables import VERSION_TABLE, metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
