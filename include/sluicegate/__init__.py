"""Sluicegate: keeps a production model fresh without betting the service on it.

Rooms, top to bottom; imports point downwards only (proven by import-linter):

    wiring, __main__      settings -> ready objects; the only files that name adapters
    adapters              one outside thing a file
    actions, serving      the verbs of the loop; the model server
    gates, ports          evidence in, verdict out; what the actions need from outside
    stats, domain         numbers in, numbers out; our words as frozen dataclasses
    settings, errors      where things are; what can go wrong
"""
