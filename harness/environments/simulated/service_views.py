"""What the request model needs to know about Services: their ports, and which ready pods stand behind each.

Owns: reading Services and Endpoints, again only where they or the pods behind them changed. Does not own: pods
(`view.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.cluster import Manifest
from harness.environments.simulated.signature import Backend, ServicePortView, Variant

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

Variants = Mapping[str, tuple[str, Variant]]
"""Ready pod -> its workload and variant."""


class ServiceFacts(NamedTuple):
    """What was read of one Service."""

    service: Manifest
    endpoints: Manifest | None
    targets: list[tuple[int, list[tuple[int, str]]]]
    pods: list[str]
    ports: tuple[ServicePortView, ...]


class ServiceViews:
    """The Services of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._known: dict[str, ServiceFacts] = {}
        self._variants: Variants = {}
        """What the last reading was given."""

    def read(
        self, store: ObjectStore, variants: Variants
    ) -> tuple[tuple[str, tuple[ServicePortView, ...]], ...]:
        """(name, ports) of every Service, by name."""
        services = store.list("Service", self._namespace)
        before, self._variants = self._variants, variants
        changed = {name for name, acting in variants.items() if before.get(name) != acting}
        changed |= before.keys() - variants.keys()
        return tuple(sorted([self._view(service, store, variants, changed) for service in services]))

    def _view(
        self, service: Manifest, store: ObjectStore, variants: Variants, changed: set[str]
    ) -> tuple[str, tuple[ServicePortView, ...]]:
        name = service["metadata"]["name"]
        endpoints = store.get("Endpoints", name, self._namespace)
        known = self._known.get(name)
        if known is None or known.service is not service or known.endpoints is not endpoints:
            targets = _targets(service, endpoints)
            pods = [pod for _, behind in targets for _, pod in behind]
            known = self._known[name] = ServiceFacts(
                service, endpoints, targets, pods, _ports(targets, variants)
            )
        elif not changed.isdisjoint(known.pods):
            known = self._known[name] = known._replace(ports=_ports(known.targets, variants))
        return name, known.ports


def _targets(service: Manifest, endpoints: Manifest | None) -> list[tuple[int, list[tuple[int, str]]]]:
    """(Service port, [(target port, pod)] of its ready addresses)."""
    subsets = (endpoints or {}).get("subsets") or ()
    found = []
    for port in service["spec"].get("ports") or ():
        behind = [
            (int(target["port"]), address.get("targetRef", {}).get("name", ""))
            for subset in subsets
            for target in subset.get("ports") or ()
            if target.get("name", "") == port.get("name", "")
            for address in subset.get("addresses") or ()
        ]
        found.append((int(port["port"]), behind))
    return found


def _ports(
    targets: list[tuple[int, list[tuple[int, str]]]], variants: Variants
) -> tuple[ServicePortView, ...]:
    views = []
    for port, behind in targets:
        counts: dict[tuple[str, int, Variant], int] = {}
        for target, pod in behind:
            if pod in variants:
                key = (variants[pod][0], target, variants[pod][1])
                counts[key] = counts.get(key, 0) + 1
        backends = (Backend(*key, n) for key, n in sorted(counts.items(), key=_by_backend))
        views.append(ServicePortView(port, tuple(backends)))
    return tuple(views)


def _by_backend(item: tuple[tuple[str, int, Variant], int]) -> Any:
    (workload, target, acting), _ = item
    return workload, target, acting.fields
