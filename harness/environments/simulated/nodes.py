"""What an empty cluster has: one control plane and two workers, amd64, the system namespaces, priorities, storage."""

from __future__ import annotations

from harness.cluster import Manifest
from harness.environments.simulated.control_plane import static_pods

CHAOS_NAMESPACE = "chaos-mesh"
"""Where chaos experiments live; every cluster has it, whatever its incident."""
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
CONTROL_PLANE_SIZE = ("4", "8Gi")
DEFAULT_STORAGE = "storageclass.kubernetes.io/is-default-class"
_NAMES = ("kind-control-plane", "kind-worker", "kind-worker2")


def default_nodes(cpu: str = "8", memory: str = "16Gi") -> list[Manifest]:
    """Node manifests; workers have `cpu` cores and `memory` to give away."""
    return [_node(name, number, cpu, memory) for number, name in enumerate(_NAMES)]


def system_namespaces() -> list[Manifest]:
    """The namespaces that every cluster has."""
    names = ("default", "kube-node-lease", "kube-public", "kube-system", CHAOS_NAMESPACE)
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]


def system_classes() -> list[Manifest]:
    """The priority and storage classes that every cluster has."""
    priorities = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
    storage: Manifest = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {DEFAULT_STORAGE: "true"}},
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }
    return [
        storage,
        *(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
            }
            for name, value in priorities.items()
        ),
    ]


def _node(name: str, number: int, cpu: str, memory: str) -> Manifest:
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }
    spec: Manifest = {"podCIDR": f"10.244.{number + 2}.0/24", "providerID": f"kind://docker/kind/{name}"}
    if name == _NAMES[0]:
        labels[CONTROL_PLANE] = ""
        spec["taints"] = [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]
        cpu, memory = CONTROL_PLANE_SIZE
    resources = {"cpu": cpu, "memory": memory, "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"172.18.0.{number + 2}"},
                {"type": "Hostname", "address": name},
            ],
            "allocatable": resources,
            "capacity": resources,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "kubelet is posting ready status",
                }
            ],
            "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": "v1.33.1"},
        },
    }


def system_pods() -> list[Manifest]:
    """What runs before anything is deployed."""
    return static_pods(_NAMES[0])
