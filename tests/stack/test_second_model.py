"""A second model on another real data set, brought with two files, goes through the same Dags to PROMOTED."""

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from sluicegate.actions.release import champion_version
from sluicegate.domain.rollout import Kind, Outcome

if TYPE_CHECKING:
    from tests.stack.conftest import Second, Stack, Study

pytestmark = pytest.mark.stack
MODEL = "visits"


def test_a_model_is_two_files(stack: "Stack") -> None:
    files = sorted(p.name for p in (stack.settings.models / MODEL).iterdir() if p.is_file())
    assert files == ["features.py", "spec.yaml"]
    dags = {d["dag_id"] for d in stack.api("GET", f"/dags?tags={MODEL}").json()["dags"]}
    assert dags == {f"{MODEL}_{verb}" for verb in ("ingest", "retrain", "release", "operate")}


def test_the_first_labels_put_a_first_version_in_service_by_arrival_alone(stack: "Stack", first_version: str) -> None:
    first = stack.rollouts()[0]
    assert (first.candidate, first.champion, first.outcome) == (first_version, None, Outcome.PROMOTED)
    for verb in ("ingest", "retrain", "release"):
        started = stack.runs(f"{MODEL}_{verb}")[0]
        assert (started["run_type"], started["state"]) == ("asset_triggered", "success"), verb


def test_the_comparison_has_a_button_that_opens_its_report(stack: "Stack", first_version: str) -> None:
    run = stack.runs(f"{MODEL}_retrain")[0]["dag_run_id"]
    links = stack.api("GET", f"/dags/{MODEL}_retrain/dagRuns/{run}/taskInstances/compare/links").json()["extra_links"]
    page = stack.page(links["Report"])
    assert page.status_code == 200, page.text
    assert "<title>visits: FIRST</title>" in page.text
    assert stack.page(links["Report"], signed_in=False).status_code == 401


def test_the_gateway_answers_with_the_champion(stack: "Stack", study: "Study", first_version: str) -> None:
    row = study.rows[["request_id", "event_time", "person", "lncoins", "idp", "lpi", "fmde", "physlm", "disea", "health"]]
    answer = stack.ask({**row.iloc[0].to_dict(), "idp": int(row.iloc[0]["idp"])})
    said = answer.json()
    assert answer.status_code == 200, said
    assert answer.headers["x-model-version"] == said["version"] == champion_version(stack.ports, MODEL)
    assert said["model"] == MODEL
    assert said["request_id"] == row.iloc[0]["request_id"]
    assert said["decision"] == (said["score"] >= 2.5)


def test_a_request_with_a_wrong_field_is_refused_and_the_field_named(stack: "Stack", study: "Study", first_version: str) -> None:
    row = study.rows[["request_id", "event_time", "person", "lncoins", "lpi", "fmde", "physlm", "disea"]].iloc[0].to_dict()
    answer = stack.ask({**row, "idp": 0, "health": "superb"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["field"] == "health"


def test_new_labels_bring_the_next_version_through_every_stage(stack: "Stack", first_version: str, second: "Second") -> None:
    state = stack.rollouts()[1]
    assert state.outcome is Outcome.PROMOTED, f"{state.outcome}: {state.reason} {state.message}"
    assert state.champion == first_version
    assert [(r.kind, r.weight, r.verdict) for r in state.records] == [
        ("mirror", 0, "PASS"),
        ("split", 25, "PASS"),
        ("split", 50, "PASS"),
        ("split", 100, "PASS"),
    ]


def test_the_data_alone_started_the_second_retrain_and_release(stack: "Stack", second: "Second") -> None:
    for verb in ("retrain", "release"):
        runs = stack.runs(f"{MODEL}_{verb}")
        assert [(r["run_type"], r["state"]) for r in runs] == [("asset_triggered", "success")] * 2, verb
    assert [t for t in stack.failed_tasks() if t.startswith(MODEL)] == []


def test_no_request_of_a_client_failed_while_versions_changed(stack: "Stack", first_version: str, second: "Second") -> None:
    served, later = stack.tally("served"), stack.tally("later")
    assert served["failed"] == later["failed"] == 0, served["failures"] | later["failures"]
    assert served["answered"] == second.rows
    assert served["versions"] == {first_version: second.rows}
    assert set(later["versions"]) == {first_version, stack.rollouts()[1].candidate}


def test_the_second_training_set_is_what_the_join_with_served_requests_produced(
    stack: "Stack", study: "Study", first_version: str, second: "Second"
) -> None:
    (batch,) = (r["batch_id"] for r in stack.ports.dataset.batches(MODEL) if r["name"] == second.labels.name)
    rows = pq.read_table(stack.ports.dataset.batch(MODEL, batch) / "accepted.parquet").to_pandas()
    assert set(rows["version"]) == {first_version}
    assert rows["score"].notna().all()
    truth = study.rows.set_index("request_id")["visits"]
    assert (rows.set_index("request_id")["label"] == truth.reindex(rows["request_id"])).all()


def test_the_old_champion_is_stopped_when_its_retention_is_over(stack: "Stack", second: "Second") -> None:
    state = stack.rollouts()[1]
    assert state.retired
    assert [s.target.version for s in stack.ports.runtime.status(MODEL)] == [state.candidate]
    assert stack.ports.journal.events(MODEL, kinds=(Kind.RETIRED,))[-1].data["version"] == state.champion
