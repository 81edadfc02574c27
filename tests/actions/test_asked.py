"""A verb asked for by its name: the same verb, the same facts, in the task or as an order."""

from pathlib import Path

import pytest

from sluicegate.actions import carry_out
from sluicegate.actions.release import rollout
from sluicegate.actions.release.asked import ask, facts
from sluicegate.domain.order import Order
from sluicegate.domain.spec import parse_spec
from sluicegate.errors import OrderError, RefusedError
from sluicegate.settings import Settings
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.results import MemoryResults
from sluicegate.testing.rollouts import BRIEF, PREDICTED


@pytest.fixture
def ports(tmp_path: Path) -> FakePorts:
    world = FakePorts(parse_spec(BRIEF, "toy/spec.yaml"), Settings(home=tmp_path))
    world.results = MemoryResults(tmp_path / "results")
    for version in ("1", "2"):
        world.register(version, predicted=PREDICTED)
    first = ask(world, "toy", "open", author="a", version="1", run_id="first").rollout_id
    for verb in ("deploy", "promote"):
        ask(world, "toy", verb, author="a", rollout_id=first)
    return world


def order(verb: str, attempt: int = 1, **inputs: object) -> Order:
    return Order("release", "toy", {"verb": verb, "author": "airflow:toy_release", "attempt": attempt, **inputs})


def test_a_rollout_goes_its_way_by_orders_alone(ports) -> None:
    mine = carry_out(order("open", version="2", run_id="run"), ports)["rollout_id"]
    carry_out(order("deploy", rollout_id=mine), ports)
    came = carry_out(order("enter_stage", rollout_id=mine, index=0), ports)
    assert (came["phase"], came["candidate"], came["champion"]) == ("stage", "2", "1")
    assert ports.router.read("toy").mirror == 50
    assert carry_out(order("revert", rollout_id=mine), ports)["reason"] == "task_failed"
    assert came == facts(rollout(ports, "toy", mine)) | came


def test_another_attempt_asks_the_world_again_and_the_same_attempt_does_not(ports) -> None:
    mine = carry_out(order("open", version="2", run_id="run"), ports)["rollout_id"]
    attempts = [order("deploy", attempt, rollout_id=mine) for attempt in (1, 1, 2)]
    came = [carry_out(attempt, ports) for attempt in attempts]
    assert came[0] == came[1] == came[2]
    assert len(ports.journal.events("toy", mine, kinds=("DEPLOYED",))) == 2


def test_to_take_back_what_was_promoted_finishes_the_promotion(ports) -> None:
    promoted = ask(ports, "toy", "open", author="a", version="1", run_id="first").rollout_id
    assert ask(ports, "toy", "revert", author="a", rollout_id=promoted).outcome == "PROMOTED"


def test_what_a_person_asks_for_is_an_order_with_the_reason(ports) -> None:
    why = {"author": "airflow-user:anna", "reason": "customers call"}
    mine = carry_out(order("open", version="2", run_id="run"), ports)["rollout_id"]
    carry_out(order("deploy", rollout_id=mine), ports)
    came = carry_out(order("abort", rollout_id=mine, **why), ports)
    (ended,) = ports.journal.events("toy", mine, kinds=("REVERTED",))
    assert (came["outcome"], came["reason"], ended.author) == ("ABORTED", "customers call", "airflow-user:anna")


def test_a_person_who_retires_is_named_with_the_reason(ports) -> None:
    mine = carry_out(order("open", version="2", run_id="run"), ports)["rollout_id"]
    carry_out(order("deploy", rollout_id=mine), ports)
    for index in range(2):
        carry_out(order("enter_stage", rollout_id=mine, index=index), ports)
        data = {"index": index, "verdict": "PASS", "reason": "all_gates_pass", "message": ""}
        ports.journal.append("toy", mine, "STAGE_DECIDED", data, author="test")
    carry_out(order("promote", rollout_id=mine), ports)
    carry_out(order("retire", rollout_id=mine, author="airflow-user:anna", reason="no room"), ports)
    (retired,) = ports.journal.events("toy", mine, kinds=("RETIRED",))
    assert (retired.author, retired.reason) == ("airflow-user:anna", "no room")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (order("vanish", rollout_id="x"), "unknown verb 'vanish' for model 'toy': a release consists of open, deploy"),
        (order("deploy"), "lacks the input 'rollout_id'"),
        (order("abort", rollout_id="x"), "lacks the input 'reason'"),
        (Order("release", "toy", {"verb": "deploy"}), "lacks the input 'author'"),
    ],
)
def test_what_no_verb_can_be_made_of_is_refused_in_one_sentence(ports, asked: Order, words: str) -> None:
    with pytest.raises(OrderError, match=words):
        carry_out(asked, ports)


def test_a_verb_that_makes_no_sense_now_commits_no_result(ports) -> None:
    asked = order("promote", rollout_id=carry_out(order("open", version="2", run_id="run"), ports)["rollout_id"])
    with pytest.raises(RefusedError, match="not deployed"):
        carry_out(asked, ports)
    assert ports.results.find(asked.key) is None
