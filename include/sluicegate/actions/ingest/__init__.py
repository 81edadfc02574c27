"""Turns one landed file into a batch: read → check labels → join with what was asked → check inputs → expectations → write.

No row is ever dropped: each is accepted, quarantined with a code and a sentence, or counted as a duplicate.
"""
