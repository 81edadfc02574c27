"""Policies over all Dags, the shape of each, and what happens to a model that is written wrong."""

import ast
import itertools
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((PROJECT / "dags").glob("*.py"))
SPEC = {
    "model": "toy",
    "summary": "Is it late?",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {"stages": [{"mirror": 50}, {"weight": 5}, {"weight": 100}], "gates": {"error_rate": {}}},
    "schedule": {"cron": "15 * * * *", "arrival": True},
}
DAGS = {"toy_ingest", "toy_retrain", "toy_release", "toy_operate"}
STAGES = ("mirror", "weight_005", "weight_100")


def write_model(folder: Path, **changes: object) -> None:
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC | {"model": folder.name} | changes))
    (folder / "features.py").write_text("def features(row):\n    return {'x': row['x']}\n")


def load(models: Path, monkeypatch: pytest.MonkeyPatch):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("SLUICEGATE_MODELS", str(models))
    return DagBag(dag_folder=str(PROJECT / "dags"), collect_dags=True)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    write_model(models / "toy")
    with pytest.MonkeyPatch.context() as patch:
        return load(models, patch)


@pytest.fixture(scope="module")
def release(bag):
    return bag.dags["toy_release"]


def edges(dag) -> set[tuple[str, str]]:
    return {(task.task_id, down) for task in dag.tasks for down in task.downstream_task_ids}


class TestPolicies:
    def test_a_model_has_four_dags_and_nothing_fails(self, bag) -> None:
        assert bag.import_errors == {}
        assert set(bag.dags) == DAGS

    @pytest.mark.parametrize("path", DAG_FILES, ids=lambda p: p.name)
    def test_a_dag_file_is_thin(self, path: Path) -> None:
        source = path.read_text()
        assert len(source.splitlines()) <= 100
        assert ast.get_docstring(ast.parse(source))

    @pytest.mark.parametrize("path", DAG_FILES, ids=lambda p: p.name)
    def test_a_dag_file_imports_airflow_and_the_shell_only(self, path: Path) -> None:
        roots = {name.split(".")[0] for name in imported(path)}
        assert roots <= {"airflow", "sluicegate_airflow", "sluicegate", "datetime"}

    def test_every_dag_says_what_it_does_whose_it_is_and_runs_once_at_a_time(self, bag) -> None:
        for dag in bag.dags.values():
            assert "→" in dag.doc_md
            assert {"sluicegate", "toy"} <= set(dag.tags)
            assert dag.max_active_runs == 1
            assert not dag.catchup
            assert all(task.owner == "sluicegate" for task in dag.tasks)

    def test_every_task_tries_again_only_what_may_help_gates_never_and_both_ends_for_an_hour(self, bag) -> None:
        for dag in bag.dags.values():
            for task in dag.tasks:
                assert task.retries == {"gate": 0, "revert": 40, "promote": 40}.get(task.task_id.split(".")[-1], 3), task.task_id
                assert task.retry_policy is not None
                assert task.retry_exponential_backoff

    def test_every_order_has_a_pool_and_a_longest_time(self, bag) -> None:
        orders = [t for dag in bag.dags.values() for t in dag.tasks if t.task_type.endswith("OrderOperator")]
        assert {t.action for t in orders} == {"validate", "snapshot", "train", "compare", "register"}
        assert all(t.pool == "orders" and t.execution_timeout for t in orders)

    def test_the_plugin_folder_hides_the_package_from_the_plugin_loader(self) -> None:
        assert "sluicegate_airflow/" in (PROJECT / "plugins" / ".airflowignore").read_text().split()


class TestShapes:
    def test_ingest_starts_by_cron_and_by_arrival(self, bag) -> None:
        timetable = bag.dags["toy_ingest"].timetable
        assert type(timetable).__name__ == "AssetOrTimeSchedule"
        (asset,) = timetable.asset_condition.objects
        assert asset.uri == "sluicegate://toy/landing"
        assert len(asset.watchers) == 1

    @pytest.mark.parametrize(
        ("schedule", "timetable"),
        [
            ({"cron": "15 * * * *", "arrival": False}, "CronTriggerTimetable"),
            ({"arrival": True}, "AssetTriggeredTimetable"),
            ({"arrival": False}, "NullTimetable"),
        ],
        ids=["cron", "arrival", "by hand"],
    )
    def test_ingest_starts_only_as_the_spec_says(self, tmp_path, monkeypatch, schedule, timetable) -> None:
        write_model(tmp_path / "toy", schedule=schedule)
        assert type(load(tmp_path, monkeypatch).dags["toy_ingest"].timetable).__name__ == timetable

    def test_ingest_checks_every_file_on_its_own(self, bag) -> None:
        dag = bag.dags["toy_ingest"]
        assert ("land", "batch.validate") in edges(dag)
        assert ("batch.quarantine", "batch.commit") in edges(dag)
        assert all(dag.task_group.get_child_by_label("batch").children)
        assert [a.uri for a in dag.get_task("publish").outlets] == ["sluicegate://toy/batches"]

    def test_retrain_follows_ingest_and_tells_release(self, bag) -> None:
        dag = bag.dags["toy_retrain"]
        assert [a.uri for a in dag.timetable.asset_condition.objects] == ["sluicegate://toy/batches"]
        story = ["snapshot", "changed", "train", "compare", "register", "publish"]
        assert set(itertools.pairwise(story)) <= edges(dag)
        assert [a.uri for a in dag.get_task("publish").outlets] == ["sluicegate://toy/candidates"]

    def test_release_climbs_the_stages_of_the_spec(self, release) -> None:
        story = ["open", "deploy", "begin", *(f"{s}.{t}" for s in STAGES for t in ("enter", "gate")), "promote", "outcome"]
        assert set(itertools.pairwise(story)) <= edges(release)
        assert {("outcome", "retention"), ("retention", "retire")} <= edges(release)

    def test_every_gate_and_promote_lead_to_revert_which_also_runs_when_a_person_ends_the_run(self, release) -> None:
        revert = release.get_task("revert")
        assert revert.upstream_task_ids == {"open", "promote", *(f"{s}.gate" for s in STAGES)}
        assert revert.is_teardown
        assert release.get_task("open").is_setup
        assert set(release.task_ids) - {"revert", "outcome", "retention", "retire"} <= revert.get_flat_relative_ids(upstream=True)

    def test_a_first_version_goes_around_the_stages(self, release) -> None:
        assert {("begin", "first_version"), ("first_version", "promote")} <= edges(release)
        assert release.get_task("promote").trigger_rule == "none_failed_min_one_success"

    def test_only_the_last_gate_leads_to_promote(self, release) -> None:
        assert release.get_task("promote").upstream_task_ids == {"first_version", "weight_100.gate"}

    def test_people_act_by_hand_only_and_must_say_what_and_why(self, bag) -> None:
        dag = bag.dags["toy_operate"]
        assert (dag.task_ids, type(dag.timetable).__name__) == (["act"], "NullTimetable")
        assert dag.params.get_param("action").schema["enum"] == [
            *["pause", "resume", "approve", "abort", "revert", "reinstate", "retire"],
        ]
        with pytest.raises(Exception, match="No value passed"):
            dag.params.get_param("reason").resolve()


class TestRefusedModels:
    def test_a_wrong_spec_is_an_import_error_with_file_key_value_and_remedy_and_other_models_load(
        self, tmp_path, monkeypatch
    ) -> None:
        write_model(tmp_path / "toy")
        write_model(tmp_path / "broken", release=SPEC["release"] | {"retension": "1d"})
        bag = load(tmp_path, monkeypatch)
        assert set(bag.dags) == DAGS
        ((file, error),) = bag.import_errors.items()
        assert Path(file).name == "refused_models.py"
        for part in ("broken/spec.yaml", "release.retension", "'1d'", "retention"):
            assert part in error

    @pytest.mark.parametrize(
        ("changes", "parts"),
        [
            ({"release": SPEC["release"] | {"stages": [{"weight": 50}, {"weight": 5}]}}, ["release.stages", "do not grow"]),
            ({"release": SPEC["release"] | {"stages": [{"mirror": 50, "weight": 5}]}}, ["release.stages.0", "either"]),
            ({"release": SPEC["release"] | {"gates": {"vibes": {}}}}, ["release.gates.vibes", "error_rate"]),
            ({"training": {"holdout": {"length": "soon"}}}, ["training.holdout.length", "soon", "7d"]),
        ],
        ids=["weights that shrink", "impossible stage", "unknown gate", "wrong type"],
    )
    def test_every_kind_of_mistake_names_key_and_what_would_be_valid(self, tmp_path, monkeypatch, changes, parts) -> None:
        write_model(tmp_path / "broken", **changes)
        (error,) = load(tmp_path, monkeypatch).import_errors.values()
        assert [part for part in ["broken/spec.yaml", *parts] if part not in error] == []

    def test_a_model_without_features_is_refused(self, tmp_path, monkeypatch) -> None:
        write_model(tmp_path / "broken")
        (tmp_path / "broken" / "features.py").unlink()
        (error,) = load(tmp_path, monkeypatch).import_errors.values()
        assert "broken/features.py" in error

    def test_no_models_at_all_is_no_error(self, tmp_path, monkeypatch) -> None:
        bag = load(tmp_path, monkeypatch)
        assert (len(bag.dags), bag.import_errors) == (0, {})


@pytest.mark.slow
def test_parsing_brings_no_heavy_library_into_airflow(tmp_path) -> None:
    import subprocess

    write_model(tmp_path / "models" / "toy")
    code = """
        import sys
        import airflow.sdk, airflow.triggers.base, airflow.providers.standard.operators.empty
        before = set(sys.modules)
        sys.path[:0] = [sys.argv[1] + "/dags", sys.argv[1] + "/plugins"]
        import ingest, retrain, release, operate, refused_models
        heavy = {"pandas", "pyarrow", "mlflow", "great_expectations", "scipy", "sklearn", "xgboost", "onnxruntime", "matplotlib"}
        print(sorted(heavy & (set(sys.modules) - before)))
    """
    env = {"PATH": "/usr/bin:/bin", "SLUICEGATE_MODELS": str(tmp_path / "models"), "AIRFLOW_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), str(PROJECT)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names
