"""Network policies, evaluated without a network: who may reach whom as Kubernetes documents it.

Plugins differ in one thing: to some an ipBlock holds pods too, to others (Cilium) it holds what is outside the cluster alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Thing = Mapping[str, Any]
POD = "10.9.8.7"
"""Address of any pod, for plugins that go by addresses."""


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or what has an address alone."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Labels of its namespace."""
    address: str = ""
    """Of what is outside the cluster."""


@dataclass(frozen=True)
class Network:
    """All policies of one cluster, as one plugin enforces them."""

    policies: Sequence[Thing]
    blocks_hold_pods: bool

    def admits(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        """Both sides must: where the source may go, and whom the target lets in."""
        ways = ((source, target, "Egress"), (target, source, "Ingress"))
        return all(self._side(mine, other, way, (port, protocol)) for mine, other, way in ways)

    def _side(self, mine: End, other: End, way: str, port: tuple[int, str]) -> bool:
        if mine.address:
            return True
        about = [p for p in self.policies if way in p["spec"]["policyTypes"] and _chosen(p, mine)]
        rules = [(policy, rule) for policy in about for rule in policy["spec"].get(way.lower(), [])]
        return not about or any(self._rule(policy, rule, other, way, port) for policy, rule in rules)

    def _rule(self, policy: Thing, rule: Thing, other: End, way: str, port: tuple[int, str]) -> bool:
        ports = {(each["port"], each.get("protocol", "TCP")) for each in rule.get("ports", [])}
        peers = rule.get("to" if way == "Egress" else "from", [])
        return (not ports or port in ports) and (not peers or any(self._peer(policy, peer, other) for peer in peers))

    def _peer(self, policy: Thing, peer: Thing, other: End) -> bool:
        if "ipBlock" in peer:
            address = other.address or (POD if self.blocks_hold_pods else "")
            return bool(address) and _within(address, peer["ipBlock"])
        if other.address:
            return False
        here = other.namespace == policy["metadata"]["namespace"]
        there = matches(peer["namespaceSelector"], other.marks) if "namespaceSelector" in peer else here
        return there and matches(peer.get("podSelector", {}), other.labels)


def matches(selector: Thing, labels: Mapping[str, str]) -> bool:
    """A selector of Kubernetes; an empty one matches all."""
    rest = selector.get("matchExpressions", [])
    assert {each["operator"] for each in rest} <= {"In"}, f"a selector of a kind that nobody evaluates here: {selector}"
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return plain and all(labels.get(each["key"]) in each["values"] for each in rest)


def _chosen(policy: Thing, end: End) -> bool:
    return policy["metadata"]["namespace"] == end.namespace and matches(policy["spec"]["podSelector"], end.labels)


def _within(address: str, block: Thing) -> bool:
    one = ip_address(address)
    return one in ip_network(block["cidr"]) and not any(one in ip_network(each) for each in block.get("except", []))
