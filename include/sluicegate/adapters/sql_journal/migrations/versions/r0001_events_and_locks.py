"""Events in a chain, and a lock a model. A journal from before there were migrations has these tables and is taken as it is."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("events"):
        return
    op.create_table(
        "events",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("model", sa.String(64), nullable=False, index=True),
        sa.Column("rollout", sa.String(64), nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_table(
        "locks",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(200)),
        sa.Column("token", sa.Integer, nullable=False),
    )
