"""The scheduler: binds pods to nodes, or says why it cannot.

Owns: which node wins, the PodScheduled condition, and when a pod that found no place is tried again. Does not
own: the filters (`placement.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.admission import priority, requested
from harness.environments.simulated.clock import Key, draw
from harness.environments.simulated.controllers.base import Controller, key_of, make_condition
from harness.environments.simulated.controllers.garbage import delete_object
from harness.environments.simulated.controllers.placement import explain, refusal
from harness.environments.simulated.controllers.preemption import Eviction, find_eviction
from harness.environments.simulated.controllers.volumes import waits_for_claim
from harness.environments.simulated.quantity import parse_quantity
from harness.environments.simulated.store import Change

if TYPE_CHECKING:
    from harness.environments.simulated.world import World

RETRY = 300.0
"""Seconds after which an unschedulable pod is tried again although nothing relevant changed."""


class Scheduler(Controller):
    """Finds a node for each pod that has none."""

    name = "default-scheduler"
    watches = ("Pod", "Node", "PersistentVolumeClaim")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._waiting: dict[Key, float] = {}
        """Pods that found no place, with the time of their next routine attempt."""
        self._nominated: dict[Key, str] = {}
        """Pods for which others are being evicted, with their node."""

    def observe(self, change: Change) -> None:
        """A new pod; or, when room, claims or rules may have changed, every pod that waits."""
        if change.kind == "Pod" and change.new is not None:
            if not change.new["spec"].get("nodeName"):
                if change.old is None or change.old["spec"] != change.new["spec"]:
                    self.enqueue(change.key)
                return
            relabelled = change.old and change.old["metadata"].get("labels") != change.new["metadata"].get(
                "labels"
            )
            if not relabelled:
                return
        self._waiting.pop(change.key, None)
        for key in self._waiting:
            self.enqueue(key)

    def reconcile(self, key: Key) -> None:
        """Bind one pod, or note why not."""
        pod = self.store.get("Pod", key[1], key[0])
        if pod is None or pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
            self._waiting.pop(key, None)
            self._nominated.pop(key, None)
            return
        nodes, by_node = self.store.list("Node"), self._by_node(besides=key)
        claim = waits_for_claim(pod, self.store)
        if claim:
            outlook = f"{len(nodes)} Preemption is not helpful for scheduling"
            available = f"0/{len(nodes)} nodes are available: "
            self._postpone(key, pod, f"{available}{claim}. preemption: {available}{outlook}.")
            return
        reasons = {node["metadata"]["name"]: refusal(pod, node, by_node) for node in nodes}
        feasible = [node for node in nodes if not reasons[node["metadata"]["name"]]]
        if feasible:
            self._waiting.pop(key, None)
            self._nominated.pop(key, None)
            self._bind(pod, min(feasible, key=lambda node: self._load(pod, node, by_node)))
        else:
            message = explain(list(reasons.values())) if nodes else "no nodes available to schedule pods"
            self._postpone(key, pod, message)
            if priority(pod) > 0:
                self._preempt(key, pod, find_eviction(pod, nodes, by_node))

    def _preempt(self, key: Key, pod: Manifest, eviction: Eviction | None) -> None:
        """Evict the victims; the pod waits on until they are gone."""
        if eviction is None:
            self._nominated.pop(key, None)
            return
        self._nominated[key] = eviction.node
        for victim in eviction.victims:
            by = f"pod {pod['metadata']['uid']} on node {eviction.node}"
            self.record(victim, "Preempted", f"Preempted by {by}", warning=True)
            delete_object(self.store, "Pod", key_of(victim))

    def _by_node(self, besides: Key) -> dict[str, list[Manifest]]:
        """Pods by node, with those of at least the priority of `besides` for which room is being made."""
        by_node: dict[str, list[Manifest]] = {}
        for pod in self.store.list("Pod"):
            node = pod["spec"].get("nodeName")
            if node and pod["status"].get("phase") not in ("Succeeded", "Failed"):
                by_node.setdefault(node, []).append(pod)
        asking = self.store.get("Pod", besides[1], besides[0])
        for key, node in self._nominated.items():
            other = self.store.get("Pod", key[1], key[0])
            if (
                key != besides
                and other is not None
                and asking is not None
                and priority(other) >= priority(asking)
            ):
                by_node.setdefault(node, []).append(other)
        return by_node

    def _load(self, pod: Manifest, node: Manifest, by_node: dict[str, list[Manifest]]) -> tuple[float, float]:
        """Requested share of the node's memory, then pods, then a seeded toss."""
        name, present = node["metadata"]["name"], by_node.get(node["metadata"]["name"], [])
        memory = sum(requested(other, "memory") for other in present)
        share = memory / parse_quantity(node["status"]["allocatable"]["memory"])
        return share + len(present) / 110, draw(self.world.seed, pod["metadata"]["uid"], name)

    def _bind(self, pod: Manifest, node: Manifest) -> None:
        metadata, name = pod["metadata"], node["metadata"]["name"]
        scheduled = make_condition(pod, "PodScheduled", True, self.now)
        self.store.put(
            {
                **pod,
                "spec": {**pod["spec"], "nodeName": name},
                "status": {**pod["status"], "conditions": [scheduled]},
            }
        )
        self.record(
            pod, "Scheduled", f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {name}"
        )

    def _postpone(self, key: Key, pod: Manifest, message: str) -> None:
        self.record(pod, "FailedScheduling", message, warning=True)
        entry = make_condition(pod, "PodScheduled", False, self.now, "Unschedulable", message)
        self.store.put_status(pod, {**pod["status"], "conditions": [entry]})
        if self._waiting.get(key, 0.0) <= self.now:
            self._waiting[key] = self.now + RETRY
            self.wake(key, self.now + RETRY)
