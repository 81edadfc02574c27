"""The gate: fires once when the stage is decided, says so again after a restart, and skips the rest when there is no PASS."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskDeferred

from sluicegate.actions.release import deploy, enter_stage, open_rollout, promote, revert
from sluicegate.domain.notice import Notice
from sluicegate.domain.rollout import Kind
from sluicegate.domain.spec import parse_spec
from sluicegate.domain.verdict import StageVerdict, Verdict
from sluicegate.errors import SluicegateError, UnavailableError
from sluicegate.testing.ports import FakePorts
from sluicegate_airflow import gates, retention
from sluicegate_airflow.gates import GateSensor, GateTrigger, patience
from sluicegate_airflow.retention import RetentionTrigger

SPEC = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {
        "stages": [{"mirror": 50, "bake": "5s", "deadline": "60s"}, {"weight": 100}],
        "gates": {"error_rate": {}},
        "look_every": "1ms",
    },
}
PREDICTED = {"rows": 100, "mean_score": 0.3, "decision_rate": 0.2, "histogram": [0.05] * 20}


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    """A world in which version 2 mirrors beside the champion 1."""
    world = FakePorts(parse_spec(SPEC, "toy/spec.yaml"))
    for version in ("1", "2"):
        world.register(version, predicted=PREDICTED)
    first = open_rollout(world, "toy", "1", author="test", run_id="first").rollout_id
    deploy(world, "toy", first, author="test")
    promote(world, "toy", first, author="test")
    monkeypatch.setattr(gates, "wire", lambda: world)
    monkeypatch.setattr(gates, "PAUSE", 0)
    monkeypatch.setattr(retention, "wire", lambda: world)
    return world


@pytest.fixture
def mirroring(ports: FakePorts) -> str:
    mine = open_rollout(ports, "toy", "2", author="test", run_id="second").rollout_id
    deploy(ports, "toy", mine, author="test")
    enter_stage(ports, "toy", mine, 0, author="test")
    return mine


class ScriptedWatch:
    """Answers the given looks one after the other; an exception is raised."""

    look_every = 0.001

    def __init__(self, *looks: str | Exception | Notice) -> None:
        self.left = list(looks)

    def look(self) -> SimpleNamespace:
        now, notice = self.left.pop(0), None
        if isinstance(now, Notice):
            now, notice = "held", now
        if isinstance(now, Exception):
            raise now
        verdict = {"pass": Verdict.PASS, "fail": Verdict.FAIL}.get(now, Verdict.INCONCLUSIVE)
        said = StageVerdict(verdict, f"because_{now}", f"It is {now}.")
        decided = now in ("pass", "fail", "undecided", "lost")
        return SimpleNamespace(
            decided=decided, decision=now, verdict=said, why="approval" if now == "held" else "", notice=notice
        )


def fired(rollout_id: str, watch: ScriptedWatch | None = None) -> dict:
    async def collect() -> list[dict]:
        trigger = GateTrigger("toy", rollout_id, 0, "test")
        if watch is not None:
            trigger._open = lambda _: watch
        return [event.payload async for event in trigger.run()]

    events = asyncio.run(collect())
    assert len(events) == 1
    return events[0]


class TestTrigger:
    def test_it_waits_through_undecided_looks_and_fires_with_the_verdict(self, mirroring) -> None:
        event = fired(mirroring, ScriptedWatch("waiting", "held", "waiting", "pass"))
        assert event == {"decision": "pass", "verdict": "PASS", "reason": "because_pass", "message": "It is pass."}

    @pytest.mark.parametrize("decision", ["fail", "undecided", "lost"])
    def test_any_other_decision_is_fired_as_it_is(self, mirroring, decision: str) -> None:
        assert fired(mirroring, ScriptedWatch(decision))["decision"] == decision

    def test_what_people_must_hear_is_told_beside_the_looks(self, ports, mirroring) -> None:
        asked = Notice("toy", mirroring, "approval_asked", 1.0, "test", "all_gates_pass")
        assert fired(mirroring, ScriptedWatch(asked, *["waiting"] * 50, "pass"))["decision"] == "pass"
        assert ports.incidents.told[-1] == asked

    def test_a_receiver_that_does_not_answer_stops_no_gate(self, ports, mirroring) -> None:
        ports.incidents.deaf = True
        asked = Notice("toy", mirroring, "approval_asked", 1.0, "test", "all_gates_pass")
        assert fired(mirroring, ScriptedWatch(asked, *["waiting"] * 50, "pass"))["decision"] == "pass"

    def test_an_outage_is_no_decision(self, mirroring) -> None:
        assert fired(mirroring, ScriptedWatch(UnavailableError("no journal"), "pass"))["decision"] == "pass"

    def test_an_outage_before_the_first_look_is_waited_out(self, ports, mirroring, monkeypatch) -> None:
        answers = [UnavailableError("no journal"), ports.journal.events]

        def events(*args: object, **more: object) -> object:
            now = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(now, Exception):
                raise now
            return now(*args, **more)

        monkeypatch.setattr(ports.journal, "events", events)
        assert fired(mirroring, ScriptedWatch("pass"))["decision"] == "pass"

    def test_a_watch_that_breaks_fires_that_it_crashed(self, mirroring) -> None:
        event = fired(mirroring, ScriptedWatch(SluicegateError("no prediction")))
        assert (event["decision"], event["reason"], event["message"]) == ("crashed", "SluicegateError", "no prediction")

    def test_a_bug_fails_the_trigger_and_with_it_the_gate(self, mirroring) -> None:
        with pytest.raises(KeyError):
            fired(mirroring, ScriptedWatch(KeyError("x")))

    @pytest.mark.parametrize(("verdict", "decision"), [("PASS", "pass"), ("FAIL", "fail"), ("INCONCLUSIVE", "undecided")])
    def test_a_decision_whose_event_was_lost_with_the_triggerer_is_fired_from_the_journal(
        self, ports, mirroring, verdict: str, decision: str
    ) -> None:
        data = {"index": 0, "verdict": verdict, "reason": "r", "message": "m", "gate": None}
        ports.journal.append("toy", mirroring, Kind.STAGE_DECIDED, data, author="test")
        assert fired(mirroring)["decision"] == decision

    def test_a_stage_that_a_person_let_pass_goes_on(self, ports, mirroring) -> None:
        data = {"index": 0, "verdict": "INCONCLUSIVE", "reason": "approved_undecided", "message": "m", "gate": None}
        ports.journal.append("toy", mirroring, Kind.STAGE_DECIDED, data, author="test")
        assert fired(mirroring)["decision"] == "pass"

    def test_a_rollout_that_was_ended_elsewhere_is_lost(self, ports, mirroring) -> None:
        revert(ports, "toy", mirroring, author="cli:eve", reason="by_hand")
        assert fired(mirroring)["decision"] == "lost"

    def test_it_survives_being_written_down(self) -> None:
        path, kwargs = GateTrigger("toy", "abc", 1, "test").serialize()
        assert path == "sluicegate_airflow.gates.GateTrigger"
        assert GateTrigger(**kwargs).serialize() == (path, kwargs)


def gate() -> GateSensor:
    """gate → next → promote → revert; gate → revert."""
    with DAG("toy_release", schedule=None):
        release = parse_spec(SPEC, "toy/spec.yaml").release
        wait = patience(release.stages[0])
        tasks = [
            GateSensor(task_id=name, model="toy", index=0, revert="revert", patience=wait, rollout_id="abc")
            for name in ("gate", "next", "promote", "revert")
        ]
        tasks[0] >> tasks[1] >> tasks[2] >> tasks[3]
        tasks[0] >> tasks[3]
    return tasks[0]


def context() -> dict:
    pushed: dict[str, object] = {}
    ti = SimpleNamespace(map_index=-1, pushed=pushed, xcom_push=lambda key, value: pushed.update({key: value}))
    return {"ti": ti, "dag": SimpleNamespace(dag_id="toy_release")}


class TestSensor:
    def test_it_waits_without_a_worker_and_not_for_ever(self) -> None:
        with pytest.raises(TaskDeferred) as deferred:
            gate().execute(context())
        assert deferred.value.trigger.serialize()[1]["author"] == "airflow:toy_release"
        assert deferred.value.timeout == timedelta(days=7)

    def test_people_have_days_to_hold_a_stage_and_a_long_deadline_more(self) -> None:
        stage = parse_spec(SPEC, "toy/spec.yaml").release.stages[0]
        assert patience(stage) == timedelta(days=7)
        assert patience(stage.model_copy(update={"deadline": 14 * 86400.0})) > timedelta(days=14)

    def test_a_pass_skips_nothing(self) -> None:
        gate().decided(context(), {"decision": "pass", "message": ""})

    @pytest.mark.parametrize("decision", ["fail", "undecided", "lost", "crashed"])
    def test_anything_but_a_pass_skips_everything_up_to_the_way_back(self, decision: str) -> None:
        given = context()
        with pytest.raises(DownstreamTasksSkipped) as skipped:
            gate().decided(given, {"decision": decision, "message": ""})
        assert sorted(skipped.value.tasks) == ["next", "promote"]
        assert given["ti"].pushed["return_value"]["decision"] == decision


class TestRetention:
    def fired(self, ports: FakePorts, rollout_id: str, until: float) -> str:
        async def first() -> str:
            async for event in RetentionTrigger("toy", rollout_id, until, every=0.001).run():
                return event.payload
            return ""

        return asyncio.run(first())

    def test_it_ends_when_the_time_is_up(self, ports, mirroring) -> None:
        assert self.fired(ports, mirroring, ports.clock.now() - 1) == "the time is up"

    def test_it_ends_early_when_a_newer_candidate_waits_for_its_turn(self, ports, mirroring) -> None:
        ports.register("3", predicted=PREDICTED)
        assert self.fired(ports, mirroring, ports.clock.now() + 1e6).startswith("version 3 waits")

    def test_a_newer_version_that_is_not_released_ends_nothing(self, ports, mirroring) -> None:
        ports.register("3", release=False, predicted=PREDICTED)
        assert self.fired(ports, mirroring, ports.clock.now() - 1) == "the time is up"
