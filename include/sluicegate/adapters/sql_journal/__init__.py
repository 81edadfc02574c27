"""The journal in a SQL database through SQLAlchemy: SQLite by default, PostgreSQL by connection string.

Every write runs in one serialised transaction (BEGIN IMMEDIATE on SQLite, a table lock on PostgreSQL), so that numbers have no
gaps and the chain never forks. The schema is brought up to date on the first connection, by the migrations beside this file.
"""

from sluicegate.adapters.sql_journal.archive import SqlArchive
from sluicegate.adapters.sql_journal.journal import SqlJournal

__all__ = ["SqlArchive", "SqlJournal"]
