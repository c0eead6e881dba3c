"""A cluster without controllers: every Deployment has its ready pods and every Service its endpoints at once."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from harness.cluster import Manifest
from harness.environments.simulated.clock import Clock
from harness.environments.simulated.store import ObjectStore
from scenarios.applications.schema import Application

BEGIN = 1_768_467_600.0


def deployed(
    application: Application, options: dict[str, Any] | None = None, runtime: Any = None
) -> ObjectStore:
    """A store in which the application is up. With a runtime, containers were started, flag server first."""
    store = ObjectStore(Clock(BEGIN), seed=1)
    for manifest in application.manifests(options):
        store.put(manifest)
    flag_server = application.flag_store.workload if application.flag_store else ""
    for deployment in sorted(store.list("Deployment"), key=lambda d: d["metadata"]["name"] != flag_server):
        start_pod(store, deployment, runtime)
    refresh_endpoints(store)
    return store


def start_pod(
    store: ObjectStore, deployment: Manifest, runtime: Any = None, serial: str = "abcde"
) -> Manifest:
    """Create one running, ready pod of a deployment."""
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    template = deepcopy(deployment["spec"]["template"])
    pod = store.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **template["metadata"],
                "name": f"{name}-5d9c7b6f4-{serial}",
                "namespace": namespace,
            },
            "spec": {**template["spec"], "nodeName": "worker-0"},
        }
    )
    if runtime is not None:
        runtime.container_started(pod, name, store, store.clock.now)
    status = {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": name, "restartCount": 0, "ready": True, "state": {"running": {}}}],
    }
    return store.put_status(pod, status)


def replace_pod(store: ObjectStore, workload: str, runtime: Any, namespace: str = "otel-demo") -> None:
    """What a finished restart of one workload leaves behind."""
    serial = "abcde"
    for pod in store.list("Pod", namespace, {"app.kubernetes.io/component": workload}):
        serial = "fghij" if pod["metadata"]["name"].endswith(serial) else serial
        store.remove("Pod", pod["metadata"]["name"], namespace)
    deployment = store.get("Deployment", workload, namespace)
    assert deployment is not None
    start_pod(store, deployment, runtime, serial)
    refresh_endpoints(store)


def refresh_endpoints(store: ObjectStore) -> None:
    """Write the endpoints of all Services."""
    for service in store.list("Service"):
        metadata, spec = service["metadata"], service["spec"]
        pods = [p for p in store.list("Pod", metadata["namespace"], spec["selector"]) if _ready(p)]
        addresses = [
            {"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "name": p["metadata"]["name"]}} for p in pods
        ]
        ports = [{"name": p["name"], "port": p["targetPort"], "protocol": "TCP"} for p in spec["ports"]]
        subsets = [{"addresses": addresses, "ports": ports}] if addresses else []
        endpoints = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "subsets": subsets,
        }
        store.put(endpoints)


def _ready(pod: Manifest) -> bool:
    return bool(pod.get("status", {}).get("conditions"))
