"""Settings: read from the environment once, refused with the variable's name, handed on unchanged."""

from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.errors import InputError
from sluicegate.settings import PROJECT, ROLES, Settings

DEFAULTS = Settings(
    project=PROJECT,
    home=PROJECT / "var",
    models=PROJECT / "include" / "models",
    profile="local",
    journal_url="",
    mlflow_url="",
    notify_url="",
    store_url="",
    router="envoy",
    namespace="sluicegate",
    cluster_gateway="sluicegate.sluicegate",
    prometheus_url="",
    image_work="",
    image_serve="",
    image_gateway="",
    image_keeper="",
    code_version="",
    lock_digest="",
    host="127.0.0.1",
    airflow_port=8180,
    mlflow_port=8181,
    gateway_port=8182,
    gateway_admin_port=8183,
    server_ports=(8190, 8230),
)
CLUSTER = replace(
    DEFAULTS,
    home=Path("/home/work"),
    profile="kubernetes",
    store_url="s3://sluicegate/prod",
    router="gateway-api",
    namespace="scores",
    cluster_gateway="edge.gateways",
    prometheus_url="http://prometheus.monitoring:9090",
    image_work="registry/work@sha256:1",
    image_serve="registry/serve@sha256:2",
    image_gateway="registry/gateway@sha256:3",
    image_keeper="registry/keeper@sha256:4",
    code_version="0123abc",
    lock_digest="sha256:5",
)


class TestEnvironment:
    def test_an_empty_environment_gives_the_local_profile(self) -> None:
        assert Settings.from_environment({}) == DEFAULTS

    @pytest.mark.parametrize("settings", [DEFAULTS, CLUSTER])
    def test_a_child_reads_what_its_parent_was_told(self, settings: Settings) -> None:
        assert Settings.from_environment(settings.to_environment()) == settings


class TestWhatIsShared:
    def test_one_machine_has_a_journal_and_a_registry_of_its_own(self) -> None:
        alone = Settings(home=Path("/home/here"), mlflow_port=5000)
        assert (alone.journal, alone.mlflow) == ("sqlite:////home/here/journal.db", "http://127.0.0.1:5000")

    def test_pods_have_those_that_were_named(self) -> None:
        named = replace(CLUSTER, journal_url="postgresql+psycopg://db/journal", mlflow_url="http://mlflow:5000")
        assert (named.journal, named.mlflow) == ("postgresql+psycopg://db/journal", "http://mlflow:5000")

    @pytest.mark.parametrize("name", ["journal", "mlflow"])
    def test_pods_never_have_one_on_a_disk_of_their_own(self, name: str) -> None:
        with pytest.raises(InputError, match=f"SLUICEGATE_{name.upper()}_URL is not set: pods need one that all of them reach"):
            getattr(CLUSTER, name)


class TestRefusals:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("PROFILE", "docker"),
            ("ROUTER", "nginx"),
            ("NAMESPACE", "../kube-system"),
            ("NAMESPACE", "Scores"),
            ("NAMESPACE", ""),
            ("NAMESPACE", "a\n"),
            ("CLUSTER_GATEWAY", "edge"),
            ("CLUSTER_GATEWAY", "edge.kube/system"),
            ("PROMETHEUS_URL", "prometheus:9090"),
            ("NOTIFY_URL", "ftp://there"),
            ("STORE_URL", "/var/store"),
            ("STORE_URL", "s3://"),
            ("STORE_URL", "s3://bucket/prefix/"),
            ("STORE_URL", "s3://bucket?endpoint=elsewhere"),
            ("GATEWAY_PORT", "0"),
        ],
    )
    def test_a_wrong_value_is_refused_with_the_name_of_its_variable(self, variable: str, value: str) -> None:
        with pytest.raises(InputError, match=f"SLUICEGATE_{variable} is '"):
            Settings.from_environment({f"SLUICEGATE_{variable}": value})

    def test_credentials_in_the_store_s_url_are_refused_and_not_repeated(self) -> None:
        with pytest.raises(InputError, match=r"s3://\*\*\*@bucket") as refused:
            Settings.from_environment({"SLUICEGATE_STORE_URL": "s3://key:secret@bucket/prefix"})
        assert "secret" not in str(refused.value)


class TestImages:
    @pytest.mark.parametrize("role", ROLES)
    def test_an_image_that_nobody_named_is_refused_when_a_pod_needs_it(self, role: str) -> None:
        with pytest.raises(InputError, match=f"SLUICEGATE_IMAGE_{role.upper()} is not set"):
            replace(CLUSTER, **{f"image_{role}": ""}).image(role)

    def test_each_role_has_its_own_image(self) -> None:
        assert [CLUSTER.image(role) for role in ROLES] == [
            "registry/work@sha256:1",
            "registry/serve@sha256:2",
            "registry/gateway@sha256:3",
            "registry/keeper@sha256:4",
        ]
