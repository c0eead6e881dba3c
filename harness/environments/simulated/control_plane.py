"""The control plane: its static pods, and what experiments on them do to the cluster.

Owns: the API server's and etcd's pods, when they count as slow. Does not own: alert rules (`alert_rules.yaml`) or
the gaps that a slow API server leaves in metrics (`series.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from harness.cluster import Manifest
from harness.environments.rules import Labels
from harness.environments.simulated.chaos_objects import size_bytes
from harness.environments.simulated.disturbances import Disturbances, amount
from harness.environments.simulated.quantity import parse_quantity

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

NAMESPACE = "kube-system"
COMPONENTS = {
    "etcd": "registry.k8s.io/etcd:3.5.21-0",
    "kube-apiserver": "registry.k8s.io/kube-apiserver:v1.33.1",
}
"""Component -> image, present on its node."""
PRESSURE = 0.6
"""Share of a node's memory beyond which what is left of it is no longer enough for the API server's caches."""
SLOW_DISK_MS = 50.0
"""Delay of the average write at which one commit of etcd in a hundred takes more than 250 ms."""

Trouble = tuple[Literal["api_slow", "etcd_slow"], Labels]


def static_pods(node: str) -> list[Manifest]:
    """The pods that the kubelet of the control plane runs by itself."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{component}-{node}",
                "namespace": NAMESPACE,
                "labels": {"component": component, "tier": "control-plane"},
            },
            "spec": {
                "nodeName": node,
                "hostNetwork": True,
                "priorityClassName": "system-node-critical",
                "containers": [{"name": component, "image": image}],
            },
        }
        for component, image in COMPONENTS.items()
    ]


def troubles(store: ObjectStore, disturbed: Mapping[str, Disturbances]) -> Iterator[Trouble]:
    """What is slow because of experiments, with the labels of the metrics that show it."""
    for identity, found in disturbed.items():
        namespace, _, name = identity.partition("/")
        pod = store.get("Pod", name, namespace) if namespace == NAMESPACE else None
        component = (pod["metadata"].get("labels") or {}).get("component") if pod is not None else None
        if component == "etcd" and amount(found, "slow") >= SLOW_DISK_MS:
            yield "etcd_slow", (("job", "kube-etcd"), ("namespace", NAMESPACE), ("pod", name))
        elif pod is not None and component == "kube-apiserver" and _pressed(store, pod, found):
            yield "api_slow", (("job", "apiserver"), ("namespace", "default"))


def _pressed(store: ObjectStore, pod: Manifest, disturbances: Disturbances) -> bool:
    node = store.get("Node", pod["spec"]["nodeName"])
    if node is None:
        return False
    whole = parse_quantity(node["status"]["allocatable"]["memory"])
    taken = sum(size_bytes(one.text, whole) for one in disturbances if one.what == "memory")
    return taken >= PRESSURE * whole
