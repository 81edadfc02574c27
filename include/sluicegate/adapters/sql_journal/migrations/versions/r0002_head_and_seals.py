"""The head says which event is the last, a seal covers a lock: so a lost end and an altered token are found."""

import sqlalchemy as sa
from alembic import op

from sluicegate.domain.chain import seal

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    db = op.get_bind()
    op.create_table(
        "head",
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    db.execute(
        sa.text(
            "INSERT INTO head (place, number, digest) SELECT 1, number, digest FROM events"
            " WHERE number = (SELECT max(number) FROM events)"
        )
    )
    op.add_column("locks", sa.Column("seal", sa.String(64), nullable=False, server_default=""))
    for model, holder, token in db.execute(sa.text("SELECT model, holder, token FROM locks")).all():
        values = {"model": model, "seal": seal(model, holder, token)}
        db.execute(sa.text("UPDATE locks SET seal = :seal WHERE model = :model"), values)
