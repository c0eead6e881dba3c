"""Chaos experiments: which pods they hit, when they begin and end, and what they do to the pods themselves.

Owns: injection records and conditions, duration, pause, finalizers with their forced cleaning; the two effects
that change a pod (a failed pod's image, memory that runs out). Does not own: spawning (`schedules.py`), effects
on requests, which monitoring reads off the records (`disturbance.py`).

What was done inside a container can only be undone while it runs: an experiment whose target crash-loops keeps
its finalizer until the container is back, or until somebody forces the cleaning.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.chaos_objects import (
    FINALIZER,
    FORCED_CLEAN,
    INJECTED,
    NOT_INJECTED,
    ends_at,
    is_paused,
    records,
    selects,
    size_bytes,
)
from harness.environments.simulated.clock import Key, draw, epoch
from harness.environments.simulated.controllers.base import Controller, make_condition
from harness.environments.simulated.controllers.kubelet import PAUSE_IMAGE
from harness.environments.simulated.kinds import EXPERIMENTS
from harness.environments.simulated.quantity import parse_quantity
from harness.environments.simulated.store import Change, Manifests

if TYPE_CHECKING:
    from harness.environments.simulated.world import World

INJECT_S = 1.0
RETRY_S = 10.0
ORIGINAL_IMAGES = "chaos-mesh.org/original-images"
IN_CONTAINER = frozenset({"IOChaos", "JVMChaos", "StressChaos"})
"""Experiments that act inside a running container; the others act on the pod or its network."""
OWN_SHARE = 0.15
"""What a program holds of its memory limit at least, and all else of a node's memory."""


class ExperimentController(Controller):
    """Injects and recovers. An experiment's key is (kind/namespace, name)."""

    name = "chaos"
    watches = (*EXPERIMENTS, "Pod")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._blocked: dict[Key, set[str]] = {}
        """Experiments that wait for containers, with the ids of the pods."""

    def observe(self, change: Change) -> None:
        """An experiment that somebody changed; those that wait for a pod."""
        if change.kind == "Pod":
            pod = "/".join(change.key)
            for key in [key for key, pods in self._blocked.items() if pod in pods]:
                self.enqueue(key)
        elif _asked(change.old) != _asked(change.new):
            self.enqueue((f"{change.kind}/{change.key[0]}", change.key[1]))

    def reconcile(self, key: Key) -> None:
        """Bring the pods into the state that the experiment wants now."""
        kind, _, namespace = key[0].partition("/")
        experiment = self.store.get(kind, key[1], namespace)
        self._blocked.pop(key, None)
        if experiment is None:
            return
        metadata = experiment["metadata"]
        begins, ends = epoch(metadata["creationTimestamp"]) + INJECT_S, ends_at(experiment)
        deleting = "deletionTimestamp" in metadata
        if self.now < begins and not deleting:
            self.wake(key, begins)
            return
        wanted = not (deleting or is_paused(experiment) or self.now >= ends)
        done = records(experiment) or (self._select(experiment) if wanted else [])
        if wanted and not done:
            self.record(experiment, "Failed", "Failed to select targets: no pod is selected", warning=True)
            self.wake(key, self.now + RETRY_S)
        done = [self._bring(experiment, record, wanted) for record in done]
        waiting = {one["id"] for one in done if (one["phase"] == INJECTED) != wanted}
        if waiting:
            self._blocked[key] = waiting
        if wanted and ends < float("inf") and not records(experiment):
            self.wake(key, ends)
        experiment = self.store.put_status(experiment, self._status(experiment, done, wanted))
        if deleting and (not waiting or _is_forced(experiment)):
            kept = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
            self.store.put({**experiment, "metadata": {**experiment["metadata"], "finalizers": kept}})

    # --- records

    def _select(self, experiment: Manifest) -> Manifests:
        """Records of the pods that it hits; the other end of a network link is selected like the first."""
        spec = experiment["spec"]
        found = self._pods(spec.get("selector") or {}, str(spec.get("mode", "all")), experiment)
        done = [_new_record(pod, ".") for pod in found]
        target = spec.get("target")
        if found and isinstance(target, dict):
            peers = self._pods(target.get("selector") or {}, str(target.get("mode", "all")), experiment)
            done += [_new_record(pod, ".Target") for pod in peers]
        return done

    def _pods(self, selector: Manifest, mode: str, experiment: Manifest) -> Manifests:
        alive = [pod for pod in self.store.list("Pod") if "deletionTimestamp" not in pod["metadata"]]
        found = [pod for pod in alive if pod["spec"].get("nodeName") and selects(selector, pod)]
        if mode != "one" or not found:
            return found
        return [found[int(draw(self.world.seed, "mode one", experiment["metadata"]["uid"]) * len(found))]]

    def _bring(self, experiment: Manifest, record: Manifest, wanted: bool) -> Manifest:
        """The record after bringing its pod into the wanted state, if that can be done now."""
        if (record["phase"] == INJECTED) == wanted:
            return record
        namespace, _, name = record["id"].partition("/")
        pod = self.store.get("Pod", name, namespace)
        if pod is None:
            return record if wanted else {**record, "phase": NOT_INJECTED}
        container = _target_container(experiment, pod)
        if experiment["kind"] in IN_CONTAINER and not self._runs(pod, container):
            return record
        if wanted:
            self._inject(experiment, pod, container)
            self.record(experiment, "Applied", f"Successfully apply chaos for {record['id']}")
            return {**record, "phase": INJECTED, "injectedCount": record["injectedCount"] + 1}
        self._recover(experiment, pod)
        self.record(experiment, "Recovered", f"Successfully recover chaos for {record['id']}")
        return {**record, "phase": NOT_INJECTED, "recoveredCount": record["recoveredCount"] + 1}

    def _runs(self, pod: Manifest, container: str) -> bool:
        run = self.world.kubelet.run_of(pod, container)
        return run is not None and run.running

    def _status(self, experiment: Manifest, done: Manifests, wanted: bool) -> Manifest:
        injected = [record["phase"] == INJECTED for record in done]
        states = {
            "Selected": bool(done),
            "AllInjected": bool(done) and all(injected),
            "AllRecovered": not any(injected),
            "Paused": is_paused(experiment),
        }
        conditions = [make_condition(experiment, name, state, self.now) for name, state in states.items()]
        desired = {
            "desiredPhase": "Run" if wanted else "Stop",
            **({"containerRecords": done} if done else {}),
        }
        return {"conditions": conditions, "experiment": desired}

    # --- what is done to pods

    def _inject(self, experiment: Manifest, pod: Manifest, container: str) -> None:
        spec = experiment["spec"]
        if experiment["kind"] == "PodChaos" and spec.get("action") == "pod-failure":
            self._replace_images(pod)
        memory = spec.get("stressors", {}).get("memory")
        if memory and self._exhausts(pod, container, memory):
            after = 3 + 3 * draw(self.world.seed, "stress", pod["metadata"]["uid"], self.now)
            self.world.kubelet.exhaust_memory(pod, container, after)

    def _exhausts(self, pod: Manifest, container: str, stress: Manifest) -> bool:
        """Whether the stress and the program together exceed the container's limit, or the node's memory."""
        spec = next(entry for entry in pod["spec"]["containers"] if entry["name"] == container)
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        node = self.store.get("Node", pod["spec"]["nodeName"])
        if limit is None and node is None:
            return False
        whole = parse_quantity(node["status"]["allocatable"]["memory"] if limit is None else limit)  # type: ignore[index]
        return size_bytes(str(stress.get("size", "")), whole) >= whole * (1 - OWN_SHARE)

    def _replace_images(self, pod: Manifest) -> None:
        metadata, spec = pod["metadata"], pod["spec"]
        images = {entry["name"]: entry["image"] for entry in spec["containers"]}
        annotations = {**(metadata.get("annotations") or {}), ORIGINAL_IMAGES: json.dumps(images)}
        containers = [{**entry, "image": PAUSE_IMAGE} for entry in spec["containers"]]
        changed = {
            "metadata": {**metadata, "annotations": annotations},
            "spec": {**spec, "containers": containers},
        }
        self.store.put({**pod, **changed})

    def _recover(self, experiment: Manifest, pod: Manifest) -> None:
        metadata, spec = pod["metadata"], pod["spec"]
        annotations = dict(metadata.get("annotations") or {})
        if experiment["kind"] == "PodChaos" and ORIGINAL_IMAGES in annotations:
            images = json.loads(annotations.pop(ORIGINAL_IMAGES))
            containers = [{**entry, "image": images[entry["name"]]} for entry in spec["containers"]]
            changed = {"metadata": {**metadata, "annotations": annotations}}
            self.store.put({**pod, **changed, "spec": {**spec, "containers": containers}})


def _asked(experiment: Manifest | None) -> object:
    """What a person or the Schedule wants of an experiment."""
    if experiment is None:
        return None
    metadata = experiment["metadata"]
    fields = ("annotations", "deletionTimestamp", "finalizers")
    return experiment["spec"], [metadata.get(field) for field in fields]


def _is_forced(experiment: Manifest) -> bool:
    return (experiment["metadata"].get("annotations") or {}).get(FORCED_CLEAN) == "forced"


def _new_record(pod: Manifest, key: str) -> Manifest:
    identity = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    return {
        "id": identity,
        "selectorKey": key,
        "phase": NOT_INJECTED,
        "injectedCount": 0,
        "recoveredCount": 0,
    }


def _target_container(experiment: Manifest, pod: Manifest) -> str:
    """The container that it names, or the first."""
    names = [entry["name"] for entry in pod["spec"]["containers"]]
    wanted = experiment["spec"].get("containerNames") or names
    return str(next((name for name in wanted if name in names), names[0]))
