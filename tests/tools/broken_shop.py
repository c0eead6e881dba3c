"""In-memory stand-ins for the two protocols that tools read: a small shop in which checkout was broken."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from harness.cluster import REVISION, Forbidden, LogLine, Manifest, NotFound, PatchType
from harness.patches import merge_patch, strategic_merge
from harness.telemetry import Alert, CallPath, LogRecord, Observation, Series, Topology
from harness.tools.base import timestamp

NOW = 1_768_470_000.0
"""2026-01-15T09:40:00Z"""
DEPLOYED = NOW - 2400
BROKEN = NOW - 900
NS = "otel-demo"
FLAGS = {
    "flags": {
        "cartFailure": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"},
        "paymentFailure": {"variants": {"100%": 1, "off": 0}, "defaultVariant": "off"},
    }
}


def meta(name: str, created: float = DEPLOYED, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": NS,
        "creationTimestamp": timestamp(created),
        "resourceVersion": "7",
        "labels": {"app.kubernetes.io/component": name},
        **more,
    }


def template(image: str) -> dict[str, Any]:
    container = {"name": "checkout", "image": image, "env": [{"name": "KAFKA_ADDR", "value": "kafka:9092"}]}
    return {
        "metadata": {"labels": {"app.kubernetes.io/component": "checkout"}},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "flags", "configMap": {"name": "flagd-config"}}],
        },
    }


GOOD, BAD = "demo:2.0-checkout", "quay.io/it/none:1"


def deployment(image: str = BAD, revision: int = 2) -> Manifest:
    metadata = meta("checkout", annotations={REVISION: str(revision)}, generation=revision, uid="u1")
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/component": "checkout"}},
            "template": template(image),
        },
        "status": {
            "readyReplicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": 1,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}],
        },
    }


def replica_set(suffix: str, image: str, revision: int) -> Manifest:
    owner = [{"kind": "Deployment", "name": "checkout", "uid": "u1"}]
    metadata = meta(f"checkout-{suffix}", annotations={REVISION: str(revision)}, ownerReferences=owner)
    metadata["labels"] = {"app.kubernetes.io/component": "checkout", "pod-template-hash": suffix}
    body = template(image)
    body["metadata"]["labels"]["pod-template-hash"] = suffix
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata,
        "spec": {"replicas": 1, "template": body},
        "status": {"replicas": 1},
    }


def pod(name: str, image: str, *, waiting: str = "") -> Manifest:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": timestamp(DEPLOYED)}}
    owner = [{"kind": "ReplicaSet", "name": name.rsplit("-", 1)[0]}]
    metadata = meta(name, BROKEN if waiting else DEPLOYED, ownerReferences=owner)
    metadata["labels"] = {"app.kubernetes.io/component": "checkout"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": "worker-1", "containers": template(image)["spec"]["containers"]},
        "status": {
            "phase": "Pending" if waiting else "Running",
            "containerStatuses": [
                {"name": "checkout", "ready": not waiting, "restartCount": 0, "state": state}
            ],
        },
    }


def shop() -> list[Manifest]:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": meta("e1", BROKEN),
        "type": "Warning",
        "reason": "Failed",
        "message": f'Failed to pull image "{BAD}"',
        "count": 7,
        "firstTimestamp": timestamp(BROKEN),
        "lastTimestamp": timestamp(NOW - 30),
        "involvedObject": {"kind": "Pod", "name": "checkout-bbbbbbbbb-22222", "namespace": NS},
    }
    elsewhere = deepcopy(event)
    elsewhere["metadata"]["namespace"] = elsewhere["involvedObject"]["namespace"] = "kube-system"
    elsewhere["metadata"]["name"] = "e2"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta("checkout"),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.0.0.9",
            "selector": {"app.kubernetes.io/component": "checkout"},
            "ports": [{"name": "grpc", "port": 8080, "targetPort": 8080}],
        },
    }
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "worker-1", "creationTimestamp": timestamp(DEPLOYED)},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.34.0"},
        },
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}, "status": {"phase": "Active"}},
        node,
        deployment(),
        replica_set("aaaaaaaaa", GOOD, 1),
        replica_set("bbbbbbbbb", BAD, 2),
        pod("checkout-aaaaaaaaa-11111", GOOD),
        pod("checkout-bbbbbbbbb-22222", BAD, waiting="ImagePullBackOff"),
        service,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta("flagd-config"),
            "data": {"demo.flagd.json": json.dumps(FLAGS, indent=2)},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": meta("database"),
            "data": {"password": "aHVudGVyMg=="},
        },
        event,
        elsewhere,
    ]


class FakeCluster:
    """A store of manifests without controllers."""

    def __init__(self, manifests: Sequence[Manifest] | None = None) -> None:
        self.objects: dict[tuple[str, str, str], Manifest] = {}
        for manifest in shop() if manifests is None else manifests:
            self._put(manifest)
        self.writes = 0
        self.refuse = ""

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        try:
            return deepcopy(self.objects[kind, name, namespace])
        except KeyError:
            raise NotFound(f'{kind.lower()}s "{name}" not found') from None

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        return [
            manifest
            for (each, _, space), manifest in self.objects.items()
            if each == kind
            and namespace in (None, space)
            and (labels or {}).items() <= manifest["metadata"].get("labels", {}).items()
        ]

    def apply(self, manifest: Manifest) -> Manifest:
        self._write()
        self._put(deepcopy(manifest))
        return deepcopy(manifest)

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        merge = strategic_merge if strategy == "strategic" else merge_patch
        merged: Manifest = merge(self.get(kind, name, namespace), patch)
        self._write()
        self._put(merged)
        return deepcopy(merged)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        self.get(kind, name, namespace)
        self._write()
        del self.objects[kind, name, namespace]

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        self.get("Pod", pod, namespace)
        return [LogLine(NOW - 10 + n, f"line {n}") for n in range(3)][-tail:]

    def now(self) -> float:
        return NOW

    def wait(self, seconds: float) -> None:
        raise AssertionError("a tool must not let time pass by itself")

    def _put(self, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        self.objects[manifest["kind"], metadata["name"], metadata.get("namespace", "")] = manifest

    def _write(self) -> None:
        if self.refuse:
            raise Forbidden(self.refuse)
        self.writes += 1


def alert(name: str, service: str, state: Any = "firing", since: float = BROKEN) -> Alert:
    labels = {"alertname": name, "severity": "critical", "namespace": NS, "service_name": service}
    return Alert(name, labels, state, since, 0.4, f"{name} on {service}")


class FakeTelemetry:
    """Monitoring of the shop: errors in checkout since BROKEN, one alert that is over."""

    def __init__(self) -> None:
        self.active = [
            alert("HighRequestErrorRate", "checkout"),
            alert("NoRequestsReceived", "payment", "pending", NOW - 60),
        ]
        self.records = [
            LogRecord(
                NOW - 300 + n, "checkout", "checkout-aaaaaaaaa-11111", "ERROR", f"order {n} failed: 503"
            )
            for n in range(20)
        ] + [LogRecord(NOW - 50, "cart", "cart-ccccccccc-33333", "INFO", "GetCart called")]
        self.versions: dict[tuple[str, str, str], list[Observation]] = {
            ("Deployment", "checkout", NS): [
                Observation(DEPLOYED, deployment(GOOD, 1)),
                Observation(BROKEN, deployment(BAD, 2)),
            ],
            ("Service", "quote", NS): [
                Observation(
                    DEPLOYED,
                    {"apiVersion": "v1", "kind": "Service", "metadata": meta("quote"), "spec": {"ports": []}},
                )
            ],
        }

    def alerts(self) -> Sequence[Alert]:
        return self.active

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> Sequence[tuple[float, Alert]]:
        samples = [(NOW - 600 + 60 * n, alert("HighRequestErrorRate", "checkout")) for n in range(10)]
        samples += [
            (DEPLOYED + 300 + 60 * n, alert("HighRequestLatency", "ad", since=DEPLOYED)) for n in range(3)
        ]
        return sorted(
            ((t, a) for t, a in samples if (start or 0) <= t <= (end or NOW)), key=lambda pair: pair[0]
        )

    def metric_names(self, target: str) -> Sequence[str]:
        return ("calls", "errors") if target in ("checkout", "checkout-aaaaaaaaa-11111") else ()

    def metrics(
        self, target: str, names: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Sequence[Series]:
        times = [t for t in (NOW - 60 * n for n in range(20, 0, -1)) if (start or 0) <= t <= (end or NOW)]
        values = {"calls": lambda t: 10.0, "errors": lambda t: 5.0 if t > NOW - 121 else 0.0}
        known = [name for name in self.metric_names(target) if not names or name in names]
        return [
            Series(name, {"service_name": target}, [(t, values[name](t)) for t in times]) for name in known
        ]

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
        found = [
            record
            for record in self.records
            if service in ("", record.service)
            and pod in ("", record.pod)
            and contains in record.body
            and severity in ("", record.severity)
            and (start or 0) <= record.time <= (end or NOW)
        ]
        return sorted(found, key=lambda record: record.time)[-limit:]

    def call_paths(self, start: float | None = None, end: float | None = None) -> Sequence[CallPath]:
        broken = (end or NOW) > BROKEN + 1
        place = "place order"
        return [
            CallPath(("frontend",), place, 100, 60 if broken else 0, 90, ""),
            CallPath(("frontend", "checkout"), place, 100, 60 if broken else 0, 80, "503" if broken else ""),
            CallPath(("frontend", "checkout", "payment"), place, 2 if broken else 100, 0, 20, ""),
            CallPath(("frontend",), "ads", 50, 0, 12, ""),
            CallPath(("frontend", "ad"), "ads", 50, 0, 10, ""),
        ]

    def observations(
        self, kind: str, name: str, namespace: str, start: float | None = None, end: float | None = None
    ) -> Sequence[Observation]:
        return self.versions.get((kind, name, namespace), [])

    def topology(self) -> Topology:
        return Topology(
            ("frontend", "checkout", "payment", "quote", "ad"),
            (
                ("frontend", "checkout"),
                ("frontend", "ad"),
                ("checkout", "payment"),
                ("checkout", "quote"),
            ),
        )
