"""What every Router keeps, whatever gateway is behind it. Subclass it and give it a `router` fixture.

    class TestMyRouter(RouterContract):
        @pytest.fixture
        def router(self) -> Router: ...

Every test uses a model of its own, so one gateway may serve the whole suite. The router's clock must be the real one.
A gateway that knows servers by other names than addresses is given its own `champion` and `candidate`.
"""

import time
import uuid
from dataclasses import replace

import pytest

from sluicegate.domain.route import Route, Target
from sluicegate.errors import RefusedError, StaleTokenError
from sluicegate.ports.router import Router
from sluicegate.testing.waiting import wait_until

CHAMPION = Target("1", "127.0.0.1", 9)
CANDIDATE = Target("2", "127.0.0.1", 10)


def at_weight(model: str, weight: int, *, token: int = 1, lease: float = 60.0, mirror: int = 0) -> Route:
    """A route in a rollout; `lease` in seconds from now."""
    expires = time.time() + lease if weight else None
    return Route(model, CHAMPION, CANDIDATE, weight, mirror, "rollout-1", token, expires)


class RouterContract:
    """The suite."""

    champion = CHAMPION
    candidate = CANDIDATE

    def at_weight(self, model: str, weight: int, *, token: int = 1, lease: float = 60.0, mirror: int = 0) -> Route:
        """A route in a rollout between the suite's two servers."""
        route = at_weight(model, weight, token=token, lease=lease, mirror=mirror)
        return replace(route, champion=self.champion, candidate=self.candidate)

    @pytest.fixture
    def model(self) -> str:
        """A name that no other test uses."""
        return f"m{uuid.uuid4().hex[:12]}"

    def test_unknown_model_reads_as_no_route(self, router: Router, model: str) -> None:
        assert router.read(model) is None

    @pytest.mark.parametrize("weight", [0, 1, 5, 50, 100])
    def test_applied_route_is_what_the_data_plane_has(self, router: Router, model: str, weight: int) -> None:
        route = self.at_weight(model, weight, mirror=100 - weight)
        router.apply(route)
        assert router.read(model) == route

    def test_applying_twice_changes_nothing(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5)
        router.apply(route)
        router.apply(route)
        assert router.read(model) == route

    def test_models_do_not_disturb_each_other(self, router: Router, model: str) -> None:
        first, second = self.at_weight(model, 5), self.at_weight(model + "b", 25, token=9)
        router.apply(first)
        router.apply(second)
        router.apply(second.cut())
        assert router.read(model) == first
        assert router.read(model + "b") == second.cut()

    def test_older_token_cannot_apply(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5, token=7)
        router.apply(route)
        with pytest.raises(StaleTokenError, match=r"token 6 .*7"):
            router.apply(self.at_weight(model, 25, token=6))
        assert router.read(model) == route

    def test_older_token_cannot_even_cut(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5, token=7)
        router.apply(route)
        with pytest.raises(StaleTokenError):
            router.apply(replace(route, token=6).cut())
        assert router.read(model) == route

    def test_older_token_cannot_renew(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5, token=7)
        router.apply(route)
        with pytest.raises(StaleTokenError):
            router.renew(model, 6, time.time() + 600)
        assert router.read(model) == route

    def test_older_token_cannot_remove(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5, token=7)
        router.apply(route)
        with pytest.raises(StaleTokenError):
            router.remove(model, 6)
        assert router.read(model) == route

    def test_newer_token_takes_over(self, router: Router, model: str) -> None:
        router.apply(self.at_weight(model, 5, token=7))
        newer = self.at_weight(model, 25, token=8)
        router.apply(newer)
        assert router.read(model) == newer

    def test_weight_of_a_rollout_never_becomes_lower_except_by_a_cut(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 25)
        router.apply(route)
        self._refuses_earlier_stages(router, model)
        assert router.read(model) == route
        router.apply(route.cut())
        self._refuses_earlier_stages(router, model)
        assert router.read(model) == route.cut()

    def _refuses_earlier_stages(self, router: Router, model: str) -> None:
        for late in (self.at_weight(model, 5), self.at_weight(model, 0, mirror=50)):
            with pytest.raises(RefusedError, match="after 25"):
                router.apply(late)

    def test_cut_that_comes_after_the_promotion_does_not_undo_it(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 100)
        router.apply(route)
        promoted = Route(model, self.candidate, token=2)
        router.apply(promoted)
        with pytest.raises(StaleTokenError, match="promoted meanwhile"):
            router.apply(replace(route.cut(), token=2))
        assert router.read(model) == promoted
        router.apply(Route(model, self.champion, token=3))
        assert router.read(model) == Route(model, self.champion, token=3)

    def test_same_traffic_under_newer_token_fences_the_older(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5, token=7)
        router.apply(route)
        router.apply(replace(route, token=8))
        with pytest.raises(StaleTokenError):
            router.apply(route)

    def test_renewal_moves_the_lease_and_nothing_else(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5)
        router.apply(route)
        later = time.time() + 600
        router.renew(model, 1, later)
        assert router.read(model) == replace(route, expires_at=later)

    def test_renewal_by_somebody_who_was_held_up_does_not_shorten_the_lease(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 25)
        router.apply(route)
        with pytest.raises(RefusedError, match="held up"):
            router.renew(model, 1, time.time() - 5)
        assert router.read(model) == route

    def test_renewal_after_a_cut_is_refused(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 5)
        router.apply(route)
        router.apply(route.cut())
        with pytest.raises(RefusedError, match="no candidate weight"):
            router.renew(model, 1, time.time() + 600)

    def test_renewal_of_an_unknown_model_is_refused(self, router: Router, model: str) -> None:
        with pytest.raises(RefusedError):
            router.renew(model, 1, time.time() + 600)

    def test_weight_with_a_lease_that_is_over_is_refused(self, router: Router, model: str) -> None:
        with pytest.raises(RefusedError, match="over already"):
            router.apply(self.at_weight(model, 5, lease=-1.0))
        assert router.read(model) is None

    def test_removed_route_is_gone_and_removing_again_changes_nothing(self, router: Router, model: str) -> None:
        router.apply(self.at_weight(model, 5))
        router.remove(model, 1)
        router.remove(model, 1)
        assert router.read(model) is None

    def test_removing_what_never_was_changes_nothing(self, router: Router, model: str) -> None:
        router.remove(model, 1)
        assert router.read(model) is None

    def test_removal_does_not_forget_the_token(self, router: Router, model: str) -> None:
        router.apply(self.at_weight(model, 5, token=7))
        router.remove(model, 7)
        with pytest.raises(StaleTokenError):
            router.apply(self.at_weight(model, 5, token=6))

    def test_enforce_before_the_end_of_the_lease_cuts_nothing(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 25)
        router.apply(route)
        assert model not in [cut.model for cut in router.enforce(time.time())]
        assert router.read(model) == route

    def test_enforce_at_the_end_of_the_lease_cuts_weight_and_mirror(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 25, lease=30.0, mirror=100)
        router.apply(route)
        assert route in router.enforce(time.time() + 31)
        _settle(router, route.cut())

    def test_enforce_again_cuts_nothing_more(self, router: Router, model: str) -> None:
        router.apply(self.at_weight(model, 25, lease=30.0))
        router.enforce(time.time() + 31)
        assert router.enforce(time.time() + 32) == []

    def test_enforce_leaves_a_mirror_without_weight_alone(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 0, mirror=100)
        router.apply(route)
        router.enforce(time.time() + 10_000)
        assert router.read(model) == route

    def test_after_an_enforced_cut_the_holder_may_start_again(self, router: Router, model: str) -> None:
        router.apply(self.at_weight(model, 25, lease=30.0))
        router.enforce(time.time() + 31)
        again = self.at_weight(model, 25)
        router.apply(again)
        assert router.read(model) == again

    def test_after_an_enforced_cut_an_earlier_stage_does_not_come_back(self, router: Router, model: str) -> None:
        route = self.at_weight(model, 25, lease=30.0)
        router.apply(route)
        router.renew(model, 1, time.time() + 40)
        router.enforce(time.time() + 41)
        _settle(router, route.cut())
        self._refuses_earlier_stages(router, model)
        assert router.read(model) == route.cut()

    def test_promotion_leaves_one_server(self, router: Router, model: str) -> None:
        router.apply(self.at_weight(model, 100))
        promoted = Route(model, self.candidate, salt="rollout-1", token=1)
        router.apply(promoted)
        assert router.read(model) == promoted


def _settle(router: Router, wanted: Route) -> None:
    """A guard does not wait for the data plane; a test does."""
    wait_until(lambda: router.read(wanted.model) == wanted, 30.0, lambda: f"{wanted}, but {router.read(wanted.model)}")
