"""Which judge it was: a verdict comes out again under the code that gave it, and other code is named instead of suspected."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import scipy

import sluicegate

PARTS = ("gates/**/*.py", "stats/**/*.py", "domain/evidence.py", "domain/spec.py", "domain/verdict.py")
"""What a verdict is made by, besides numpy and scipy."""


@cache
def judge_code() -> str:
    """8 hex digits over the sources that a verdict depends on, and the versions of the libraries under them."""
    root = Path(sluicegate.__file__).parent
    seen = hashlib.sha256(f"{np.__version__} {scipy.__version__}".encode())
    for path in sorted(path for part in PARTS for path in root.glob(part)):
        seen.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()[:8]
