"""A rollout under every accident at once: the real verbs over the fakes, on a virtual clock, driven by Hypothesis.

actors   → who acts: stopped before every call of a port, killed there, or left waiting while others act
world    → the fakes, what happens to them, and the guard that ticks when time passes
witness  → what must hold; it sees only the calls that took effect and never asks the code under test
work     → what actors do: a whole run, or one verb
rules    → the state machine; `python -m sluicegate.testing.machine --sequences 10000` runs it
"""
