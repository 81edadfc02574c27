"""Which models there are, and what all their Dags have in common. The only thing that is read when a Dag file is parsed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sluicegate.domain.spec import ModelSpec
from sluicegate.errors import SpecError
from sluicegate.settings import Settings
from sluicegate.wiring import models
from sluicegate_airflow.errors import RETRIES

OWNER = "sluicegate"
START = datetime(2020, 1, 1, tzinfo=UTC)


def valid_models() -> Iterator[ModelSpec]:
    """Specs of all models that are written correctly; the others are `refused_models`."""
    for found in models(Settings.from_environment()).values():
        if isinstance(found, ModelSpec):
            yield found


def refused_models() -> list[str]:
    """One sentence a mistake, for every model whose Dags cannot exist."""
    return [str(found) for found in models(Settings.from_environment()).values() if isinstance(found, SpecError)]


def about(spec: ModelSpec, verb: str, story: str | None) -> dict[str, Any]:
    """Arguments of the Dag `<model>_<verb>`; `story` is the docstring of its file."""
    return {
        "dag_id": f"{spec.model}_{verb}",
        "dag_display_name": f"{spec.model} · {verb}",
        "description": f"{spec.summary or spec.model}: {(story or '').splitlines()[0]}",
        "doc_md": f"**{spec.model}**: {spec.summary}\n\n{story}",
        "start_date": START,
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["sluicegate", spec.model, verb],
        "default_args": {"owner": OWNER, **RETRIES},
    }
