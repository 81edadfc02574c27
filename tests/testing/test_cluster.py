"""How tests find their cluster, tried without one: the scripts are stand-ins that say what a real one says."""

from pathlib import Path

import pytest

from sluicegate.errors import UnavailableError
from sluicegate.testing.cluster import VARIABLE, Cluster, Images, bring_up, bring_up_gateway, expected, run_script

pytest_plugins = ["pytester"]
CONFTEST = Path(__file__).parents[1] / "cluster" / "conftest.py"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose kubectl answers what `answer` holds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    _program(folder / "kubectl", f'echo "$@" >> {tmp_path}/asked; cat {tmp_path}/answer 2>/dev/null; exit 0')
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return path


def test_no_shared_scripts_and_no_kubeconfig_named_for_tests_is_no_cluster(tmp_path: Path, bare: dict[str, str]) -> None:
    mine = {**bare, "KUBECONFIG": "/home/me/.kube/production"}
    assert not expected(mine, tmp_path)
    with pytest.raises(UnavailableError, match=f"no cluster for tests: .*{VARIABLE}=/path"):
        bring_up(mine, tmp_path)


def test_a_named_kubeconfig_replaces_the_usual_one(tmp_path: Path, bare: dict[str, str]) -> None:
    named = {**bare, "KUBECONFIG": "/home/me/.kube/production", VARIABLE: "/tmp/for-tests"}
    assert expected(named, tmp_path)
    cluster = bring_up(named, tmp_path)
    assert cluster.environment["KUBECONFIG"] == "/tmp/for-tests"
    assert not cluster.shared


def test_the_shared_script_gives_the_environment(tmp_path: Path, bare: dict[str, str]) -> None:
    _program(
        tmp_path / "up",
        f'echo "export KUBECONFIG=/tmp/up.config PATH={tmp_path}:\\$PATH AWS_ACCESS_KEY_ID=a"; echo "12:00 up" >&2',
    )
    assert expected(bare, tmp_path)
    cluster = bring_up(bare, tmp_path)
    assert cluster.environment["KUBECONFIG"] == "/tmp/up.config"
    assert cluster.environment["AWS_ACCESS_KEY_ID"] == "a"
    assert cluster.environment["PATH"].startswith(f"{tmp_path}:")
    assert cluster.shared


def test_a_script_that_fails_is_told_with_its_last_words(tmp_path: Path, bare: dict[str, str]) -> None:
    script = _program(tmp_path / "up", 'echo "the node did not come up in 60 s" >&2; echo false; exit 1')
    with pytest.raises(UnavailableError, match=r"up failed \(1\): the node did not come up in 60 s"):
        run_script(script, bare)


def test_a_cluster_without_gateway_class_is_told(tmp_path: Path, bare: dict[str, str]) -> None:
    cluster = bring_up({**bare, VARIABLE: "x"}, tmp_path)
    with pytest.raises(UnavailableError, match="install Envoy Gateway"):
        bring_up_gateway(cluster, tmp_path)
    (tmp_path / "answer").write_text("True")
    assert bring_up_gateway(cluster, tmp_path) == "envoy"


def test_a_namespace_is_deleted_whatever_happens_in_it(tmp_path: Path, bare: dict[str, str]) -> None:
    cluster = bring_up({**bare, VARIABLE: "x"}, tmp_path)
    with pytest.raises(KeyError), cluster.namespace() as name:
        raise KeyError
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-2:] == [f"create namespace {name}", f"delete namespace {name} --wait=false --ignore-not-found"]


@pytest.mark.parametrize(("named", "outcome"), [(True, {"failed": 1}), (False, {"skipped": 1})])
def test_a_skipped_test_of_the_cluster_fails_where_ci_has_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, named: bool, outcome: dict[str, int]
) -> None:
    pytester.makeini("[pytest]\nmarkers = cluster\n")
    pytester.makepyfile(**{"tests/cluster/test_it": "import pytest\n\ndef test_it():\n    pytest.skip('no time')\n"})
    (pytester.path / "tests" / "cluster" / "conftest.py").write_text(CONFTEST.read_text())
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr("sluicegate.testing.cluster.expected", lambda: named)
    pytester.runpytest_inprocess("-m", "cluster", "-p", "no:cacheprovider").assert_outcomes(**outcome)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A stand-in for docker/build.py that knows one role."""
    (tmp_path / "docker").mkdir()
    known = '{"work": "localhost/w:1"}'
    (tmp_path / "docker" / "build.py").write_text(f"import sys\nprint('{known}') if sys.argv[1] == 'work' else sys.exit('no')\n")
    return tmp_path


def test_an_image_is_built_and_loaded_once(tmp_path: Path, checkout: Path, bare: dict[str, str]) -> None:
    _program(tmp_path / "load", f'echo "$1" >> {tmp_path}/loaded')
    images = Images(Cluster(bare, shared=True), checkout, tmp_path)
    (tmp_path / "answer").write_text("{}")
    assert [images["work"], images["work"]] == ["localhost/w:1"] * 2
    (tmp_path / "answer").write_text('{"data": {"localhost_w_1": "localhost/w:1"}}')  # as a later session finds it
    assert Images(Cluster(bare, shared=True), checkout, tmp_path)["work"] == "localhost/w:1"
    assert (tmp_path / "loaded").read_text().split() == ["localhost/w:1"]


def test_an_image_that_cannot_be_built_or_loaded_is_told(tmp_path: Path, checkout: Path, bare: dict[str, str]) -> None:
    images = Images(Cluster(bare, shared=True), checkout, tmp_path)
    (tmp_path / "answer").write_text("{}")
    with pytest.raises(UnavailableError, match=r"build\.py serve failed: no"):
        images["serve"]
    _program(tmp_path / "load", 'echo "no containerd" >&2; exit 1')
    with pytest.raises(UnavailableError, match="localhost/w:1 was not loaded: no containerd"):
        images["work"]


def test_on_a_cluster_of_somebody_else_images_are_named_by_the_environment(bare: dict[str, str]) -> None:
    images = Images(Cluster({**bare, "SLUICEGATE_IMAGE_WORK": "example.org/work@sha256:0"}))
    assert images["work"] == "example.org/work@sha256:0"
    with pytest.raises(UnavailableError, match="SLUICEGATE_IMAGE_SERVE is not set"):
        images["serve"]
