"""What Alembic runs for each command: `services.engine.migrate` gives it the connection."""

from typing import Any

from alembic import context

from services.engine.schema import METADATA

untyped: Any = context
untyped.configure(connection=untyped.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
with untyped.begin_transaction():
    untyped.run_migrations()
