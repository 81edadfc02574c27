"""What Alembic runs: the migrations, on the connection and in the transaction that the journal gives it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
