"""The state of a rollout, folded from its events: what people did, what was withdrawn, what follows the end."""

from collections.abc import Mapping
from typing import Any

import pytest

from sluicegate.domain.rollout import Kind, Outcome, Phase, Rollout, after, fold

OPENED: Mapping[str, Any] = {
    "candidate": "2",
    "champion": "1",
    "token": 7,
    "release": {"stages": [{"mirror": 50}, {"weight": 100}], "gates": {"error_rate": {}}},
    "score_range": [0.0, 1.0],
    "predicted": None,
}
MIRROR: Mapping[str, Any] = {"index": 0, "kind": "mirror", "weight": 0}


def folded(*events: tuple[float, str, Mapping[str, Any]]) -> Rollout:
    state = fold("toy", "abc", [(0.0, Kind.OPENED, OPENED), (1.0, Kind.DEPLOYED, {}), *events])
    assert state is not None
    return state


def test_what_is_not_opened_is_no_rollout() -> None:
    assert fold("toy", "abc", [(0.0, Kind.PAUSED, {})]) is None


def test_an_event_of_an_unknown_kind_changes_nothing() -> None:
    state = folded()
    assert after(state, 2.0, "SOMETHING_NEW", {"index": 3}) == state


class TestPauses:
    def test_only_the_part_of_a_pause_that_falls_into_the_stage_moves_its_deadline(self) -> None:
        state = folded((2.0, Kind.PAUSED, {}), (10.0, Kind.STAGE_ENTERED, MIRROR), (13.0, Kind.UNPAUSED, {}))
        assert (state.paused_at, state.records[0].paused_s) == (None, 3.0)

    def test_several_pauses_add_up(self) -> None:
        pauses = [
            (at, kind, {}) for at, kind in ((3.0, Kind.PAUSED), (5.0, Kind.UNPAUSED), (8.0, Kind.PAUSED), (9.5, Kind.UNPAUSED))
        ]
        assert folded((2.0, Kind.STAGE_ENTERED, MIRROR), *pauses).records[0].paused_s == 3.5

    def test_a_second_pause_within_one_is_the_first(self) -> None:
        state = folded((2.0, Kind.STAGE_ENTERED, MIRROR), (3.0, Kind.PAUSED, {}), (4.0, Kind.PAUSED, {}))
        assert state.paused_at == 3.0

    def test_an_end_of_no_pause_is_nothing(self) -> None:
        assert folded((2.0, Kind.UNPAUSED, {})) == folded()


class TestApprovals:
    def test_an_approval_is_for_the_stage_that_it_names(self) -> None:
        entered = (2.0, Kind.STAGE_ENTERED, MIRROR)
        assert folded(entered, (3.0, Kind.APPROVED, {"index": 0})).records[0].approved
        assert not folded(entered, (3.0, Kind.APPROVED, {"index": 1})).records[0].approved

    @pytest.mark.parametrize(
        ("verdict", "reason", "passed"),
        [
            ("PASS", "all_gates_pass", True),
            ("INCONCLUSIVE", "approved_undecided", True),
            ("INCONCLUSIVE", "deadline", False),
            ("FAIL", "approved_undecided", False),
        ],
    )
    def test_a_stage_is_left_by_a_pass_or_by_a_person_and_never_after_a_fail(
        self, verdict: str, reason: str, passed: bool
    ) -> None:
        decided = {"index": 0, "verdict": verdict, "reason": reason}
        state = folded((2.0, Kind.STAGE_ENTERED, MIRROR), (3.0, Kind.STAGE_DECIDED, decided))
        assert (state.records[0].passed, state.phase) == (passed, Phase.PASSED if passed else Phase.FAILED)


class TestVerdicts:
    def test_a_pass_of_the_stage_before_that_comes_late_does_not_decide_the_present_one(self) -> None:
        passed = {"index": 0, "verdict": "PASS", "reason": "all_gates_pass"}
        at_full = {"index": 1, "kind": "split", "weight": 100}
        entered = ((2.0, Kind.STAGE_ENTERED, MIRROR), (3.0, Kind.STAGE_DECIDED, passed), (4.0, Kind.STAGE_ENTERED, at_full))
        assert folded(*entered, (5.0, Kind.STAGE_DECIDED, passed)) == folded(*entered)


class TestWithdrawals:
    def test_each_counts_and_ends_with_the_traffic_given_back(self) -> None:
        gone, back = Kind.WITHDRAWN, Kind.RESUMED
        state = folded((2.0, Kind.STAGE_ENTERED, MIRROR), (3.0, gone, {}), (4.0, back, {}), (5.0, gone, {}))
        assert (state.withdrawn_at, state.records[0].withdrawals) == (5.0, 2)
        assert after(state, 6.0, back, {}).withdrawn_at is None


class TestEnds:
    def test_whoever_cut_first_says_how_it_ends(self) -> None:
        cuts = [(3.0, Kind.CUT, {"reason": "odd", "outcome": "ABORTED"}), (4.0, Kind.CUT, {"reason": "late"})]
        state = folded(*cuts)
        assert (state.cut_at, state.ending, state.cut_reason, state.open) == (3.0, Outcome.ABORTED, "odd", True)

    def test_a_cut_of_an_older_journal_is_a_revert(self) -> None:
        assert folded((3.0, Kind.CUT, {"reason": "gate"})).ending is Outcome.REVERTED

    def test_a_reinstated_rollout_was_promoted_and_is_over(self) -> None:
        state = folded((3.0, Kind.PROMOTED, {"reason": "r"}), (9.0, Kind.REINSTATED, {"reason": "worse"}))
        assert (state.outcome, state.reinstated, state.phase, state.ended_at) == (Outcome.PROMOTED, True, Phase.ENDED, 3.0)

    def test_what_follows_is_kept_by_name(self) -> None:
        done = [(4.0, Kind.FOLLOWED_UP, {"what": what}) for what in ("a", "b", "a")]
        assert folded((3.0, Kind.REVERTED, {}), *done).followed_up == {"a", "b"}
