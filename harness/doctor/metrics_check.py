"""Where the numbers of an incident come from: a simulation, a recording, a live cluster's pods, or Prometheus."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.config import ExperimentConfig
from harness.doctor.cluster_check import ANSWER_S
from harness.doctor.findings import Finding, broken
from harness.errors import ConfigurationError, InfrastructureError
from harness.live_config import KubernetesConfig

RESOURCE_METRICS = "metrics.k8s.io"


def check_metrics(config: ExperimentConfig) -> Sequence[Finding]:
    """By kind of environment."""
    kind = config.environment.kind
    if kind == "snapshot":
        return [recording(config.environment.root)]
    if kind == "kubernetes":
        return live(config.environment.kubernetes or KubernetesConfig())
    if kind == "attached" and config.environment.kubernetes and config.environment.kubernetes.attached:
        return [prometheus(config.environment.kubernetes.attached.prometheus)]
    return [Finding("metrics", "ok", f"environment={kind} needs no endpoint")]


def recording(root: str | None) -> Finding:
    """Recorded scenarios below the configured directory."""
    if not root:
        return Finding("metrics", "failed", "environment.root is not set", "environment.root=DIRECTORY")
    found = sum(1 for path in Path(root).glob("**/Scenario-*") if path.is_dir())
    if not found:
        hint = "`hf download` as in the README, or `scenarios export`"
        return Finding("metrics", "failed", f"no Scenario-N folder in {root}", hint)
    return Finding("metrics", "ok", f"{found} recorded scenarios in {root}")


def prometheus(url: str) -> Finding:
    """Whether the configured Prometheus answers, and scrapes anything."""
    from harness.environments.kubernetes.prometheus import Prometheus

    try:
        targets = Prometheus(url).instant("up", time.time())
    except InfrastructureError as error:
        hint = (
            "environment.kubernetes.attached.prometheus; `kubectl port-forward` makes it reachable from here"
        )
        return Finding("metrics", "failed", error.detail, hint)
    if not targets:
        return Finding(
            "metrics", "failed", f"Prometheus at {url} scrapes nothing", "look at its targets page"
        )
    return Finding("metrics", "ok", f"Prometheus at {url} scrapes {len(targets)} targets")


def live(settings: KubernetesConfig) -> Sequence[Finding]:
    """The harness scrapes pods itself; the cluster's resource metrics are for autoscalers."""
    from harness.environments.kubernetes.access import connect

    try:
        api = connect(settings.kubeconfig, settings.context, settings.in_cluster)
    except ConfigurationError as error:
        return broken("metrics", True, error)
    return [resource_metrics(api)]


def resource_metrics(api: Any) -> Finding:
    """Whether HorizontalPodAutoscalers get their numbers."""
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    hint = "install metrics-server; only scenarios with autoscalers need it"
    try:
        groups = client.ApisApi(api).get_api_versions(_request_timeout=ANSWER_S).groups
    except (ApiException, HTTPError) as error:
        return Finding("metrics", "failed", f"the API server does not list its groups: {error}", hint)
    if RESOURCE_METRICS not in {group.name for group in groups}:
        return Finding("metrics", "absent", f"{RESOURCE_METRICS} is not served", hint)
    return Finding("metrics", "ok", f"pods are scraped through the API server; {RESOURCE_METRICS} is served")
