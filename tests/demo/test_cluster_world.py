"""What the demo needs before it makes anything in a cluster: each lack is one sentence with its remedy."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluicegate.domain.spec import parse_spec
from sluicegate.errors import InputError, RefusedError, UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.gateway import free_port
from sluicegate_demo import __main__ as demo
from sluicegate_demo import images as demo_images
from sluicegate_demo.cluster_world import SPEC, cluster_place
from sluicegate_demo.images import ROLES, images
from sluicegate_demo.installation import Installation
from sluicegate_demo.world import RELEASE, demo_settings, fresh_world

NODES = {"items": [{"status": {"images": [{"names": ["here:1", "localhost/sluicegate-work:1"]}]}} for _ in range(2)]}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("KUBECONFIG", "SLUICEGATE_STORE_URL", *(f"SLUICEGATE_IMAGE_{role.upper()}" for role in ROLES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("SLUICEGATE_HOME", str(tmp_path / "home"))
    return folder


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
    path.chmod(0o755)
    return path


class TestLacks:
    def test_no_kubectl(self, tools: Path) -> None:
        with pytest.raises(UnavailableError, match="kubectl"):
            cluster_place("")

    def test_no_kubeconfig(self, tools: Path) -> None:
        script(tools, "kubectl", "")
        with pytest.raises(UnavailableError, match="KUBECONFIG is not set"):
            cluster_place("")

    def test_a_cluster_that_does_not_answer(self, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script(tools, "kubectl", "sys.exit('connection refused')")
        monkeypatch.setenv("KUBECONFIG", "/nowhere")
        with pytest.raises(UnavailableError, match="connection refused"):
            cluster_place("")

    def test_no_store(self, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script(tools, "kubectl", "")
        monkeypatch.setenv("KUBECONFIG", "/nowhere")
        with pytest.raises(InputError, match="SLUICEGATE_STORE_URL is not set"):
            cluster_place("")

    @pytest.mark.parametrize(
        ("router", "sentence"), [("istio", "envoy or gateway-api"), ("gateway-api", "no accepted GatewayClass")]
    )
    def test_a_router_that_cannot_work_here(
        self, tools: Path, monkeypatch: pytest.MonkeyPatch, router: str, sentence: str
    ) -> None:
        script(tools, "kubectl", "")
        for name, value in (("KUBECONFIG", "/nowhere"), ("SLUICEGATE_STORE_URL", "s3://b/p"), ("SLUICEGATE_ROUTER", router)):
            monkeypatch.setenv(name, value)
        with pytest.raises((InputError, UnavailableError), match=sentence):
            cluster_place("")

    def test_a_lack_ends_the_demo_with_one_sentence_and_changes_nothing(
        self, tools: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["demo", "--cluster"])
        assert demo.main() == 1
        assert capsys.readouterr().err.startswith("UnavailableError: there is no program `kubectl` on PATH")
        assert not (tmp_path / "home").exists()


def test_a_namespace_that_no_demo_has_made_is_not_deleted(tools: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    theirs = json.dumps({"metadata": {"labels": {"kubernetes.io/metadata.name": "production"}}})
    script(tools, "kubectl", f"open({str(asked)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10)); print({theirs!r})")
    with pytest.raises(RefusedError, match="'production' was not made by the demo"):
        Installation(Cluster({"PATH": str(tools)}), Settings(namespace="production")).remove()
    assert "delete" not in asked.read_text()


class TestImages:
    @pytest.fixture
    def cluster(self, tools: Path) -> Cluster:
        """Two nodes that both have two images."""
        script(tools, "kubectl", f"print({json.dumps(json.dumps(NODES))})")
        return Cluster({"PATH": str(tools)})

    @pytest.fixture
    def built(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def build(command: list[str], **_: Any) -> Any:
            return run(command, **_) if "build.py" not in str(command) else named(command[2:-2])

        def named(roles: list[str]) -> Any:
            return demo_images.subprocess.CompletedProcess([], 0, json.dumps({r: f"localhost/sluicegate-{r}:1" for r in roles}))

        run = demo_images.subprocess.run
        monkeypatch.setattr(demo_images.subprocess, "run", build)

    def test_images_that_the_environment_names_are_neither_built_nor_brought(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = {role: f"registry.example/{role}:1" for role in ROLES}
        for role, image in wanted.items():
            monkeypatch.setenv(f"SLUICEGATE_IMAGE_{role.upper()}", image)
        assert images(cluster, "") == wanted

    def test_only_what_some_node_lacks_is_brought(self, cluster: Cluster, built: None, tools: Path, tmp_path: Path) -> None:
        seen = tmp_path / "loaded"
        load = script(tools, "load", f"open({str(seen)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))")
        found = images(cluster, f"{load} docker-image")
        assert found == {role: f"localhost/sluicegate-{role}:1" for role in ROLES}
        assert seen.read_text().splitlines() == sorted(
            f"docker-image localhost/sluicegate-{role}:1" for role in ROLES if role != "work"
        )

    def test_without_a_way_to_the_nodes_the_sentence_shows_one(self, cluster: Cluster, built: None) -> None:
        with pytest.raises(UnavailableError, match="kind load docker-image") as refused:
            images(cluster, "")
        assert "sluicegate-work" not in str(refused.value)

    def test_a_way_that_fails_is_told_in_its_own_words(self, cluster: Cluster, built: None, tools: Path) -> None:
        load = script(tools, "load", "sys.exit('no such node')")
        with pytest.raises(UnavailableError, match="no such node"):
            images(cluster, str(load))


@pytest.mark.parametrize(("name", "changes"), [("demo", {"release": RELEASE}), ("cluster-demo", SPEC)])
def test_the_changed_spec_is_one_that_dags_are_made_from(
    tools: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    for port in ("AIRFLOW", "MLFLOW", "GATEWAY", "GATEWAY_ADMIN"):
        monkeypatch.setenv(f"SLUICEGATE_{port}_PORT", str(free_port()))
    settings = demo_settings(name)
    fresh_world(settings, changes)
    spec = parse_spec(yaml.safe_load((tmp_path / "home" / name / "models" / "flights" / "spec.yaml").read_text()), "spec.yaml")
    assert [stage.weight for stage in spec.release.stages] == [None, 5, 25, 50, 100]
