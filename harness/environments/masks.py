"""Robustness knobs: what an agent is not shown, what it is shown beside the incident, what it may not touch.

    telemetry.traces=false, telemetry.logs=false   tools answer as over an empty store
    red_herrings=N         N alerts that have nothing to do with the incident
    inactive_chaos=N       N paused chaos experiments
    permissions            full | no_secrets | app_only

Owns: wrappers around any environment's Cluster and Telemetry, seeded by the trial. Does not own: verdicts, which the
wrapped environment decides on what it really has. No knob knows the ground truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import TypeVar

from harness.cluster import Cluster, Forbidden, LogLine, Manifest, NotFound, ObjectRef, PatchType, ref
from harness.config import EnvironmentConfig, Permissions
from harness.environments.distractors import CHAOS_NAMESPACE, paused_schedules, unrelated_alerts
from harness.patches import merge_patch, strategic_merge
from harness.protocols import Briefing, Environment
from harness.records import Verdict
from harness.telemetry import Alert, CallPath, LogRecord, Observation, Series, Telemetry, Topology
from scenarios.schema import Scenario

T = TypeVar("T")
Manifests = list[Manifest]

MINUTE = 60.0
CLUSTER_SCOPED = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "StorageClass",
    }
)


def is_masked(config: EnvironmentConfig) -> bool:
    """Whether any knob is turned."""
    shown = config.telemetry.traces and config.telemetry.logs
    added = config.red_herrings or config.inactive_chaos
    return bool(not shown or added or config.permissions != "full")


class MaskedEnvironment:
    """Another environment, seen through the knobs."""

    cluster: Cluster
    telemetry: Telemetry

    def __init__(self, environment: Environment, config: EnvironmentConfig) -> None:
        self._inner = environment
        self._config = config
        self.virtual_time = environment.virtual_time

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Start the wrapped environment and put the masks before it."""
        briefing = await self._inner.start(scenario, seed)
        config, inner = self._config, self._inner
        services = inner.telemetry.topology().services
        chaos = paused_schedules(
            Random(f"{seed}/chaos"), config.inactive_chaos, briefing.namespaces[0], services, inner.now()
        )
        if chaos and CHAOS_NAMESPACE not in briefing.namespaces:
            briefing = replace(briefing, namespaces=(*briefing.namespaces, CHAOS_NAMESPACE))
        access = Access(config.permissions, briefing.namespaces)
        self.cluster = MaskedCluster(inner.cluster, access, chaos, logs=config.telemetry.logs)
        alerts = unrelated_alerts(Random(f"{seed}/herrings"), config.red_herrings, inner.now())
        self.telemetry = MaskedTelemetry(inner.telemetry, config, access, alerts, inner.now)
        return briefing

    async def run(self, work: Callable[[], T]) -> T:
        """As the wrapped environment does."""
        return await self._inner.run(work)

    async def elapse(self, seconds: float) -> None:
        """Let time pass on the wrapped environment's clock."""
        await self._inner.elapse(seconds)

    def now(self) -> float:
        """Seconds since the epoch on the wrapped environment's clock."""
        return self._inner.now()

    async def verdict(self) -> Verdict:
        """Decided by the wrapped environment on the unmasked cluster and alerts."""
        return await self._inner.verdict()

    async def close(self) -> None:
        """Close the wrapped environment."""
        await self._inner.close()


class Access:
    """Which objects the agent's account may use."""

    def __init__(self, permissions: Permissions, namespaces: Sequence[str]) -> None:
        self.permissions = permissions
        app_only = permissions == "app_only"
        self.namespaces = tuple(n for n in namespaces if not app_only or n != CHAOS_NAMESPACE)

    def allows(self, kind: str, name: str, namespace: str) -> bool:
        """Whether the account may use an object."""
        if self.permissions == "no_secrets":
            return kind != "Secret"
        if self.permissions == "app_only":
            if kind in CLUSTER_SCOPED:
                return kind == "Namespace" and name in self.namespaces
            return kind != "Secret" and namespace in self.namespaces
        return True

    def check(self, verb: str, kind: str, name: str, namespace: str) -> None:
        """Raise Forbidden, in the API server's words, unless the account may."""
        if not self.allows(kind, name, namespace):
            resource = f"{kind.lower()}s"
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            named = f'{resource} "{name}"' if name else resource
            raise Forbidden(f'{named} is forbidden: User "sre" cannot {verb} resource "{resource}" {where}')


class MaskedCluster:
    """A cluster as a restricted account sees it, with objects of its own that nothing acts on."""

    def __init__(self, cluster: Cluster, access: Access, extra: Sequence[Manifest], *, logs: bool) -> None:
        self._cluster = cluster
        self._access = access
        self._extra = {ref(manifest): manifest for manifest in extra}
        self._logs = logs

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """One object. Raises NotFound, Forbidden."""
        self._access.check("get", kind, name, namespace)
        own = self._extra.get(ObjectRef(kind, name, namespace))
        return deepcopy(own) if own is not None else self._cluster.get(kind, name, namespace)

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Manifests:
        """The objects that the account may see; without a namespace, those of all that it may see.

        Raises Forbidden where it may see none at all."""
        access = self._access
        if kind not in CLUSTER_SCOPED and namespace is None:
            everywhere = (access.allows(kind, "", each) for each in access.namespaces)
            if access.permissions != "full" and not any(everywhere):
                access.check("list", kind, "", access.namespaces[0])
        elif kind != "Namespace":
            access.check("list", kind, "", namespace or "")
        found = [
            item
            for item in self._listed(kind, namespace, labels)
            if access.allows(kind, item["metadata"]["name"], item["metadata"].get("namespace", ""))
        ]
        own = [item for target, item in self._extra.items() if target.kind == kind]
        return found + [
            item
            for item in own
            if namespace in (None, item["metadata"]["namespace"])
            and (labels or {}).items() <= item["metadata"].get("labels", {}).items()
        ]

    def _listed(self, kind: str, namespace: str | None, labels: Mapping[str, str] | None) -> Manifests:
        try:
            return self._cluster.list(kind, namespace, labels)
        except NotFound:
            if any(target.kind == kind for target in self._extra):
                return []  # a kind that the cluster knows through our objects only
            raise

    def apply(self, manifest: Manifest) -> Manifest:
        """Create or replace. Raises Forbidden, Invalid."""
        target = ref(manifest)
        self._access.check("create", *target)
        if target not in self._extra:
            return self._cluster.apply(manifest)
        self._extra[target] = deepcopy(manifest)
        return self.get(*target)

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """Merge into an object. Raises NotFound, Forbidden, Invalid."""
        self._access.check("patch", kind, name, namespace)
        target = ObjectRef(kind, name, namespace)
        if target not in self._extra:
            return self._cluster.patch(kind, name, namespace, patch, strategy)
        merge = strategic_merge if strategy == "strategic" else merge_patch
        self._extra[target] = merge(self._extra[target], patch)
        return self.get(*target)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object. Raises NotFound, Forbidden."""
        self._access.check("delete", kind, name, namespace)
        if self._extra.pop(ObjectRef(kind, name, namespace), None) is None:
            self._cluster.delete(kind, name, namespace)

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """Lines of a container; none where logs are masked. Raises NotFound, Forbidden, Invalid."""
        self._access.check("get", "Pod", pod, namespace)
        lines = self._cluster.logs(pod, namespace, container, previous, tail)
        return lines if self._logs else []

    def now(self) -> float:
        """Seconds since the epoch on the cluster's clock."""
        return self._cluster.now()

    def wait(self, seconds: float) -> None:
        """Let time pass on the cluster's clock."""
        self._cluster.wait(seconds)


class MaskedTelemetry:
    """Monitoring without the masked stores, with alerts of its own."""

    def __init__(
        self,
        telemetry: Telemetry,
        config: EnvironmentConfig,
        access: Access,
        alerts: Sequence[Alert],
        now: Callable[[], float],
    ) -> None:
        self._telemetry = telemetry
        self._shown = config.telemetry
        self._access = access
        self._alerts = tuple(alerts)
        self._now = now

    def alerts(self) -> Sequence[Alert]:
        """Alerts that are pending or firing now."""
        return (*self._telemetry.alerts(), *self._alerts)

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> Sequence[tuple[float, Alert]]:
        """(sample time, alert) for each minute in the window in which an alert was firing."""
        samples = [*self._telemetry.alert_history(start, end)]
        until = min(self._now(), self._now() if end is None else end)
        for alert in self._alerts:
            begin = max(alert.active_at, alert.active_at if start is None else start)
            first = -(-begin // MINUTE)
            samples += [(m * MINUTE, alert) for m in range(int(first), int(until // MINUTE) + 1)]
        return sorted(samples, key=lambda sample: (sample[0], sample[1].key))

    def metric_names(self, target: str) -> Sequence[str]:
        """Names of the metrics known for a service or pod."""
        return self._telemetry.metric_names(target)

    def metrics(
        self, target: str, names: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Sequence[Series]:
        """Series of a service or pod."""
        return self._telemetry.metrics(target, names, start, end)

    def logs(
        self,
        service: str = "",
        pod: str = "",
        start: float | None = None,
        end: float | None = None,
        contains: str = "",
        limit: int = 200,
        severity: str = "",
    ) -> Sequence[LogRecord]:
        """Matching records; none where logs are masked."""
        if not self._shown.logs:
            return ()
        return self._telemetry.logs(service, pod, start, end, contains, limit, severity)

    def call_paths(self, start: float | None = None, end: float | None = None) -> Sequence[CallPath]:
        """Aggregated traces; none where traces are masked."""
        return self._telemetry.call_paths(start, end) if self._shown.traces else ()

    def observations(
        self, kind: str, name: str, namespace: str, start: float | None = None, end: float | None = None
    ) -> Sequence[Observation]:
        """Recorded versions of an object; none of one that the account may not see."""
        if not self._access.allows(kind, name, namespace):
            return ()
        return self._telemetry.observations(kind, name, namespace, start, end)

    def topology(self) -> Topology:
        """The service graph: published architecture, no trace data."""
        return self._telemetry.topology()
