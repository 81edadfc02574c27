"""Migrations of the journal's schema, run by `database.upgrade`; each in the same transaction as the check that it is due."""
