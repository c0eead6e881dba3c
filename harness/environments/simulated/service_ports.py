"""The ports of Services and who stands behind them, from Services and their Endpoints.

Owns: reading the two objects. Does not own: remembering what was read (`view.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cluster import Manifest
from harness.environments.simulated.signature import Backend, ServicePortView, Variant

Targets = list[tuple[int, list[tuple[int, str]]]]
"""(Service port, [(target port, pod)] of its ready addresses)."""


def targets_of(service: Manifest, endpoints: Manifest | None) -> Targets:
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


def port_views(targets: Targets, variants: Mapping[str, tuple[str, Variant]]) -> tuple[ServicePortView, ...]:
    """The ports with the pods that serve them, alike ones counted together."""
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
