"""Our errors → how a task ends: tried again when an outside thing does not answer, failed at once with one sentence otherwise."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowFailException

from sluicegate.errors import PausedError, SluicegateError, UnavailableError

POLICY = ExceptionRetryPolicy(
    rules=[RetryRule(exception="sluicegate.errors.UnavailableError", action=RetryAction.RETRY)], default=RetryAction.FAIL
)
"""A task that was killed from outside raises nothing and is retried by its `retries` alone: every task here may be repeated."""

RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=2),
    "retry_policy": POLICY,
}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """End the task with the sentence of our error instead of a stack trace, unless trying again, or waiting, may help."""
    try:
        yield
    except (UnavailableError, PausedError):
        raise
    except SluicegateError as e:
        raise AirflowFailException(f"{type(e).__name__}: {e}") from None
