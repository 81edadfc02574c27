"""Real S3 stores for tests: the shared cluster's, or whatever AWS_ENDPOINT_URL names; each test gets a prefix of its own."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "SLUICEGATE_TEST_BUCKET"
"""Bucket for tests where it is not the shared cluster's `sluicegate`."""


@contextmanager
def s3_prefix(part: str) -> Iterator[str]:
    """A fresh URL in the store that AWS_* name; everything below it is removed afterwards."""
    import s3fs

    place = f"{os.environ.get(BUCKET, 'sluicegate')}/tests/{part}-{uuid.uuid4().hex[:12]}"
    try:
        yield f"s3://{place}"
    finally:
        store = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
        if store.exists(place):
            store.rm(place, recursive=True)
