"""ReplicaSets: as many pods as asked for, made again when they go.

Owns: creating and removing pods, and the retry of refused creations. Does not own: which template or how many
(`deployments.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cluster import Forbidden, Manifest
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import (
    Controller,
    concerns_others,
    controller_of,
    counts,
    had_left,
    is_active,
    is_status_alone,
    is_true,
    key_of,
    make_condition,
)
from harness.environments.simulated.controllers.garbage import delete_object
from harness.environments.simulated.controllers.pods import available_at, create_pod, removal_rank
from harness.environments.simulated.store import Change

if TYPE_CHECKING:
    from harness.environments.simulated.world import World

FIRST_RETRY, LAST_RETRY = 1.28, 960.0
"""Seconds between attempts to create a refused pod: doubling, as the work queue's rate limiter does."""


class ReplicaSetController(Controller):
    """Keeps the number of active pods at `spec.replicas`."""

    name = "replicaset-controller"
    watches = ("ReplicaSet", "Pod", "ResourceQuota")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._refused: dict[Key, tuple[int, float]] = {}
        """(refusals in a row, time of the next attempt)."""

    def observe(self, change: Change) -> None:
        """A ReplicaSet, the owner of a pod, or all whose pods a changed quota had refused."""
        if change.kind == "Pod":
            owner = controller_of(change.last, "ReplicaSet")
            if owner and concerns_others(change) and not had_left(change):
                self.enqueue((change.key[0], owner))
        elif change.kind == "ReplicaSet":
            if change.old is None or change.new is None or change.old["spec"] != change.new["spec"]:
                self._refused.pop(change.key, None)
            if not is_status_alone(change):
                self.enqueue(change.key)
        else:
            for key in [key for key in self._refused if key[0] == change.key[0]]:
                self._refused[key] = (self._refused[key][0], self.now)
                self.enqueue(key)

    def reconcile(self, key: Key) -> None:
        """Create or remove pods, then write the status."""
        replica_set = self.store.get("ReplicaSet", key[1], key[0])
        if replica_set is None:
            self._refused.pop(key, None)
            return
        pods = self._pods(replica_set)
        missing = replica_set["spec"]["replicas"] - len(pods)
        failure = ""
        if missing > 0:
            failure = self._create(replica_set, missing)
        else:
            self._refused.pop(key, None)
            for pod in sorted(pods, key=removal_rank)[: max(0, -missing)]:
                self.record(replica_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
                delete_object(self.store, "Pod", key_of(pod))
        self._write_status(replica_set, self._pods(replica_set) if missing else pods, failure)

    def _pods(self, replica_set: Manifest) -> list[Manifest]:
        return [pod for pod in self.store.owned(replica_set["metadata"]["uid"], "Pod") if is_active(pod)]

    def _create(self, replica_set: Manifest, missing: int) -> str:
        """Create pods; the refusal, if any, is returned and tried again later."""
        key = key_of(replica_set)
        refusals, at = self._refused.get(key, (0, 0.0))
        if refusals and self.now < at:
            failed = [
                c
                for c in replica_set.get("status", {}).get("conditions", ())
                if c["type"] == "ReplicaFailure"
            ]
            return str(failed[0]["message"]) if failed else ""
        for _ in range(missing):
            try:
                pod = create_pod(self.world, replica_set)
            except Forbidden as error:
                self.record(replica_set, "FailedCreate", f"Error creating: {error}", warning=True)
                at = self.now + min(FIRST_RETRY * 2**refusals, LAST_RETRY)
                self._refused[key] = (refusals + 1, at)
                self.wake(key, at)
                return str(error)
            self.record(replica_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        self._refused.pop(key, None)
        return ""

    def _write_status(self, replica_set: Manifest, pods: list[Manifest], failure: str) -> None:
        due = [available_at(pod, replica_set["spec"].get("minReadySeconds", 0)) for pod in pods]
        later = [at for at in due if at is not None and at > self.now]
        if later:
            self.wake(key_of(replica_set), min(later))
        ready = sum(is_true(pod, "Ready") for pod in pods)
        status = {
            "replicas": len(pods),
            **counts(
                fullyLabeledReplicas=len(pods),
                readyReplicas=ready,
                availableReplicas=sum(at is not None and at <= self.now for at in due),
            ),
            "observedGeneration": replica_set["metadata"]["generation"],
        }
        if failure:
            entry = make_condition(replica_set, "ReplicaFailure", True, self.now, "FailedCreate", failure)
            status["conditions"] = [entry]
        self.store.put_status(replica_set, status)
