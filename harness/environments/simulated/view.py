"""What the request model needs to know about the objects of the cluster.

Owns: reading pods and the flag ConfigMap into a `Signature`; which flag values each pod
holds. Does not own: what follows for requests (`request_model.py`).
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.cluster import Manifest
from harness.environments.simulated.api_load import api_requests, strain_ms
from harness.environments.simulated.disturbances import DisturbedPods
from harness.environments.simulated.mesh import Mesh
from harness.environments.simulated.pod_facts import PodFacts, container_of, read_pod
from harness.environments.simulated.policies import Policies
from harness.environments.simulated.programs import settings
from harness.environments.simulated.service_views import ServiceViews
from harness.environments.simulated.signature import Signature, Variant
from scenarios.applications.schema import Application, Workload

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

COMPONENT = "app.kubernetes.io/component"
Flags = Mapping[str, float]
"""Feature flag -> value of its active variant; flags that are off (zero) are absent."""
IRRELEVANT = frozenset({"Pod", "ReplicaSet", "Deployment"})
"""Kinds whose writes change a signature by way of pods only."""


class Reading(NamedTuple):
    """A signature with what it was read from."""

    pods: list[PodFacts]
    """The pods that it depends on: the ready ones, or all where policies look at callers."""
    mark: int
    """Version of the last write to any other kind that it depends on."""
    signature: Signature


class ClusterView:
    """Reads the store, remembering what it read of unchanged pods and which flags each pod cached."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.flags_of: dict[str, Flags] = {}
        """Pod uid -> flag values read when its container started (flag servers and caching clients)."""
        self.doomed: set[str] = set()
        """Uids of pods whose program dies before it serves anybody, ready or not."""
        self.disturbed = DisturbedPods()
        self.stand_ins: set[str] = set()
        """Uids of pods of which a foreign command runs the application's program."""
        self.read_env: dict[str, tuple[tuple[str, str], ...]] = {}
        """Pod uid -> credentials (name, value) that its program read when it started."""
        self._pods: dict[int, PodFacts] = {}
        """By the identity of the manifest, which each of them holds: no other object can take it over."""
        self._last: Reading | None = None
        self._actors: dict[int, tuple[PodFacts, Flags, Variant]] = {}
        """(pod, live flags, the pod as it acts) of the last signature."""
        self._services = ServiceViews(application.namespace)
        self._namespace = application.namespace
        self._components = {w.component or name: name for name, w in application.workloads.items()}
        self._labelled = [(w.labels.items(), name) for name, w in application.workloads.items() if w.labels]
        self._credentials = {name: credential_names(w) for name, w in application.workloads.items()}

    def __getstate__(self) -> dict[str, Any]:
        kept = ("application", "flags_of", "doomed", "stand_ins", "read_env")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["application"])  # type: ignore[misc]
        self.__dict__.update(state)

    def pods(self, store: ObjectStore) -> list[PodFacts]:
        """All pods of the cluster."""
        known = self._pods
        found = [known.get(id(pod)) or self._read(pod) for pod in store.list("Pod")]
        self._pods = {id(facts.manifest): facts for facts in found}
        return found

    def _read(self, pod: Manifest) -> PodFacts:
        name = self.workload_of(pod)
        return read_pod(pod, name, self.application.workloads.get(name))

    def signature(self, store: ObjectStore, pods: list[PodFacts]) -> Signature:
        """The current signature: the last one, unless something that it depends on was written since. What a pod read
        when it started goes with its manifest, which tells the start."""
        policies, mark = Policies(store, self._namespace), store.last_write(IRRELEVANT)
        asked = pods if policies else [pod for pod in pods if pod.ready]
        last = self._last
        if last is None or last.mark != mark or not same_objects(last.pods, asked):
            self._last = last = Reading(asked, mark, self._read_signature(store, pods, policies))
        return last.signature

    def _read_signature(self, store: ObjectStore, pods: list[PodFacts], policies: Policies) -> Signature:
        live, disturbed = self.current_flags(pods), self.disturbed.by_pod(store)
        variants: dict[str, tuple[str, Variant]] = {}
        actors: dict[int, tuple[PodFacts, Flags, Variant]] = {}
        ready: dict[str, dict[Variant, int]] = {}
        mesh = Mesh(store, self._namespace) if self.application.ambient_mesh else None
        callers = self._callers(pods) if policies else {}
        for pod in pods:
            if pod.ready and pod.workload:
                read = self._actors.get(id(pod))
                if read is None or read[1] is not live:
                    read = (pod, live, self._acting(pod, live))
                actors[id(pod)] = read
                acting = read[2]
                if policies and (closed := policies.closed(pod.manifest, callers)):
                    acting = acting.changed(closed=closed)
                if disturbed and (mine := disturbed.get(f"{pod.namespace}/{pod.name}")):
                    acting = acting.changed(disturbances=mine)
                if mesh is not None:
                    acting = _in_mesh(acting, mesh, pod.manifest["metadata"].get("labels") or {})
                variants[pod.name] = (pod.workload, acting)
                group = ready.setdefault(pod.workload, {})
                group[acting] = group.get(acting, 0) + 1
        self._actors = actors
        return Signature(
            tuple((name, tuple(sorted(ready[name].items(), key=_by_variant))) for name in sorted(ready)),
            self._services.read(store, variants),
            strain_ms(api_requests((pod.manifest for pod in pods if pod.ready and not pod.workload), store)),
        )

    def _callers(self, pods: Iterable[PodFacts]) -> dict[str, Mapping[str, str]]:
        """The labels of each workload's pods."""
        return {pod.workload: pod.manifest["metadata"].get("labels") or {} for pod in pods if pod.workload}

    def container_started(self, pod: Manifest, store: ObjectStore) -> None:
        """Remember the credentials and flag values that a starting pod reads."""
        flag_store, workload = self.application.flag_store, self.workload_of(pod)
        uid = pod["metadata"]["uid"]
        if workload and self._credentials[workload]:
            known = settings(container_of(pod, workload), store, self._namespace)
            self.read_env[uid] = tuple((n, known[n]) for n in self._credentials[workload] if n in known)
        if flag_store is None or not workload:
            return
        if workload == flag_store.workload:
            self.flags_of[uid] = read_flags(
                store.get("ConfigMap", flag_store.config_map, self.application.namespace), flag_store.key
            )
        elif self.application.workloads[workload].caches_flags:
            self.flags_of[uid] = self.current_flags(self.pods(store))

    def forget(self, pods: list[PodFacts]) -> None:
        """Drop what was remembered of pods that are gone."""
        alive = {pod.uid for pod in pods}
        self.doomed &= alive
        self.stand_ins &= alive
        for remembered in (self.flags_of, self.read_env):
            for uid in remembered.keys() - alive:
                del remembered[uid]

    def current_flags(self, pods: Iterable[PodFacts]) -> Flags:
        """What the newest ready flag server answers; nothing is on without one."""
        flag_store = self.application.flag_store
        answer: Flags = {}
        if flag_store is not None:
            for pod in pods:
                if pod.ready and pod.workload == flag_store.workload:
                    answer = self.flags_of.get(pod.uid, answer)
        return answer

    def workload_of(self, pod: Manifest) -> str:
        """The application's workload that a pod belongs to; empty for others."""
        metadata = pod["metadata"]
        if metadata.get("namespace") != self.application.namespace:
            return ""
        labels = metadata.get("labels") or {}
        if COMPONENT in labels or not self._labelled:
            return self._components.get(labels.get(COMPONENT, ""), "")
        return next((name for wanted, name in self._labelled if wanted <= labels.items()), "")

    def pod_flags(self, pod: PodFacts, live: Flags) -> Flags:
        """The flag values that a pod acts on."""
        caches = pod.workload and self.application.workloads[pod.workload].caches_flags
        return self.flags_of.get(pod.uid, {}) if caches else live

    def _acting(self, pod: PodFacts, live: Flags) -> Variant:
        """The pod with what it read when it started and what became of its program."""
        acting = pod.variant
        if pod.uid in self.doomed or pod.uid in self.stand_ins:
            acting = acting.changed(serves=pod.uid not in self.doomed)
        if read := self.read_env.get(pod.uid):
            acting = acting.with_env(read)
        effects = self.application.workloads[pod.workload].flags
        if not effects or not acting.serves:
            return acting
        values = self.pod_flags(pod, live)
        flags = tuple(
            sorted({effect.flag: values[effect.flag] for effect in effects if effect.flag in values}.items())
        )
        return acting.changed(flags=flags) if flags else acting


def _in_mesh(acting: Variant, mesh: Mesh, labels: Mapping[str, str]) -> Variant:
    denied = (*acting.disturbances, *mesh.denials(labels))
    return acting.changed(mesh=mesh.membership(labels), disturbances=denied)


def credential_names(workload: Workload) -> tuple[str, ...]:
    """Variables and options that hold what a workload demands of its callers or shows to others."""
    shown = {
        n for o in workload.operations.values() for call in o.calls for n in call.password.split(":") if n
    }
    return tuple(sorted(shown | ({workload.password.variable} if workload.password else set())))


def same_objects(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether two sequences hold the very same objects."""
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _by_variant(item: tuple[Variant, int]) -> Any:
    return item[0].fields


def read_flags(config_map: Manifest | None, key: str) -> Flags:
    """Flag values of the active variants in the flag server's JSON document; none when it cannot be read."""
    try:
        flags = json.loads((config_map or {}).get("data", {})[key])["flags"]
        values = {
            name: flag["variants"][flag["defaultVariant"]]
            for name, flag in flags.items()
            if flag.get("state") != "DISABLED"
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, bool | int | float) and value
    }
