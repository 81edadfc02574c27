"""Few events are asked for among very many readings: the index leads to a model's events of one kind."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("ix_events_model_kind", "events", ["model", "kind", "number"])
    op.drop_index("ix_events_model", "events")
