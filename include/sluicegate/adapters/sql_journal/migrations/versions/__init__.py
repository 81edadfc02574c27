"""One file a migration, in the order of their numbers. A migration that has landed is never edited."""
