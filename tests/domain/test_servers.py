"""How many servers a weight needs, and what a spec may ask for them."""

import pytest

from sluicegate.domain.servers import Serving, refuse_names, servers_wanted
from sluicegate.domain.spec import ModelSpec, parse_spec
from sluicegate.domain.spec_text import parse_yaml
from sluicegate.errors import RefusedError, SpecError
from sluicegate.testing.package import SPEC

SERVING = Serving(servers=2, most=10)


@pytest.mark.parametrize(
    ("weight", "mirror", "champion", "wanted"),
    [
        (0, 100, 2, 2),  # every request is copied
        (0, 50, 2, 1),
        (0, 1, 10, 1),
        (5, 0, 2, 1),
        (5, 50, 4, 3),  # 5 % of the users and half of the others' requests: 52.5 % of 4
        (50, 0, 4, 2),
        (51, 0, 4, 3),
        (100, 0, 4, 4),
        (100, 0, 1, 2),  # a champion that has fewer than the spec's least is no measure
        (100, 0, 40, 10),  # never more than the spec's most
    ],
)
def test_candidate_gets_the_servers_of_its_share_of_all_traffic(weight: int, mirror: int, champion: int, wanted: int) -> None:
    assert servers_wanted(SERVING, weight=weight, mirror=mirror, champion=champion) == wanted


def test_a_larger_weight_never_needs_fewer_servers() -> None:
    for champion in range(1, 12):
        counts = [servers_wanted(SERVING, weight=weight, mirror=0, champion=champion) for weight in range(1, 101)]
        assert counts == sorted(counts)


def test_a_cluster_has_more_patience_than_one_machine_unless_the_spec_says_how_much() -> None:
    assert (Serving().patience("local"), Serving().patience("kubernetes")) == (60.0, 300.0)
    assert Serving.model_validate({"ready_within": "10m"}).patience("kubernetes") == 600.0


def spec(serving: str) -> ModelSpec:
    return parse_spec(parse_yaml(f"{SPEC}serving: {serving}\n".encode(), "spec.yaml"), "spec.yaml")


def test_spec_says_what_its_servers_get() -> None:
    assert spec("{servers: 3, most: 20, cpu: 2, memory: 1Gi, busy: 50}").serving == Serving(
        servers=3, most=20, cpu="2", memory="1Gi", busy=50
    )


@pytest.mark.parametrize(
    ("serving", "sentence"),
    [
        ("{servers: 0}", "serving.servers"),
        ("{servers: 5, most: 4}", r"most \(4\) is less than servers \(5\)"),
        ("{memory: 512}", "whole number with its unit"),
        ("{cpu: 0}", "processor time"),
        ("{busy: 100}", "serving.busy"),
        ("{node_selector: {'a b': c}}", "no label of a node"),
        ("{replicas: 2}", "unknown key 'serving.replicas'"),
    ],
)
def test_wrong_serving_is_refused_with_a_sentence(serving: str, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        spec(serving)


@pytest.mark.parametrize(("model", "version"), [("flights", "3"), ("a_b", "v1.2-rc_1"), ("x" * 48, "1")])
def test_what_specs_and_registries_name_is_no_hostile_name(model: str, version: str) -> None:
    refuse_names(model, version)


@pytest.mark.parametrize(
    ("model", "version"), [("Flights", "3"), ("a-b", "1"), ("x" * 49, "1"), ("flights", "1\n"), ("f", "1/2")]
)
def test_any_other_name_is_refused(model: str, version: str) -> None:
    with pytest.raises(RefusedError, match="is no name"):
        refuse_names(model, version)
