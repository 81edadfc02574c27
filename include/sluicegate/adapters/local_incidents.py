"""Incidents as JSON files under `incidents/<model>/`; told in the log and, when a URL is set, to an HTTP receiver (webhook)."""

import json
import logging
import os
import re
import urllib.error
import urllib.request

from sluicegate.domain.notice import Notice
from sluicegate.errors import InputError, UnavailableError
from sluicegate.settings import Settings

ANSWER_WITHIN_S = 5.0
"""How long a receiver may take; whoever tells it waits as long."""
LOG = logging.getLogger("sluicegate.incidents")
_PLAIN = re.compile(r"[A-Za-z0-9_]{1,64}")


class LocalIncidents:
    """Implements the Incidents port."""

    def __init__(self, settings: Settings) -> None:
        self._folder, self._url = settings.incidents, settings.notify_url

    def record(self, notice: Notice) -> str:
        if not _PLAIN.fullmatch(notice.model) or not _PLAIN.fullmatch(notice.rollout or "none"):
            raise InputError(
                f"'{notice.model}' and '{notice.rollout}' cannot name an incident: letters, digits and underscores can"
            )
        path = self._folder / notice.model / f"{notice.key}.json"
        draft = path.with_suffix(f".{os.getpid()}.draft")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(notice.to_dict(), file, indent=1, default=str)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as e:
            raise UnavailableError(f"the incident cannot be written to {path} ({e}): make room there") from e
        return str(path)

    def tell(self, notice: Notice) -> None:
        body = json.dumps(notice.to_dict(), default=str)
        LOG.warning(body)
        if not self._url:
            return
        headers = {"content-type": "application/json", "idempotency-key": notice.key}
        request = urllib.request.Request(self._url, data=body.encode(), headers=headers, method="POST")  # noqa: S310 - checked in settings
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S):  # noqa: S310
                return
        except OSError as e:  # a refusal (4xx, 5xx), no connection, or too late
            raise UnavailableError(f"the receiver at SLUICEGATE_NOTIFY_URL did not take '{notice.key}': {e}") from e
