"""Things that an SRE sees beside an incident and that do not belong to it: unrelated alerts, paused experiments.

Owns: their pools and how they are drawn. Does not own: who is shown them (`masks.py`). They concern other parts of
the cluster than the application, or are visibly switched off, so none of them is ever an accepted root cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from harness.cluster import Manifest
from harness.telemetry import Alert, Severity

CHAOS_NAMESPACE = "chaos-mesh"
PAUSED = "experiment.chaos-mesh.org/pause"
RECENT_S = (180.0, 1500.0)
"""An unrelated alert began this long ago: about when the incident did."""
DAYS_S = (86_400.0, 20 * 86_400.0)


class Herring(NamedTuple):
    """One kind of unrelated alert."""

    name: str
    severity: Severity
    labels: dict[str, str]
    description: str


HERRINGS = (
    Herring("KubeJobFailed", "warning", {"namespace": "backup-system", "job_name": "nightly-volume-snapshot"},
            "Job backup-system/nightly-volume-snapshot failed to complete."),
    Herring("KubePersistentVolumeFillingUp", "critical", {"namespace": "monitoring", "pod": "prometheus-0"},
            "The volume of prometheus-0 in namespace monitoring is 94% full."),
    Herring("CertificateExpiresSoon", "warning", {"namespace": "cert-manager", "job": "ingress-tls"},
            "The certificate ingress-tls expires in 6 days."),
    Herring("PrometheusRuleFailures", "critical", {"namespace": "monitoring", "pod": "prometheus-0"},
            "Prometheus monitoring/prometheus-0 has failed to evaluate 3 rules in the last 5m."),
    Herring("KubeletTooManyPods", "info", {"instance": "kind-worker:10250", "job": "kubelet"},
            "The kubelet on kind-worker is running at 95% of its pod capacity."),
    Herring("CoreDNSErrorsHigh", "warning", {"namespace": "kube-system", "job": "coredns"},
            "CoreDNS returns SERVFAIL for 1.2% of requests."),
    Herring("HighRequestErrorRate", "critical", {"namespace": "feedback", "service_name": "survey-api"},
            "Requests of survey-api end with errors."),
    Herring("HighRequestLatency", "warning", {"namespace": "feedback", "service_name": "survey-worker"},
            "The 95th percentile of requests to survey-worker is above 1500 ms."),
    Herring("KubePodCrashLooping", "warning", {"namespace": "ci-runners", "pod": "runner-6c8d7f9b5-k2xw4"},
            "Pod ci-runners/runner-6c8d7f9b5-k2xw4 is in waiting state (CrashLoopBackOff)."),
    Herring("KubeHpaMaxedOut", "warning", {"namespace": "feedback", "deployment": "survey-worker"},
            "HPA feedback/survey-worker has been running at max replicas for longer than 15 minutes."),
)  # fmt: skip
EXPERIMENTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("network-delay", "NetworkChaos", {"action": "delay", "delay": {"latency": "250ms"}, "duration": "60s"}),
    ("network-loss", "NetworkChaos", {"action": "loss", "loss": {"loss": "40"}, "duration": "60s"}),
    ("pod-failure", "PodChaos", {"action": "pod-failure", "duration": "30s"}),
    ("cpu-stress", "StressChaos", {"stressors": {"cpu": {"workers": 1, "load": 60}}, "duration": "60s"}),
    ("http-abort", "HTTPChaos", {"target": "Request", "port": 8080, "abort": True, "duration": "60s"}),
)


def unrelated_alerts(random: Random, count: int, now: float) -> list[Alert]:
    """`count` different alerts (at most as many as there are kinds) that began before `now` and keep firing."""
    drawn = random.sample(HERRINGS, min(count, len(HERRINGS)))
    return [
        Alert(
            herring.name,
            {"alertname": herring.name, "severity": herring.severity, **herring.labels},
            "firing",
            now - random.uniform(*RECENT_S),
            round(random.uniform(1, 50), 2),
            herring.description,
        )
        for herring in drawn
    ]


def paused_schedules(
    random: Random, count: int, namespace: str, services: Sequence[str], now: float
) -> list[Manifest]:
    """`count` Schedules of earlier experiments on services of a namespace, all of them paused."""
    targets = [(service, experiment) for service in sorted(services) for experiment in EXPERIMENTS]
    drawn = random.sample(targets, min(count, len(targets)))
    return [_schedule(random, namespace, service, experiment, now) for service, experiment in drawn]


def _schedule(
    random: Random, namespace: str, service: str, experiment: tuple[str, str, dict[str, Any]], now: float
) -> Manifest:
    word, kind, spec = experiment
    field = kind[0].lower() + kind[1:] if not kind.startswith("HTTP") else "httpChaos"
    selector = {"namespaces": [namespace], "labelSelectors": {"app.kubernetes.io/component": service}}
    created = datetime.fromtimestamp(int(now - random.uniform(*DAYS_S)), UTC)
    return {
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "Schedule",
        "metadata": {
            "name": f"{service}-{word}",
            "namespace": CHAOS_NAMESPACE,
            "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            "annotations": {PAUSED: "true"},
        },
        "spec": {
            "schedule": "@every 60s",
            "type": kind,
            "concurrencyPolicy": "Forbid",
            "historyLimit": 1,
            field: {"mode": "all", "selector": selector, **spec},
        },
        "status": {"active": []},
    }
