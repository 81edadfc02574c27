"""The assignment as a table for gateways that match headers instead of hashing.

The edge writes each request's place on the ring into one header, once; a route then needs no more than a pattern: the places below
`weight * 100`. It is the assignment of `domain.route`, so it is nested in the same way, and a weight of 25 % is the same 25 % of the
users in every gateway.
"""

import xxhash

from sluicegate.domain.route import position

HEADER = "x-sluicegate-bucket"
"""Set at the edge alone; what a client sends under this name is dropped."""


def mark(salt: str) -> str:
    """Names a salt in eight hex digits. A route follows the buckets of its own salt and no others."""
    return f"{xxhash.xxh64_intdigest(salt.encode()):016x}"[:8]


def bucket_header(salt: str, user: str) -> str:
    """What the edge writes for this user, e.g. `6c5bd0d8-0423`."""
    return f"{mark(salt)}-{position(salt, user):04d}"


def anybody(salt: str) -> str:
    """Regular expression for the buckets of all users under this salt."""
    return f"{mark(salt)}-[0-9]{{4}}"


def candidate_pattern(salt: str, weight: int) -> str | None:
    """Regular expression (RE2, matching the whole value) for the buckets of the candidate's users; None when it has none."""
    digits = _below(weight)
    return None if digits is None else f"{mark(salt)}-{digits}"


def _below(weight: int) -> str | None:
    """Four digits whose first two are a number below `weight`."""
    if weight == 0:
        return None
    if weight == 100:
        return "[0-9]{4}"
    tens, ones = divmod(weight, 10)
    choices = []
    if tens:
        choices.append(f"[0-{tens - 1}][0-9]")
    if ones:
        choices.append(f"{tens}[0-{ones - 1}]")
    return f"({'|'.join(choices)})[0-9]{{2}}"
