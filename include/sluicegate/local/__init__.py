"""The local stack: which processes make up an installation on one machine, under supervisord, everything on loopback.

programs.py   settings → the programs and their environment (pure)
secrets.py    what is generated on the first start, readable by its owner alone
survivors.py  processes that lost their supervisor
stack.py      up, down, status: idempotent; `python -m sluicegate.local VERB`
"""
