"""Deployments: rollouts by way of ReplicaSets.

Owns: which ReplicaSet a template has, revisions, the order of scaling up and down, and cleaning up history.
Does not own: the arithmetic and conditions (`rollout.py`), pods (`replicasets.py`). The old ReplicaSet keeps
its pods until the new one's are available, as the real controller's rules have it.
"""

from __future__ import annotations

from harness.cluster import REVISION, Manifest, revision_of
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import (
    Controller,
    controller_of,
    is_status_alone,
    owner_reference,
)
from harness.environments.simulated.controllers.garbage import delete_object
from harness.environments.simulated.controllers.rollout import (
    HASH_LABEL,
    deployment_status,
    labelled_template,
    progress_deadline,
    same_template,
    surge_and_unavailable,
    template_hash,
    total,
)
from harness.environments.simulated.kinds import KINDS
from harness.environments.simulated.store import Change

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
HISTORY = "deployment.kubernetes.io/revision-history"


class DeploymentController(Controller):
    """Moves a Deployment's replicas from old templates to the present one."""

    name = "deployment-controller"
    watches = ("Deployment", "ReplicaSet", "Pod")

    def observe(self, change: Change) -> None:
        """A Deployment of which more than the status changed, which is written here; or the owner of a ReplicaSet or
        of a pod that went (Recreate waits for those)."""
        namespace, name = change.key
        if change.kind == "Pod":
            name = "" if change.new is not None else self._waits_for(change.last)
        elif change.kind == "ReplicaSet":
            name = controller_of(change.last, "Deployment")
        elif is_status_alone(change):
            return
        if name:
            self.enqueue((namespace, name))

    def _waits_for(self, pod: Manifest) -> str:
        """The Deployment that goes on when this pod has gone; empty for one that replaces its pods as it goes."""
        namespace = pod["metadata"]["namespace"]
        owner = self.store.get("ReplicaSet", controller_of(pod, "ReplicaSet"), namespace)
        name = controller_of(owner, "Deployment") if owner else ""
        deployment = self.store.get("Deployment", name, namespace)
        return name if deployment and deployment["spec"]["strategy"]["type"] == "Recreate" else ""

    def reconcile(self, key: Key) -> None:
        """Take the next step of a rollout or of scaling, then write the status."""
        deployment = self.store.get("Deployment", key[1], key[0])
        if deployment is None:
            return
        sets = self.store.owned(deployment["metadata"]["uid"], "ReplicaSet")
        new = next((rs for rs in sets if same_template(rs, deployment["spec"]["template"])), None)
        old = [rs for rs in sets if rs is not new]
        event = ""
        if deployment["spec"].get("paused") or self._was_scaled(deployment, sets):
            self._scale(deployment, new, old)
        elif deployment["spec"]["strategy"]["type"] == "Recreate":
            if self._emptied(deployment, old):
                new, event = self._current(deployment, new, old)
                self._set_replicas(deployment, new, deployment["spec"]["replicas"])
        else:
            new, event = self._current(deployment, new, old)
            self._roll(deployment, new, old)
        self._finish(key, new, event)

    def _current(
        self, deployment: Manifest, new: Manifest | None, old: list[Manifest]
    ) -> tuple[Manifest, str]:
        """The ReplicaSet of the present template, made if there is none, with the highest revision."""
        latest = max([revision_of(rs) for rs in old], default=0)
        event = ""
        if new is None:
            new = self._create(deployment, latest + 1)
            event = "NewReplicaSetCreated"
        elif revision_of(new) < latest:
            annotations = {**new["metadata"]["annotations"]}
            before = annotations.get(HISTORY)
            annotations[HISTORY] = ",".join(filter(None, [before, annotations[REVISION]]))
            annotations[REVISION] = str(latest + 1)
            new = self.store.put({**new, "metadata": {**new["metadata"], "annotations": annotations}})
            event = "FoundNewReplicaSet"
        revision = new["metadata"]["annotations"][REVISION]
        metadata = deployment["metadata"]
        if metadata.get("annotations", {}).get(REVISION) != revision:
            annotations = {**metadata.get("annotations", {}), REVISION: revision}
            self.store.put({**deployment, "metadata": {**metadata, "annotations": annotations}})
        return new, event

    def _create(self, deployment: Manifest, revision: int) -> Manifest:
        metadata, spec = deployment["metadata"], deployment["spec"]
        hash_ = template_hash(spec["template"])
        template = labelled_template(spec["template"], hash_)
        selector = spec["selector"]
        replica_spec: Manifest = {
            "replicas": 0,
            "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), HASH_LABEL: hash_}},
            "template": template,
        }
        if spec.get("minReadySeconds"):
            replica_spec["minReadySeconds"] = spec["minReadySeconds"]
        return self.store.put(
            {
                "apiVersion": KINDS["ReplicaSet"].api_version,
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{metadata['name']}-{hash_}",
                    "namespace": metadata["namespace"],
                    "labels": template["metadata"]["labels"],
                    "annotations": {REVISION: str(revision)},
                    "ownerReferences": [owner_reference(deployment)],
                },
                "spec": replica_spec,
                "status": {"replicas": 0},
            }
        )

    # --- one step

    def _roll(self, deployment: Manifest, new: Manifest, old: list[Manifest]) -> None:
        """One step of a rolling update: scale the new set up if that is allowed, else the old ones down."""
        desired, current = deployment["spec"]["replicas"], new["spec"]["replicas"]
        surge, unavailable = surge_and_unavailable(deployment)
        wanted = desired
        if current < desired:
            wanted = current + max(0, min(desired + surge - total([new, *old]), desired - current))
        if wanted != current:
            self._set_replicas(deployment, new, wanted)
            return
        self._annotate(deployment, new)
        minimum = desired - unavailable
        not_available = current - total([new], "availableReplicas")
        spare = total([new, *old]) - minimum - not_available
        old = self._give_up_unhealthy(deployment, old, spare)
        spare = total([new, *old], "availableReplicas") - minimum
        for replica_set in old:
            removed = min(replica_set["spec"]["replicas"], max(0, spare))
            self._set_replicas(deployment, replica_set, replica_set["spec"]["replicas"] - removed)
            spare -= removed

    def _give_up_unhealthy(self, deployment: Manifest, old: list[Manifest], spare: int) -> list[Manifest]:
        """Scale down old replicas that serve nobody anyway."""
        left = []
        for replica_set in old:
            replicas = replica_set["spec"]["replicas"]
            removed = max(0, min(spare, replicas - total([replica_set], "availableReplicas")))
            left.append(self._set_replicas(deployment, replica_set, replicas - removed))
            spare -= removed
        return left

    def _emptied(self, deployment: Manifest, old: list[Manifest]) -> bool:
        """Recreate: scale all old sets to zero; True once none of their pods is left."""
        pods = [pod for rs in old for pod in self.store.owned(rs["metadata"]["uid"], "Pod")]
        for replica_set in old:
            self._set_replicas(deployment, replica_set, 0)
        return not any(pod.get("status", {}).get("phase") not in ("Succeeded", "Failed") for pod in pods)

    def _was_scaled(self, deployment: Manifest, sets: list[Manifest]) -> bool:
        desired = str(deployment["spec"]["replicas"])
        active = [rs for rs in sets if rs["spec"]["replicas"]]
        return any(rs["metadata"]["annotations"].get(DESIRED, desired) != desired for rs in active)

    def _scale(self, deployment: Manifest, new: Manifest | None, old: list[Manifest]) -> None:
        """Pass a changed replica count on to the sets, in proportion while a rollout is under way."""
        desired = deployment["spec"]["replicas"]
        active = [rs for rs in [*old, *([new] if new else [])] if rs["spec"]["replicas"]]
        if len(active) <= 1:
            latest = active or ([new] if new else old[-1:])
            for replica_set in latest:
                self._set_replicas(deployment, replica_set, desired)
            return
        surge, _ = surge_and_unavailable(deployment)
        left = (desired + surge if desired else 0) - total(active)
        active.sort(key=lambda rs: rs["spec"]["replicas"], reverse=True)
        for number, replica_set in enumerate(active):
            share = self._share(replica_set, desired + surge, left) if number else 0
            if not number:
                others = sum(self._share(rs, desired + surge, left) for rs in active[1:])
                share = left - others
            self._set_replicas(deployment, replica_set, max(0, replica_set["spec"]["replicas"] + share))

    def _share(self, replica_set: Manifest, allowed: int, left: int) -> int:
        replicas = int(replica_set["spec"]["replicas"])
        maximum = int(replica_set["metadata"]["annotations"].get(MAXIMUM, 0)) or allowed
        share = round(replicas * allowed / maximum) - replicas
        return min(max(share, 0), left) if left > 0 else max(min(share, 0), left)

    def _set_replicas(self, deployment: Manifest, replica_set: Manifest, wanted: int) -> Manifest:
        before = replica_set["spec"]["replicas"]
        if before == wanted:
            return replica_set if not before else self._annotate(deployment, replica_set)
        direction = "up" if wanted > before else "down"
        name = replica_set["metadata"]["name"]
        message = f"Scaled {direction} replica set {name} from {before} to {wanted}"
        self.record(deployment, "ScalingReplicaSet", message)
        scaled = {**replica_set, "spec": {**replica_set["spec"], "replicas": wanted}}
        return self._annotate(deployment, scaled)

    def _annotate(self, deployment: Manifest, replica_set: Manifest) -> Manifest:
        """Store the set with the desired and maximal counts that it was scaled for."""
        desired, (surge, _) = deployment["spec"]["replicas"], surge_and_unavailable(deployment)
        wanted = {DESIRED: str(desired), MAXIMUM: str(desired + surge)}
        metadata = replica_set["metadata"]
        if wanted.items() <= metadata["annotations"].items():
            return self.store.put(replica_set)
        return self.store.put(
            {**replica_set, "metadata": {**metadata, "annotations": {**metadata["annotations"], **wanted}}}
        )

    # --- afterwards

    def _finish(self, key: Key, new: Manifest | None, event: str) -> None:
        deployment = self.store.get("Deployment", key[1], key[0])
        assert deployment is not None
        sets = self.store.owned(deployment["metadata"]["uid"], "ReplicaSet")
        current = next((rs for rs in sets if new and rs["metadata"]["name"] == new["metadata"]["name"]), None)
        status = deployment_status(deployment, current, sets, self.now, event)
        stored = self.store.put_status(deployment, status)
        due = progress_deadline(stored)
        if due is not None and stored is not deployment:
            self.wake(key, due)
        idle = [rs for rs in sets if rs is not current and not rs["spec"]["replicas"]]
        surplus = len(idle) - stored["spec"]["revisionHistoryLimit"]
        for replica_set in sorted(idle, key=revision_of)[: max(0, surplus)]:
            delete_object(self.store, "ReplicaSet", (key[0], replica_set["metadata"]["name"]))
