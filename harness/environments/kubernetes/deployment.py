"""What a trial puts on a cluster: its namespace with the application, a quota, the agent's account.

Owns: those objects, in order of creation, and when the application counts as available. Does not own: how they are
removed (`janitor.py`), the application's manifests (`scenarios/applications`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.cluster import Cluster, Manifest
from harness.environments.kubernetes.marks import Marks
from harness.live_config import KubernetesConfig
from scenarios.applications.schema import Application
from scenarios.faults.objects import quantity

QUOTA = "trial"
DEADLINE_S = 600
"""Kubernetes' default of progressDeadlineSeconds."""


def frame(namespace: str, labels: dict[str, str], marks: Marks, pods: int) -> Sequence[Manifest]:
    """The namespace and a bound on its pods."""
    place = {"namespace": namespace}
    own = {"labels": marks.labels, "annotations": marks.annotations}
    return (
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, **own, "labels": {**labels, **marks.labels}},
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": QUOTA, **place, **own},
            "spec": {"hard": {"pods": str(pods)}},
        },
    )


def workload_objects(
    application: Application, options: object, settings: KubernetesConfig
) -> Iterator[Manifest]:
    """The application's manifests, fitted to a cluster that many trials share; the namespace is left out."""
    for manifest in application.manifests(options if isinstance(options, dict) else {}):
        if manifest["kind"] == "Deployment":
            _fit(manifest, settings)
        if manifest["kind"] != "Namespace":
            yield manifest


def _fit(deployment: Manifest, settings: KubernetesConfig) -> None:
    """Cap requests, scale the time after which a roll-out counts as stuck, and give pods no token of the API server.
    Limits stay as they are."""
    deadline = max(10, round(DEADLINE_S * settings.time_scale))
    deployment["spec"]["progressDeadlineSeconds"] = deadline
    deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] = False
    caps = {"cpu": settings.cpu_request, "memory": settings.memory_request}
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        container["imagePullPolicy"] = settings.pull_policy
        resources = container.setdefault("resources", {})
        limits, requests = resources.get("limits", {}), resources.get("requests", {})
        resources["requests"] = {
            name: min((requests.get(name) or limits.get(name) or cap, cap), key=quantity)
            for name, cap in caps.items()
        }


def short_of_replicas(cluster: Cluster, namespace: str) -> list[str]:
    """Deployments that have not all of their replicas, each with why."""
    found = []
    for deployment in cluster.list("Deployment", namespace):
        name = deployment["metadata"]["name"]
        if deployment.get("status", {}).get("availableReplicas", 0) < deployment["spec"].get("replicas", 1):
            found.append(f"{name} ({_why(cluster, deployment)})")
    return found


def _why(cluster: Cluster, deployment: Manifest) -> str:
    labels = deployment["spec"]["selector"].get("matchLabels", {})
    pods = cluster.list("Pod", deployment["metadata"]["namespace"], labels)
    for pod in pods:
        for status in pod.get("status", {}).get("containerStatuses") or ():
            waiting = status.get("state", {}).get("waiting")
            if waiting:
                return f"{waiting.get('reason', 'waiting')} {waiting.get('message', '')}".strip()[:160]
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return str(condition.get("message", "not scheduled"))[:160]
    return "no pod" if not pods else "not ready"
