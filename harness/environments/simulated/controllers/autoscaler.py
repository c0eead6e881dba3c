"""HorizontalPodAutoscalers: as many replicas as bring the utilisation of requests to its target.

Owns: the arithmetic of resource metrics, tolerance, limits of speed and the delay before scaling down. Does not
own: what pods use (the runtime). Metrics of other types are not known here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.admission import requested
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import Controller, is_true, make_condition
from harness.environments.simulated.store import Change, carries

if TYPE_CHECKING:
    from harness.environments.simulated.world import World

PERIOD = 30.0
TOLERANCE = 0.1
SETTLE_DOWN = 300.0
"""Seconds for which the highest recommendation holds before replicas are taken away."""
STEP_PODS = 4
"""In one step the replicas at most double or grow by this, whichever is more."""


class AutoscalerController(Controller):
    """Scales Deployments."""

    name = "horizontal-pod-autoscaler"
    watches = ("HorizontalPodAutoscaler",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._recommended: dict[Key, list[tuple[float, int]]] = {}
        self._due: dict[Key, float] = {}

    def observe(self, change: Change) -> None:
        """A new or changed autoscaler; its status does not matter."""
        if change.old is None or change.new is None or change.old["spec"] != change.new["spec"]:
            self.enqueue(change.key)

    def reconcile(self, key: Key) -> None:
        """Look at the metrics, scale, and look again later."""
        autoscaler = self.store.get("HorizontalPodAutoscaler", key[1], key[0])
        if autoscaler is None:
            self._recommended.pop(key, None)
            self._due.pop(key, None)
            return
        if self._due.get(key, 0.0) <= self.now:
            self._due[key] = self.now + PERIOD
            self.wake(key, self.now + PERIOD)
        target = self.store.get("Deployment", autoscaler["spec"]["scaleTargetRef"]["name"], key[0])
        if target is None or not target["spec"]["replicas"]:
            return
        current = int(target["spec"]["replicas"])
        metrics, wanted = self._measure(autoscaler, target, current)
        desired = self._bounded(key, autoscaler, current, wanted)
        if desired != current:
            self.store.put({**target, "spec": {**target["spec"], "replicas": desired}})
            self.record(autoscaler, "SuccessfulRescale", f"New size: {desired}; reason: resource utilization")
        self._write_status(autoscaler, target, desired, metrics)

    def _measure(
        self, autoscaler: Manifest, target: Manifest, current: int
    ) -> tuple[list[Manifest], int | None]:
        """Present metrics, and the replicas that they ask for; None when no metric can be had."""
        labels = target["spec"]["selector"]["matchLabels"]
        pods = [
            pod
            for pod in self.store.list("Pod", target["metadata"]["namespace"])
            if carries(pod, labels) and is_true(pod, "Ready")
        ]
        metrics: list[Manifest] = []
        wanted: list[int] = []
        for metric in autoscaler["spec"].get("metrics") or ():
            resource, percent = metric["resource"]["name"], metric["resource"]["target"]["averageUtilization"]
            asked = sum(requested(pod, resource) for pod in pods)
            if not asked:
                continue
            place = ("cpu", "memory").index(resource)
            used = sum(self.world.runtime.pod_usage(pod, self.now)[place] for pod in pods)
            ratio = used / asked * 100 / percent
            near = abs(ratio - 1) <= TOLERANCE
            wanted.append(current if near else math.ceil(len(pods) * ratio))
            shown = {"name": resource, "current": {"averageUtilization": round(used / asked * 100)}}
            metrics.append({"type": "Resource", "resource": shown})
        return metrics, max(wanted, default=None)

    def _bounded(self, key: Key, autoscaler: Manifest, current: int, wanted: int | None) -> int:
        spec = autoscaler["spec"]
        kept = self._recommended.get(key, [(self.now, current)])
        if wanted is None:
            return current
        recent = [(time, count) for time, count in kept if time > self.now - SETTLE_DOWN]
        self._recommended[key] = [*recent, (self.now, wanted)]
        highest = max(count for _, count in self._recommended[key])
        desired = (
            min(wanted, max(2 * current, current + STEP_PODS)) if wanted > current else min(current, highest)
        )
        return max(int(spec.get("minReplicas", 1)), min(desired, int(spec["maxReplicas"])))

    def _write_status(
        self, autoscaler: Manifest, target: Manifest, desired: int, metrics: list[Manifest]
    ) -> None:
        limited = desired >= int(autoscaler["spec"]["maxReplicas"])
        reason = "TooManyReplicas" if limited else "DesiredWithinRange"
        status = {
            "currentReplicas": int(target.get("status", {}).get("replicas", 0)),
            "desiredReplicas": desired,
            "currentMetrics": metrics,
            "conditions": [
                make_condition(autoscaler, "AbleToScale", True, self.now, "ReadyForNewScale"),
                make_condition(autoscaler, "ScalingActive", bool(metrics), self.now, "ValidMetricFound"),
                make_condition(autoscaler, "ScalingLimited", limited, self.now, reason),
            ],
        }
        self.store.put_status(autoscaler, status)
