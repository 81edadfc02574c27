"""A model that is written wrongly stands in Airflow's import errors with what to mend; its neighbours are there."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.stack.conftest import Stack

pytestmark = pytest.mark.stack


@pytest.fixture
def told(stack: "Stack") -> str:
    """The import errors as a person reads them."""
    found = stack.until("an import error", lambda: stack.api("GET", "/importErrors").json()["import_errors"])
    assert [error["filename"] for error in found] == ["refused_models.py"]
    return str(found[0]["stack_trace"])


def test_the_error_names_file_key_value_and_what_would_be_valid(told: str) -> None:
    assert "broken/spec.yaml: " in told
    assert "unknown key 'sheduler' (value {})" in told
    assert "schedule" in told.split("valid keys here are", 1)[1]


def test_every_mistake_is_told_at_once(told: str) -> None:
    assert "'release.stages'" in told
    assert "the weights [50, 25, 100] do not grow" in told


def test_the_models_beside_it_have_all_their_dags(stack: "Stack") -> None:
    def dags() -> set[str]:
        return {str(d["dag_id"]) for d in stack.api("GET", "/dags?limit=100").json()["dags"]}

    wanted = {
        f"{model}_{verb}" for model in ("visits", "by_cron", "by_hand") for verb in ("ingest", "retrain", "release", "operate")
    }
    stack.until("the Dags", lambda: wanted <= dags(), 60)
    assert dags() == wanted
