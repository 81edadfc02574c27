"""What every Runtime keeps, wherever its servers run. Subclass it and give it a `runtime` fixture and a way to kill a server.

    class TestMyRuntime(RuntimeContract):
        @pytest.fixture
        def runtime(self) -> Runtime: ...

        def kill(self, runtime: Runtime, model: str, version: str) -> None: ...

Every test uses a model of its own, so one cluster may serve the whole suite. Version BROKEN has golden outputs that nobody reproduces.
"""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.errors import RefusedError
from sluicegate.ports.runtime import Runtime, ServerStatus
from sluicegate.serving.manifest import GOLDEN, MANIFEST, digest
from sluicegate.testing.package import SPEC, toy_package
from sluicegate.testing.waiting import wait_until

BROKEN = "13"
HOSTILE = ["", "../x", "a/b", "a b", "a\nb", "$(id)", "-x", "x" * 300, "ünïcode", ".", "%2e%2e", "a;b"]
Is = Callable[[ServerStatus | None], bool]


def server(runtime: Runtime, model: str, version: str = "1") -> ServerStatus | None:
    """The status of one version."""
    return next((s for s in runtime.status(model) if s.target.version == version), None)


def ready(status: ServerStatus | None) -> bool:
    return status is not None and status.ready


def with_wrong_golden_outputs(package: Path) -> Path:
    """The package, whole by its digests, but its model does not score as it says."""
    golden = json.loads((package / GOLDEN).read_text())
    golden[4]["score"] += 0.1
    (package / GOLDEN).write_text(json.dumps(golden))
    manifest = json.loads((package / MANIFEST).read_text())
    manifest["files"][GOLDEN] = digest((package / GOLDEN).read_bytes())
    (package / MANIFEST).write_text(json.dumps(manifest))
    return package


class RuntimeContract:
    """The suite."""

    PATIENCE = 60.0
    """Seconds that a server may take to become what it should be; generous, since tests share their machine."""

    def kill(self, runtime: Runtime, model: str, version: str) -> None:
        """End one server of the version by force, so that it has no chance to do anything about it."""
        raise NotImplementedError

    def wait(self, runtime: Runtime, model: str, version: str, wanted: Is) -> None:
        """Until the version's status is as wanted."""

        def present() -> str:
            return f"version {version} of '{model}' is {server(runtime, model, version)}"

        wait_until(lambda: wanted(server(runtime, model, version)), self.PATIENCE, present, pause=0.05)

    @pytest.fixture
    def model(self) -> str:
        """A name that no other test uses."""
        return f"m{uuid.uuid4().hex[:8]}"

    @pytest.fixture
    def package(self, model: str, tmp_path: Path) -> Path:
        return toy_package(tmp_path, spec=SPEC.replace("model: toy", f"model: {model}")).folder

    def test_model_that_nobody_started_has_no_servers(self, runtime: Runtime, model: str) -> None:
        assert runtime.status(model) == []

    def test_started_server_becomes_ready_and_starting_it_again_gives_the_same(
        self, runtime: Runtime, model: str, package: Path
    ) -> None:
        target = runtime.start(model, "1", package)
        assert (target.version, runtime.start(model, "1", package)) == ("1", target)
        self.wait(runtime, model, "1", ready)
        assert runtime.start(model, "1", package) == target
        assert [s.target for s in runtime.status(model)] == [target]
        found = server(runtime, model)
        assert found is not None
        assert (found.running, found.servers, found.wanted) == (True, 1, 1)

    def test_server_that_scores_otherwise_than_in_training_is_never_ready_and_says_why(
        self, runtime: Runtime, model: str, package: Path
    ) -> None:
        def explained(status: ServerStatus | None) -> bool:
            assert status is not None
            assert not status.ready
            return "golden" in status.detail

        runtime.start(model, BROKEN, with_wrong_golden_outputs(package))
        self.wait(runtime, model, BROKEN, explained)
        found = server(runtime, model, BROKEN)
        assert found is not None
        assert (found.ready, found.servers) == (False, 0)

    def test_versions_run_side_by_side_and_stop_apart(self, runtime: Runtime, model: str, package: Path) -> None:
        first, second = runtime.start(model, "1", package), runtime.start(model, "2", package)
        assert first.address != second.address
        for version in ("1", "2"):
            self.wait(runtime, model, version, ready)
        runtime.stop(model, "1")
        assert [s.target for s in runtime.status(model)] == [second]
        assert ready(server(runtime, model, "2"))

    def test_models_whose_names_begin_alike_do_not_disturb_each_other(self, runtime: Runtime, model: str, package: Path) -> None:
        runtime.start(model, "1", package)
        self.wait(runtime, model, "1", ready)
        assert runtime.status(model[:-1]) == []
        assert runtime.status(model + "b") == []

    def test_stopped_server_is_gone_may_be_stopped_again_and_may_start_again(
        self, runtime: Runtime, model: str, package: Path
    ) -> None:
        runtime.start(model, "1", package)
        self.wait(runtime, model, "1", ready)
        runtime.stop(model, "1")
        runtime.stop(model, "1")
        assert runtime.status(model) == []
        runtime.start(model, "1", package)
        self.wait(runtime, model, "1", ready)

    def test_stopping_what_never_ran_changes_nothing(self, runtime: Runtime, model: str) -> None:
        runtime.stop(model, "1")
        assert runtime.status(model) == []

    def test_server_that_is_killed_comes_back(self, runtime: Runtime, model: str, package: Path) -> None:
        runtime.start(model, "1", package)
        self.wait(runtime, model, "1", ready)
        self.kill(runtime, model, "1")
        self.wait(runtime, model, "1", ready)

    def test_servers_that_are_asked_for_become_ready_as_far_as_there_is_room(
        self, runtime: Runtime, model: str, package: Path
    ) -> None:
        runtime.start(model, "1", package)
        enough = runtime.scale(model, "1", 2)
        assert 1 <= enough <= 2
        self.wait(runtime, model, "1", lambda s: s is not None and s.servers >= enough)
        assert runtime.scale(model, "1", 2) == enough

    def test_asking_for_fewer_servers_stops_none(self, runtime: Runtime, model: str, package: Path) -> None:
        runtime.start(model, "1", package)
        enough = runtime.scale(model, "1", 2)
        self.wait(runtime, model, "1", lambda s: s is not None and s.servers >= enough)
        runtime.scale(model, "1", 1)
        found = server(runtime, model)
        assert found is not None
        assert found.servers >= enough

    def test_version_that_was_not_started_has_no_servers_to_add_to(self, runtime: Runtime, model: str) -> None:
        with pytest.raises(RefusedError, match="has no server"):
            runtime.scale(model, "1", 2)

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_name_is_refused_and_nothing_is_started(self, runtime: Runtime, model: str, package: Path, name: str) -> None:
        for pair in ((name, "1"), (model, name)):
            with pytest.raises(RefusedError, match="is no name"):
                runtime.start(*pair, package)
            with pytest.raises(RefusedError, match="is no name"):
                runtime.scale(*pair, 2)
            with pytest.raises(RefusedError, match="is no name"):
                runtime.stop(*pair)
        assert runtime.status(model) == []
