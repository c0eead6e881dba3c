"""Preemption: whom the scheduler evicts so that a pod of higher priority finds room.

Owns: the choice of node and victims, as the real scheduler makes it: take away everything of lower priority, give
back as much as still fits, the most important first. Does not own: when it is tried (`scheduler.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.cluster import Manifest
from harness.environments.simulated.admission import priority
from harness.environments.simulated.controllers.placement import HELPLESS, refusal


class Eviction(NamedTuple):
    """A node, and who has to leave it."""

    node: str
    victims: tuple[Manifest, ...]


def find_eviction(
    pod: Manifest, nodes: Sequence[Manifest], by_node: Mapping[str, Sequence[Manifest]]
) -> Eviction | None:
    """The least harmful eviction that makes room; None when none does. Pods that are going already are gone."""
    found: list[Eviction] = []
    for node in nodes:
        name = node["metadata"]["name"]
        staying = [other for other in by_node.get(name, ()) if "deletionTimestamp" not in other["metadata"]]
        if refusal(pod, node, {name: staying}).startswith(HELPLESS):
            continue
        kept = [other for other in staying if priority(other) >= priority(pod)]
        if refusal(pod, node, {name: kept}):
            continue
        victims = []
        for other in sorted(staying, key=_importance):
            if priority(other) < priority(pod):
                if refusal(pod, node, {name: [*kept, other]}):
                    victims.append(other)
                else:
                    kept.append(other)
        found.append(Eviction(name, tuple(victims)))
    return min(found, key=_harm, default=None)


def _importance(pod: Manifest) -> tuple[int, str, str]:
    """The most important first: by priority, then the longest running."""
    return -priority(pod), pod.get("status", {}).get("startTime", "~"), pod["metadata"]["name"]


def _harm(eviction: Eviction) -> tuple[int, int, str]:
    highest = max(map(priority, eviction.victims), default=-(2**31))
    return highest, len(eviction.victims), eviction.node
