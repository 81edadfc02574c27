"""Our words as frozen dataclasses and enums, and the state machine of a rollout. No I/O, no clock, no random."""
