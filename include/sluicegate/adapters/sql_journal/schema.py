"""The tables as this version of the code wants them."""

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text

VERSION = "0003"
"""The newest migration."""

META = MetaData()
EVENTS = Table(
    "events",
    META,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("model", String(64), nullable=False),
    Column("rollout", String(64), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("author", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("ix_events_model_kind", "model", "kind", "number"),  # who is champion is asked at every look, among very much evidence
)
LOCKS = Table(
    "locks",
    META,
    Column("model", String(64), primary_key=True),
    Column("holder", String(200)),
    Column("token", Integer, nullable=False),
    Column("seal", String(64), nullable=False),
)
HEAD = Table(
    "head",
    META,
    Column("place", Integer, primary_key=True, autoincrement=False),  # 1: there is one head
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
)
