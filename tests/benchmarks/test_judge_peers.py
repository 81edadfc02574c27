"""The peers' rules as restated in benchmarks/judge/peers.py: literal minutes, known answers."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from judge import peers
from judge.peers import Ending, argo, flagger, kayenta, kayenta_metric, shift
from judge.points import Points, dark, without, without_latency

LOOKS = 40


def minutes(errors: float = 0.005, latency: float = 60.0, score: float = 0.2, decisions: float = 0.1) -> Points:
    """Forty minutes of a canary with these values and of a healthy baseline; small differences between minutes, so none tie."""
    ripple = 1 + 0.01 * np.sin(np.arange(LOOKS))

    def pair(canary: float, baseline: float) -> np.ndarray:
        return np.stack([canary * ripple, baseline * ripple[::-1]])

    return Points(
        requests=np.full((2, LOOKS), 100.0),
        errors=pair(errors, 0.005),
        p95_ms=pair(latency, 60.0),
        p99_ms=pair(1.3 * latency, 78.0),
        score=pair(score, 0.2),
        decisions=pair(decisions, 0.1),
        recent_p95_ms=latency * ripple,
        answered=np.ones(LOOKS, dtype=bool),
    )


HEALTHY = minutes()
ALL = pytest.mark.parametrize("rule", [kayenta, argo, flagger], ids=lambda rule: rule.__name__)
Rule = Callable[[list[Points]], Ending]


@ALL
def test_a_healthy_canary_is_promoted(rule: Rule) -> None:
    assert rule([HEALTHY, HEALTHY]) is Ending.PROMOTED


@ALL
def test_a_canary_that_fails_every_tenth_request_is_reverted(rule: Rule) -> None:
    assert rule([HEALTHY, minutes(errors=0.1)]) is Ending.REVERTED


@ALL
def test_a_canary_twice_as_slow_is_reverted(rule: Rule) -> None:
    assert rule([minutes(latency=120.0)]) is Ending.REVERTED


class TestKayenta:
    def test_the_interval_of_a_shift_is_read_off_the_ordered_differences(self) -> None:
        low, estimate, high = shift(np.array([11.0, 12, 13, 14, 15]), np.array([1.0, 2, 3, 4, 5]))
        assert estimate == 10.0
        assert (low, high) == (7.0, 13.0)

    def test_a_clear_shift_fails_and_the_same_values_pass(self) -> None:
        control = np.arange(1.0, 11.0)
        assert kayenta_metric(control, control, both_ways=True) is True
        assert kayenta_metric(control + 20, control, both_ways=True) is False

    def test_a_fall_fails_only_where_both_ways_count(self) -> None:
        control = np.arange(21.0, 31.0)
        assert kayenta_metric(control - 20, control, both_ways=True) is False
        assert kayenta_metric(control - 20, control, both_ways=False) is True

    def test_points_beyond_three_interquartile_ranges_are_left_out(self) -> None:
        control = np.arange(1.0, 11.0)
        assert kayenta_metric(np.append(control, [1e6, 1e6]), control, both_ways=True) is True

    def test_a_metric_without_points_is_not_counted(self) -> None:
        assert kayenta_metric(np.full(5, np.nan), np.arange(5.0), both_ways=True) is None
        assert peers.kayenta_score(without_latency(HEALTHY), LOOKS) == 100.0

    def test_one_failing_metric_of_four_is_marginal_and_stops_only_at_the_end(self) -> None:
        shifted = minutes(score=0.4)
        assert peers.kayenta_score(shifted, LOOKS) == 75.0
        assert kayenta([shifted]) is Ending.REVERTED

    def test_a_stage_without_any_point_scores_zero(self) -> None:
        assert kayenta([without(HEALTHY, 0)]) is Ending.REVERTED

    def test_a_canary_without_latency_is_promoted(self) -> None:
        assert kayenta([without_latency(HEALTHY)]) is Ending.PROMOTED


class TestArgo:
    def test_one_failed_measurement_reverts(self) -> None:
        spike = np.array(HEALTHY.recent_p95_ms)
        spike[30] = 81.0
        assert argo([replace(HEALTHY, recent_p95_ms=spike)]) is Ending.REVERTED

    def test_four_unanswered_queries_in_a_row_do_not_revert_and_five_do(self) -> None:
        def unanswered(count: int) -> Points:
            return replace(HEALTHY, answered=~((np.arange(LOOKS) >= 10) & (np.arange(LOOKS) < 10 + count)))

        assert argo([unanswered(4)]) is Ending.PROMOTED
        assert argo([unanswered(5)]) is Ending.REVERTED

    def test_a_value_that_is_not_a_number_fails(self) -> None:
        assert argo([without(HEALTHY, LOOKS - 1)]) is Ending.REVERTED

    def test_errors_are_averaged_over_five_minutes(self) -> None:
        errors = np.array(HEALTHY.errors)
        errors[0, 20] = 0.2
        assert argo([replace(HEALTHY, errors=errors)]) is Ending.PROMOTED
        errors[0, 21] = 0.2
        assert argo([replace(HEALTHY, errors=errors)]) is Ending.REVERTED


class TestFlagger:
    def test_failed_minutes_add_up_over_the_stages(self) -> None:
        two = replace(HEALTHY, answered=np.arange(LOOKS) >= 2)
        assert flagger([two, two]) is Ending.PROMOTED
        assert flagger([two, two, two]) is Ending.REVERTED

    def test_a_metric_source_that_is_gone_reverts(self) -> None:
        assert flagger([dark(HEALTHY, 20)]) is Ending.REVERTED
