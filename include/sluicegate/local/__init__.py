"""The local stack: which processes make up an installation on one machine, under supervisord, everything on loopback.

programs.py   settings → the programs and their environment (pure)
secrets.py    what is generated on the first start, readable by its owner alone
alone.py      a program that ends what its killed predecessor left, before it begins
survivors.py  processes that lost their supervisor
stack.py      up, down, status: idempotent; `python -m sluicegate.local VERB`
"""
