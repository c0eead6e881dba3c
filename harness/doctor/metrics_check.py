"""Where the evidence of an incident comes from: a simulation, a recording, a live cluster's pods, or what monitors an
existing application: Prometheus, ClickHouse, Jaeger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.config import ExperimentConfig
from harness.doctor.cluster_check import ANSWER_S
from harness.doctor.findings import Finding, Status, broken
from harness.environments import select_scenarios
from harness.errors import ConfigurationError, InfrastructureError
from harness.live_config import AttachedConfig, KubernetesConfig
from scenarios.applications import load_application

RESOURCE_METRICS = "metrics.k8s.io"


def check_metrics(config: ExperimentConfig) -> Sequence[Finding]:
    """By kind of environment."""
    kind = config.environment.kind
    if kind == "snapshot":
        return [recording(config.environment.root)]
    if kind == "kubernetes":
        return live(config.environment.kubernetes or KubernetesConfig())
    if kind == "attached" and config.environment.kubernetes and config.environment.kubernetes.attached:
        attached = config.environment.kubernetes.attached
        return [prometheus(attached.prometheus), *stored(config, attached)]
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


def stored(config: ExperimentConfig, attached: AttachedConfig) -> Sequence[Finding]:
    """Whether the configured ClickHouse and Jaeger can be read, and have something of the scenarios' applications."""
    from harness.environments.kubernetes.sources import choice

    hint = "docs/live_cluster.md says what environment.kubernetes.attached reads from where"
    found = []
    try:
        chosen = select_scenarios(config.environment, config.scenario)
        for name in dict.fromkeys(scenario.application for scenario in chosen):
            for source, what, amount in choice.examine(attached, load_application(name), time.time()):
                status: Status = "ok" if amount else "failed"
                found.append(Finding(source, status, what, "" if amount else "is anything sent there?"))
    except ConfigurationError as error:
        return [*found, *broken("traces and logs", True, error)]
    except InfrastructureError as error:
        return [*found, Finding("traces and logs", "failed", error.detail, hint)]
    return found


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
