"""Inputs that nobody should send, seeded. `make hostile` sends them to the real things.

strings   → names and texts that want to leave their place
requests  → bytes for an HTTP port: broken, contradictory, oversized, or well-formed nonsense
wire      → how they are sent, and what came back
batches   → label files in every format, broken or full of nonsense
specs     → spec.yaml files that are none
"""
