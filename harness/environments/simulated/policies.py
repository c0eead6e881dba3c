"""Network policies: which callers a pod's ports are closed to.

Owns: the semantics of ingress rules. Does not own: what a caller experiences (`barriers.py`). Egress rules have
no effect here. A pod that no policy selects is open; one that a policy selects admits what some rule admits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.controllers.placement import matches_selector

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

Labels = Mapping[str, str]
EVERYWHERE = ("0.0.0.0/0", "::/0")


class Policies:
    """The network policies of one namespace at one time."""

    def __init__(self, store: ObjectStore, namespace: str) -> None:
        found = [policy["spec"] for policy in store.list("NetworkPolicy", namespace)]
        self._specs = [spec for spec in found if "Ingress" in (spec.get("policyTypes") or ["Ingress"])]
        self._namespace = {"kubernetes.io/metadata.name": namespace}
        if self._specs:
            labels = (store.get("Namespace", namespace) or {}).get("metadata", {}).get("labels") or {}
            self._namespace |= labels

    def __bool__(self) -> bool:
        return bool(self._specs)

    def closed(self, pod: Manifest, callers: Mapping[str, Labels]) -> tuple[tuple[str, int], ...]:
        """(caller, port) that the pod does not admit, of these callers and the ports that it declares."""
        labels = pod["metadata"].get("labels") or {}
        selecting = [spec for spec in self._specs if matches_selector(spec.get("podSelector") or {}, labels)]
        if not selecting:
            return ()
        rules = [rule for spec in selecting for rule in spec.get("ingress") or ()]
        return tuple(
            (caller, number)
            for number, name in _ports(pod)
            for caller, own in callers.items()
            if not any(_on_port(rule, number, name) and self._admits(rule, own) for rule in rules)
        )

    def _admits(self, rule: Manifest, caller: Labels) -> bool:
        peers = rule.get("from") or ()
        return not peers or any(self._is_peer(peer, caller) for peer in peers)

    def _is_peer(self, peer: Manifest, caller: Labels) -> bool:
        if "ipBlock" in peer:
            return peer["ipBlock"].get("cidr") in EVERYWHERE
        spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector")
        in_namespace = spaces is None or matches_selector(spaces, self._namespace)
        return in_namespace and (pods is None or matches_selector(pods, caller))


def _ports(pod: Manifest) -> Iterable[tuple[int, str]]:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            yield int(port["containerPort"]), str(port.get("name", ""))


def _on_port(rule: Manifest, number: int, name: str) -> bool:
    """Whether a rule covers a port; one without ports covers all."""
    ports: Sequence[Manifest] = rule.get("ports") or ()
    return not ports or any(_is_port(port, number, name) for port in ports)


def _is_port(port: Manifest, number: int, name: str) -> bool:
    wanted = port.get("port")
    if port.get("protocol", "TCP") != "TCP":
        return False
    if isinstance(wanted, int):
        return wanted <= number <= int(port.get("endPort", wanted))
    return wanted is None or wanted == name
