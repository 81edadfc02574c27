"""A model's two files on their way to the pods that work with them: models/<digest>/{spec.yaml,features.py}.

Pods work with what Airflow has, so a change of a model needs no new image. A pod is told the digest by whoever starts it: to write into
the store is not enough to give it other code.
"""

import hashlib
from pathlib import Path

from sluicegate.adapters.object_store.objects import Objects
from sluicegate.errors import OrderError, SpecError
from sluicegate.folders import child

FILES = ("spec.yaml", "features.py")


class ObjectSources:
    """Sends the models of one folder, and fetches them elsewhere."""

    def __init__(self, objects: Objects, models: Path) -> None:
        self._objects, self._models = objects, models

    def send(self, model: str) -> str:
        """Bring the model's files to the store; returns their digest. Sending again changes nothing."""
        folder = child(self._models, model)
        try:
            files = [(folder / name).read_bytes() for name in FILES]
        except OSError as e:
            raise SpecError(f"{model} cannot be read ({e}): a model is a folder with {' and '.join(FILES)}") from e
        known = _digest(files)
        for name, content in zip(FILES, files, strict=True):
            self._objects.create(_place(known, name), content)
        return known

    def fetch(self, digest: str, model: str) -> None:
        """Make the files of this digest the model's; OrderError when the store has other bytes, or none."""
        files = [self._objects.read(_place(digest, name)) for name in FILES]
        found = [content for content in files if content is not None]
        if len(found) < len(files) or _digest(found) != digest:
            raise OrderError(
                f"{self._objects.url}/models/{digest} is not the model '{model}' that was sent: clear the task, which sends it again"
            )
        folder = child(self._models, model)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(FILES, found, strict=True):
            (folder / name).write_bytes(content)


def _digest(files: list[bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in files)).hexdigest()


def _place(digest: str, name: str) -> str:
    return f"models/{child(Path(), digest)}/{name}"
