"""The fault that is a Chaos Mesh Schedule.

Owns: ITBench fault 21. The Schedule is what the fault creates; the experiments that it spawns are its children
and count as cause too, whatever they are called. Does not own: what experiments do (Chaos Mesh, or the
simulation's `controllers/experiments.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.cluster import Cluster, Manifest, NotFound, ObjectRef, ref, wait_until
from scenarios.faults.base import Fault, Injection, KubernetesObject, delete_if_exists, find, refuse
from scenarios.faults.objects import is_ready

EXPERIMENTS = {
    "HTTPChaos": "httpChaos",
    "IOChaos": "ioChaos",
    "JVMChaos": "jvmChaos",
    "NetworkChaos": "networkChaos",
    "PodChaos": "podChaos",
    "StressChaos": "stressChaos",
}
"""Kind of an experiment -> field of the Schedule that describes it."""
PAUSE = "experiment.chaos-mesh.org/pause"
FORCED_CLEAN = "chaos-mesh.chaos-mesh.org/cleanFinalizer"
COMPONENT = "app.kubernetes.io/component"
ACTIVE_S = 120.0
"""How long upstream waits for an active experiment: 12 times 10 s."""
CLEAN_S = 60.0


class ScheduledChaosExperiment(Fault):
    """Fault 21: a Schedule that runs a chaos experiment every minute."""

    id = "scheduled-chaos-mesh-experiment"
    index = 21
    kubernetes_object: KubernetesObject[Literal["Schedule"]] = Field(alias="kubernetesObject")
    schedule_spec: dict[str, Any] = Field(alias="scheduleSpec")
    """`type` and the experiment's own field, e.g. `networkChaos`."""

    @model_validator(mode="after")
    def _described(self) -> ScheduledChaosExperiment:
        kind = self.schedule_spec.get("type")
        field = EXPERIMENTS.get(str(kind))
        if field is None:
            raise ValueError(f"scheduleSpec.type: found {kind!r}; expected one of {', '.join(EXPERIMENTS)}")
        if not isinstance(self.schedule_spec.get(field), dict):
            raise ValueError(f"scheduleSpec.{field}: expected the experiment of a {kind}")
        return self

    @property
    def target(self) -> ObjectRef:
        """The Schedule."""
        return self.kubernetes_object.ref

    @property
    def kind(self) -> str:
        """The kind of the experiment."""
        return str(self.schedule_spec["type"])

    @property
    def experiment(self) -> dict[str, Any]:
        """The experiment's spec."""
        found: dict[str, Any] = self.schedule_spec[EXPERIMENTS[self.kind]]
        return found

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target,)

    def workloads(self) -> tuple[ObjectRef, ...]:
        """The Deployments whose pods the experiment hits, going by the component label."""
        selector = self.experiment.get("selector") or {}
        name = (selector.get("labelSelectors") or {}).get(COMPONENT)
        return tuple(
            ObjectRef("Deployment", name, space) for space in selector.get("namespaces") or () if name
        )

    def inject(self, cluster: Cluster) -> Injection:
        if not any(self._victims(cluster)):
            raise refuse(self, self.target, "its selector matches no pod: not found")
        time = cluster.now()
        spec = {
            **self.schedule_spec,
            "schedule": "* * * * *",
            "concurrencyPolicy": "Forbid",
            "historyLimit": 1,
        }
        metadata = {"name": self.target.name, "namespace": self.target.namespace}
        version = self.kubernetes_object.api_version
        cluster.apply({"apiVersion": version, "kind": "Schedule", "metadata": metadata, "spec": spec})
        if not wait_until(cluster, lambda: any(map(_all_injected, self._children(cluster))), ACTIVE_S):
            raise refuse(self, self.target, f"no experiment was injected within {ACTIVE_S:.0f} s")
        return self.record(cluster, time, created=(self.target,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        """The Schedule goes on firing, and an experiment stands or stood a moment ago."""
        schedule = find(cluster, self.target)
        return schedule is not None and not _is_paused(schedule) and any(self._children(cluster))

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """No Schedule and no experiment, by any name, selects these pods, and the pods are there and ready."""
        if any(self._standing(cluster)):
            return False
        return any(is_ready(pod) for pod in self._victims(cluster))

    def undo(self, cluster: Cluster, injection: Injection) -> None:
        """Pause, wait for the experiments to recover, delete; force the cleaning of those that hang."""
        if find(cluster, self.target) is not None:
            self._annotate(cluster, self.target, PAUSE, "true")
            wait_until(cluster, lambda: all(map(_is_recovered, self._children(cluster))), CLEAN_S)
            children = [ref(child) for child in self._children(cluster)]
            delete_if_exists(cluster, self.target)
            wait_until(cluster, lambda: not any(find(cluster, child) for child in children), CLEAN_S)
            for child in children:
                if find(cluster, child) is not None:
                    self._annotate(cluster, child, FORCED_CLEAN, "forced")
            wait_until(cluster, lambda: not any(find(cluster, child) for child in children), CLEAN_S)

    # --- inside

    def _annotate(self, cluster: Cluster, target: ObjectRef, name: str, value: str) -> None:
        patch = {"metadata": {"annotations": {name: value}}}
        try:
            cluster.patch(target.kind, target.name, target.namespace, patch, "merge")
        except NotFound:
            return

    def _children(self, cluster: Cluster) -> Iterator[Manifest]:
        for child in cluster.list(self.kind, self.target.namespace):
            owners = child["metadata"].get("ownerReferences", [])
            if any(owner["kind"] == "Schedule" and owner["name"] == self.target.name for owner in owners):
                yield child

    def _standing(self, cluster: Cluster) -> Iterator[Manifest]:
        """Schedules and experiments of any kind that select the pods which this experiment selects."""
        for schedule in cluster.list("Schedule"):
            field = EXPERIMENTS.get(str(schedule["spec"].get("type")), "")
            if self._same_pods(schedule["spec"].get(field) or {}):
                yield schedule
        yield from (found for found in cluster.list(self.kind) if self._same_pods(found.get("spec") or {}))

    def _same_pods(self, spec: Manifest) -> bool:
        mine, other = self.experiment.get("selector") or {}, spec.get("selector") or {}
        return all(mine.get(key) == other.get(key) for key in ("namespaces", "labelSelectors"))

    def _victims(self, cluster: Cluster) -> Iterator[Manifest]:
        selector = self.experiment.get("selector") or {}
        for namespace in selector.get("namespaces") or ():
            yield from cluster.list("Pod", namespace, selector.get("labelSelectors") or {})


def _is_paused(manifest: Manifest) -> bool:
    return (manifest["metadata"].get("annotations") or {}).get(PAUSE) == "true"


def _condition(experiment: Manifest, name: str) -> bool:
    conditions = experiment.get("status", {}).get("conditions", [])
    return any(entry["type"] == name and entry["status"] == "True" for entry in conditions)


def _all_injected(experiment: Manifest) -> bool:
    return _condition(experiment, "AllInjected")


def _is_recovered(experiment: Manifest) -> bool:
    return _condition(experiment, "AllRecovered")
