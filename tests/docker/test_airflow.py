"""What the documentation and the chart's values tell an Airflow that is not ours, against what the Dags ask of it."""

import re
import shlex
from pathlib import Path

import yaml

from sluicegate.adapters.deployment_runtime.manifests import STORE_KEYS
from sluicegate.settings import PROJECT, Settings

KUBERNETES = PROJECT / "docker" / "kubernetes"
TEXT = (PROJECT / "docs" / "kubernetes.md").read_text()
VALUES = yaml.safe_load((KUBERNETES / "airflow-values.yaml").read_text())


def test_the_documented_pools_are_those_that_the_local_stack_makes() -> None:
    told = {}
    for line in re.findall(r"^    airflow pools set (.*)$", TEXT, re.M):
        flag, name, slots, _ = shlex.split(line)
        told[name] = (flag == "--include-deferred", int(slots))
    settings = yaml.safe_load((PROJECT / "airflow_settings.yaml").read_text())
    pools = settings["airflow"]["pools"]
    assert told == {pool["pool_name"]: (pool["pool_include_deferred"], pool["pool_slot"]) for pool in pools}


def test_the_chart_s_airflow_finds_the_models_where_the_image_has_them() -> None:
    told = {each["name"]: each["value"] for each in yaml.safe_load(VALUES["extraEnv"])}
    found = Settings.from_environment(told)
    image = TEXT.partition("FROM apache/airflow:")[2].partition("\n\n")[0]
    copied = {target: PROJECT / source for source, target in re.findall(r"COPY \S+ (\w+) (/\S+)", image)}
    [(root, source)] = [(root, source) for root, source in copied.items() if found.models.is_relative_to(root)]
    assert (source / found.models.relative_to(root) / "flights" / "spec.yaml").is_file()
    assert {Path(root) for root in copied} == {found.project / name for name in ("include", "dags", "plugins")}
    assert image.startswith(f"{VALUES['airflowVersion']}-python3.11\n")


def test_the_chart_s_airflow_has_its_account_in_a_namespace_of_its_own() -> None:
    component = yaml.safe_load((KUBERNETES / "airflow" / "kustomization.yaml").read_text())
    [added] = yaml.safe_load(component["patches"][0]["patch"])
    account, namespace = added["value"]["name"], added["value"]["namespace"]
    assert {VALUES[part]["serviceAccount"]["name"] for part in ("scheduler", "triggerer")} == {account}
    told = {each["name"]: each["value"] for each in yaml.safe_load(VALUES["extraEnv"])}
    assert told["SLUICEGATE_NAMESPACE"] != namespace
    for command in ("create namespace", "label namespace"):
        assert f"kubectl {command} {namespace}" in TEXT
    assert f"kubectl -n {namespace} create serviceaccount {account}" in TEXT
    assert f"--namespace {namespace} -f docker/kubernetes/airflow-values.yaml" in TEXT


def test_every_key_that_a_pod_takes_from_the_secret_is_documented() -> None:
    table = TEXT.partition("| key of `sluicegate` |")[2].partition("\n\n")[0]
    secret = {"SLUICEGATE_JOURNAL_URL", "SLUICEGATE_MLFLOW_URL", "SLUICEGATE_STORE_URL", "SLUICEGATE_NOTIFY_URL"}
    assert set(re.findall(r"`([A-Z_]+)`", table)) == {*STORE_KEYS, *secret, "MLFLOW_ARTIFACTS_DESTINATION"}
