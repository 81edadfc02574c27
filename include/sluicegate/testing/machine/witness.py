"""What must hold. The witness knows only the calls of ports that took effect; it never asks an action, a fold or a judge.

Numbers in the messages are those of the invariants: 1 no exposure without a live lease and somebody who judges, 2 weights follow
the plan, 3 one rollout a model and no stale writer, 4 no promotion without evidence, 7 no request fails because of us.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sluicegate.actions.guard import PAUSE_S
from sluicegate.domain.route import Route
from sluicegate.testing.machine.actors import Actor
from sluicegate.testing.ports import FakePorts

HELD = (
    *("DEPLOYED", "STAGE_ENTERED", "RESUMED", "EVIDENCE", "WITHDRAWN", "APPROVAL_ASKED", "APPROVED", "PAUSED", "UNPAUSED"),
    *("STAGE_DECIDED", "CUT", "PROMOTED", "REVERTED", "REINSTATED"),
)
"""Events that only the holder of the lock may write about its own rollout."""
APPROVED, NEEDS_PASS = "approved_undecided", 50
"""Reason of a stage that a person let go on without a verdict, and the weight from which nobody can."""
OVER = ("CUT", "PROMOTED", "REVERTED")
BLAMED = {"mirror": ("errors",), "weight": ("slow", "errors")}
"""Behaviours that each kind of stage must find."""


def hold(holds: bool, otherwise: str) -> None:
    """AssertionError with the sentence when something does not hold; unlike `assert` it cannot be switched off."""
    if not holds:
        raise AssertionError(otherwise)


class Exposure:
    """How many requests the candidate really answered, and how it behaved then."""

    def __init__(self, fakes: FakePorts) -> None:
        self._fakes = fakes
        self._at = fakes.clock.now()
        self._total: Counter[tuple[str, str]] = Counter()

    def advance(self, behaviour: str) -> None:
        """Count what was answered since the last time. Call it before anything changes."""
        now = self._fakes.clock.now()
        seconds, self._at = max(0.0, now - self._at), now
        route = self._fakes.router.read(self._fakes.model_spec.model)
        for arm, share in (("mirror", route.mirror), ("weight", route.weight)) if route is not None else ():
            self._total[arm, behaviour] += round(1000 * seconds * self._fakes.meter.rate * share / 100)
        self._fakes.meter.serve(self._fakes.model_spec.model)

    def so_far(self) -> Counter[tuple[str, str]]:
        """Thousandths of requests by arm and behaviour."""
        return Counter(self._total)


@dataclass
class Plan:
    """One rollout as its effects show it."""

    opened: dict[str, Any]
    entered: list[int] = field(default_factory=list)
    """Weights of the stages that were entered, in order."""
    verdicts: list[str] = field(default_factory=list)
    readings: int = 0
    """Of the present stage, that could be read."""
    judged_at: float = 0.0
    over: list[str] = field(default_factory=list)
    withdrawn: bool = False
    approved: bool = False
    """Whether a person said yes to the present stage."""
    paused: int = 0
    """Number of the event that began the present pause."""
    reinstated: bool = False
    """Whether the champion that it replaced serves again."""
    exposed_before: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def weights(self) -> list[int]:
        return [stage.get("weight") or 0 for stage in self.opened["release"]["stages"]]

    @property
    def lease(self) -> float:
        return float(self.opened["release"]["lease"])


class Witness:
    """Sees every call that took effect, and says what was broken by it (AssertionError)."""

    def __init__(self, fakes: FakePorts, reached: Counter[str]) -> None:
        self._fakes, self._reached = fakes, reached
        self.champion: str | None = None
        self.plans: dict[str, Plan] = {}
        self.holder: str | None = None
        self.token = 0
        self._newest = self._routed = 0
        self._slack = 0.0
        self._written = 0
        self._before: str | None = None
        """The champion before, while the journal names a new one and the gateway does not have it yet."""

    def clock_was_set(self, seconds: float) -> None:
        """A clock that went back makes leases longer by as much."""
        self._slack += max(0.0, -seconds)

    def saw(
        self,
        actor: Actor,
        port: str,
        verb: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        exposure: Exposure,
    ) -> None:
        """A call took effect."""
        match port, verb:
            case "journal", "acquire":
                self._locked(args[1], result.token)
            case "journal", "release":
                self._released(args[1], kwargs.get("unless", ()))
            case "journal", "events":
                actor.memory["known"] = self._written
            case "journal", "append":
                self._written = result.number
                self._wrote(actor, args[1], str(args[2]), args[3], kwargs.get("token"))
            case "router", "apply":
                self._routes(args[0])
            case "router", "renew":
                self._renewed(args[1], args[2])
            case "meter", "read":
                actor.memory |= {"readable": result.candidate is not None or result.mirror is not None}
                actor.memory |= {"exposed": exposure.so_far()}
        self.looks_around(guarded=False)

    def looks_around(self, guarded: bool) -> None:
        """Whether traffic, leases and servers are as they must be at this instant."""
        route = self._fakes.router.read(self._fakes.model_spec.model)
        if route is None:
            return
        now = self._fakes.clock.now()
        if guarded and route.weight:
            hold(route.expires_at is not None and now <= route.expires_at + PAUSE_S + self._slack, f"1: {route} at {now}")
        serving = {route.champion.version} | ({route.candidate.version} if route.candidate and route.weight else set())
        running = {s.target.version for s in self._fakes.runtime.status(route.model)}
        hold(serving <= running, f"7: users are sent to {serving}, running are {running}")
        if route.champion.version == self.champion:
            self._before = None  # the change of the champion has reached the gateway, which may not go back
        hold(route.champion.version in (self.champion, self._before), f"7: {route}, the champion is {self.champion}")

    def _locked(self, holder: str, token: int) -> None:
        hold(self.holder in (None, holder), f"3: {holder} got the lock of {self.holder}")
        if self.holder is None:
            hold(token > self._newest, f"3: the token {token} was handed out before")
        self.holder, self.token, self._newest = holder, token, max(token, self._newest)

    def _released(self, token: int, unless: Sequence[str]) -> None:
        plan = self.plans.get(self.holder or "")
        kept = plan is not None and plan.reinstated and "REINSTATED" in unless
        if self.holder is not None and token == self.token and not kept:
            self.holder, self._newest = None, token + 1

    def _wrote(self, actor: Actor, rollout: str, kind: str, data: dict[str, Any], token: int | None) -> None:
        if kind in HELD or kind == "OPENED":
            hold(self.holder == rollout, f"3: {actor.name} wrote {kind} for {rollout}, but the lock is with {self.holder}")
        if kind == "OPENED":
            hold(rollout not in self.plans, f"3: {rollout} was opened twice")
            hold(all(plan.over for plan in self.plans.values()), f"3: {rollout} begins while another one is open")
            hold(self.champion == data["champion"], f"3: {rollout} replaces {data['champion']}, not {self.champion}")
            self.plans[rollout] = Plan(data)
        plan = self.plans.get(rollout)
        if plan is not None:
            self._reached[kind] += 1
            self._happened(actor, plan, kind, data)

    def _happened(self, actor: Actor, plan: Plan, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "STAGE_ENTERED":
                self._entered(actor, plan, data)
            case "EVIDENCE":
                plan.judged_at = self._fakes.clock.now()
                plan.readings += bool(actor.memory.get("readable"))
                self._reached["blind look"] += not actor.memory.get("readable")
            case "STAGE_DECIDED":
                self._decided(actor, plan, data)
            case "PROMOTED":
                self._promoted(actor, plan)
            case "REINSTATED":
                self._reinstated(plan)
            case "WITHDRAWN":
                plan.withdrawn = True
            case "RESUMED":
                plan.withdrawn = False
            case "APPROVED":
                plan.approved = True
            case "PAUSED" | "UNPAUSED":
                plan.paused = self._written if kind == "PAUSED" else 0
            case "REVERTED" | "RETIRED":
                self._reached[str(data.get("outcome", kind))] += 1
        if kind in ("CUT", "REVERTED"):
            route = self._fakes.router.read(self._fakes.model_spec.model)
            hold(
                route is None or not (route.weight or route.mirror), f"1: {kind} was written before the traffic was cut: {route}"
            )
        if kind in OVER:
            hold(kind == "REVERTED" or not plan.over or plan.over == ["CUT"], f"4: {kind} after {plan.over}")
            hold(kind not in plan.over or kind == "CUT", f"4: {kind} twice")
            plan.over.append(kind)

    def _entered(self, actor: Actor, plan: Plan, data: dict[str, Any]) -> None:
        index = len(plan.entered)
        if data["index"] < index and data["weight"] == plan.entered[data["index"]]:
            self._reached["stage entered by two at once"] += 1
            return  # both saw it open; the first entry counts, the second changes nothing, and gets no traffic once it is decided
        hold(data["index"] == index, f"2: stage {data['index']} was entered, {index} was next")
        hold(data["weight"] == plan.weights[index], f"2: weight {data['weight']} at stage {index} of {plan.weights}")
        hold(plan.verdicts == ["PASS"] * index, f"2: stage {index} was entered after {plan.verdicts}")
        hold(not plan.over, f"2: stage {index} was entered after {plan.over}")
        plan.entered.append(data["weight"])
        hold(_unaware(actor, plan), f"2: stage {index} was entered during a pause")
        plan.approved = plan.withdrawn = False
        plan.readings, plan.exposed_before = 0, actor.memory["exposed"]

    def _decided(self, actor: Actor, plan: Plan, data: dict[str, Any]) -> None:
        if len(plan.verdicts) == len(plan.entered) or data["index"] != len(plan.entered) - 1:
            return  # a second watcher of the same stage says the same again, perhaps late; the first one counts
        said = f"stage {data['verdict']}" if data["reason"] != APPROVED else "stage approved undecided"
        self._reached[said] += 1
        if said == "stage approved undecided":
            hold(plan.approved and plan.entered[-1] < NEEDS_PASS, f"4: stage at {plan.entered[-1]} went on without a verdict")
        plan.verdicts.append("PASS" if said == "stage approved undecided" else data["verdict"])
        if plan.verdicts[-1] == "PASS":
            asks = plan.opened["release"]["stages"][len(plan.entered) - 1].get("approve")
            hold(plan.approved or not asks, f"4: stage at {plan.entered[-1]} went on without the approval that it asks for")
            hold(_unaware(actor, plan), f"2: stage at {plan.entered[-1]} was left during a pause")
            self._evidence_for_pass(plan, actor.memory["exposed"])

    def _evidence_for_pass(self, plan: Plan, read: Counter[tuple[str, str]]) -> None:
        """By the answers that there were at the watcher's last reading: it cannot know of later ones, however late it writes."""
        weight = plan.entered[-1]
        arm = "weight" if weight else "mirror"
        answered = {how: n for (where, how), n in (read - plan.exposed_before).items() if where == arm}
        total, bad = sum(answered.values()), sum(answered.get(how, 0) for how in BLAMED[arm])
        least = plan.opened["release"]["stages"][len(plan.entered) - 1]["min_requests"]
        hold(plan.readings > 0, f"4: stage at {weight} passed without a reading")
        hold(total >= 1000 * least, f"4: stage at {weight} passed after {total / 1000:.0f} of {least} requests")
        hold(bad <= total / 2, f"4: stage at {weight} passed though most answers were bad: {answered}")

    def _promoted(self, actor: Actor, plan: Plan) -> None:
        planned = len(plan.weights) if plan.opened["champion"] is not None else 0
        hold(plan.verdicts == ["PASS"] * planned, f"4: promoted after {plan.verdicts} of {planned} stages")
        hold(not plan.over and _unaware(actor, plan), f"4: promoted after {plan.over}, paused: {plan.paused}")
        self._before, self.champion = self.champion, plan.opened["candidate"]

    def _reinstated(self, plan: Plan) -> None:
        hold(plan.over == ["PROMOTED"] and self.champion == plan.opened["candidate"], f"3: taken back after {plan.over}")
        self._before, self.champion = self.champion, plan.opened["champion"]
        plan.reinstated = True

    def _routes(self, route: Route) -> None:
        hold(route.token >= self._routed, f"3: token {route.token} moved traffic after {self._routed}")
        self._routed = route.token
        if not (route.weight or route.mirror):
            return
        hold(self.holder == route.salt, f"3: {route} while the lock is with {self.holder}")
        plan = self.plans[route.salt]
        late = (
            plan.entered if self._slack else plan.entered[-1:]
        )  # on a clock set back an old lease lives, until the guard ends it
        hold(route.weight in late, f"2: {route} after stages {plan.entered}")
        serves = (
            route.weight == 100 and self.champion == plan.opened["candidate"]
        )  # promoted, and only its route is not written yet
        hold(set(plan.verdicts) <= {"PASS"} and (serves or not plan.over), f"2: {route} after {plan.verdicts} {plan.over}")
        hold(not plan.withdrawn, f"1: {route} though nothing can be seen")
        if route.weight:
            self._leased(route.expires_at, plan)

    def _renewed(self, token: int, expires_at: float) -> None:
        hold(token >= self._routed, f"3: token {token} renewed after {self._routed}")
        route = self._fakes.router.read(self._fakes.model_spec.model)
        if route is None:
            raise AssertionError("1: a lease was renewed without a route")
        plan = self.plans[route.salt]
        hold(not plan.over, "1: a lease was renewed after the end")
        hold(expires_at - plan.judged_at <= 2 * plan.lease + self._slack, "1: a lease was renewed by somebody who did not judge")
        self._leased(expires_at, plan)

    def _leased(self, expires_at: float | None, plan: Plan) -> None:
        limit = self._fakes.clock.now() + plan.lease + self._slack
        hold(expires_at is not None and expires_at <= limit, f"1: a lease until {expires_at}, at most {limit} was allowed")


def _unaware(actor: Actor, plan: Plan) -> bool:
    """Whether there is no pause, or it began after this actor had last read the journal: what is under way is not called back."""
    return plan.paused == 0 or plan.paused > actor.memory.get("known", 0)
