"""What Alembic runs around the migrations: it hands them the server's own connection."""

from alembic import context

from flight_server.metastore.tables import metadata

# SQLite alters a table only by copying it, which Alembic calls a batch. Its DDL is transactional
# here, since the metastore begins its transactions itself.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
