"""The text of a spec.yaml → plain values. A spec is small, flat and without aliases; what is not is refused before it costs anything."""

from typing import Any

import yaml

from sluicegate.errors import SpecError

MOST = 256 * 1024
"""Bytes of a spec.yaml."""
DEEPEST = 20
"""Levels of nesting; ours has four."""


def parse_yaml(content: bytes, where: str) -> Any:
    """The document in `content`; SpecError when it is no YAML, too large, too deep, or holds aliases.

    Aliases are refused because a few lines of them stand for gigabytes.
    """
    if len(content) > MOST:
        raise SpecError(f"{where}: has {len(content)} bytes, at most {MOST} are read: keep data out of the spec")
    try:
        _refuse_costly(content, where)
        return yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as e:  # ValueError: a date such as 2023-13-45, or bytes that are no text
        raise SpecError(f"{where}: is not YAML: {' '.join(str(e).split())[:500]}") from e


def _refuse_costly(content: bytes, where: str) -> None:
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise SpecError(f"{where}: uses the alias '*{str(event.anchor)[:40]}': write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise SpecError(f"{where}: is nested deeper than {DEEPEST} levels: a spec is flat")
