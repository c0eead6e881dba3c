"""StatefulSets: numbered pods, created in order and updated from the last to the first."""

from __future__ import annotations

from harness.cluster import Forbidden, Manifest
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import (
    Controller,
    concerns_others,
    controller_of,
    counts,
    is_true,
    key_of,
)
from harness.environments.simulated.controllers.garbage import delete_object
from harness.environments.simulated.controllers.pods import create_pod
from harness.environments.simulated.controllers.rollout import template_hash
from harness.environments.simulated.store import Change

REVISION_LABEL = "controller-revision-hash"


class StatefulSetController(Controller):
    """Ordered, one at a time."""

    name = "statefulset-controller"
    watches = ("StatefulSet", "Pod")

    def observe(self, change: Change) -> None:
        """A StatefulSet, or the owner of a pod."""
        if change.kind == "StatefulSet":
            self.enqueue(change.key)
        elif concerns_others(change) and (owner := controller_of(change.last, "StatefulSet")):
            self.enqueue((change.key[0], owner))

    def reconcile(self, key: Key) -> None:
        """Take one step: create the first missing pod, or remove one; then write the status."""
        stateful_set = self.store.get("StatefulSet", key[1], key[0])
        if stateful_set is None:
            return
        pods = {pod["metadata"]["name"]: pod for pod in self._pods(stateful_set)}
        revision = f"{key[1]}-{template_hash(stateful_set['spec']['template'])}"
        wanted = [f"{key[1]}-{number}" for number in range(stateful_set["spec"]["replicas"])]
        self._step(stateful_set, pods, wanted, revision)
        self._write_status(stateful_set, revision)

    def _pods(self, stateful_set: Manifest) -> list[Manifest]:
        return self.store.owned(stateful_set["metadata"]["uid"], "Pod")

    def _step(self, owner: Manifest, pods: dict[str, Manifest], wanted: list[str], revision: str) -> None:
        for name in wanted:
            pod = pods.get(name)
            if pod is None:
                self._create(owner, name, revision)
                return
            outdated = pod["metadata"]["labels"].get(REVISION_LABEL) != revision
            if "deletionTimestamp" in pod["metadata"] or not (is_true(pod, "Ready") or outdated):
                return
        surplus = [pods[name] for name in sorted(pods, key=_ordinal) if name not in wanted]
        if any("deletionTimestamp" in pod["metadata"] for pod in surplus):
            return
        stale = [
            pods[name] for name in wanted if pods[name]["metadata"]["labels"].get(REVISION_LABEL) != revision
        ]
        for pod in (surplus or stale)[-1:]:
            delete_object(self.store, "Pod", key_of(pod))

    def _create(self, owner: Manifest, name: str, revision: str) -> None:
        labels = {REVISION_LABEL: revision, "statefulset.kubernetes.io/pod-name": name}
        try:
            create_pod(self.world, owner, name, labels)
        except Forbidden as error:
            message = f"create Pod {name} in StatefulSet {owner['metadata']['name']} failed error: {error}"
            self.record(owner, "FailedCreate", message, warning=True)
            self.wake(key_of(owner), self.now + 60)
        else:
            message = f"create Pod {name} in StatefulSet {owner['metadata']['name']} successful"
            self.record(owner, "SuccessfulCreate", message)

    def _write_status(self, stateful_set: Manifest, revision: str) -> None:
        pods = [pod for pod in self._pods(stateful_set) if "deletionTimestamp" not in pod["metadata"]]
        ready = sum(is_true(pod, "Ready") for pod in pods)
        updated = sum(pod["metadata"]["labels"].get(REVISION_LABEL) == revision for pod in pods)
        status = {
            "observedGeneration": stateful_set["metadata"]["generation"],
            "replicas": len(pods),
            "updateRevision": revision,
            **counts(readyReplicas=ready, availableReplicas=ready, updatedReplicas=updated),
        }
        self.store.put_status(stateful_set, status)


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])
