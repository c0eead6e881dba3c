"""Faults that burden the API server.

Owns: ITBench fault 10.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef
from scenarios.faults.base import Fault, Injection, Model, find, require
from scenarios.faults.init_containers import PYTHON_IMAGE
from scenarios.faults.objects import is_ready, pods_of

SCANNER = "workload-scanner"
SCRIPTS = "generator-script"
LABELS = {"app.kubernetes.io/component": "workload", "app.kubernetes.io/managed-by": "ITBench"}
POD_LABELS = {"app.kubernetes.io/name": SCANNER}
REPLICAS = 5
DURATION_S = 3600
HARMLESS_RPS = 500.0
"""Requests per second of all pods together that an API server does not notice."""
SCRIPT = """\
import os
import time

import requests

HOST = os.environ["KUBERNETES_SERVICE_HOST"]
TOKEN = open("/var/run/secrets/kubernetes.io/serviceaccount/token").read()
PATHS = ("api/v1/pods", "api/v1/services", "api/v1/nodes", "apis/apps/v1/deployments")
rate, until = float(os.environ["RPS"]), time.time() + float(os.environ["DURATION"])
session = requests.Session()
session.headers["Authorization"] = f"Bearer {TOKEN}"
while time.time() < until:
    for path in PATHS:
        session.get(f"https://{HOST}/{path}", verify=False)
        time.sleep(1 / rate)
"""


class Options(Model):
    """ITBench's `loadGenerator.options`."""

    requests_per_second: int = Field(alias="requestsPerSecond", gt=0)


class LoadGenerator(Model):
    """ITBench's `loadGenerator` argument."""

    options: Options


class NamespaceName(Model):
    """Metadata of a cluster-scoped object."""

    name: str = Field(min_length=1)


class NamespaceObject(Model):
    """ITBench's `kubernetesObject` argument for a Namespace."""

    api_version: str = Field(alias="apiVersion")
    kind: Literal["Namespace"]
    metadata: NamespaceName


class ApiServerRequestSurge(Fault):
    """Fault 10: pods that list everything, over and over again."""

    id = "kubernetes-api-server-request-surge"
    index = 10
    kubernetes_object: NamespaceObject = Field(alias="kubernetesObject")
    load_generator: LoadGenerator = Field(alias="loadGenerator")

    @property
    def scanner(self) -> ObjectRef:
        """The Deployment that the fault brings along."""
        return ObjectRef("Deployment", SCANNER, self.kubernetes_object.metadata.name)

    def objects(self) -> tuple[ObjectRef, ...]:
        namespace = self.scanner.namespace
        return (
            self.scanner,
            ObjectRef("ConfigMap", SCRIPTS, namespace),
            ObjectRef("ServiceAccount", SCANNER, namespace),
            ObjectRef("ClusterRoleBinding", SCANNER),
            ObjectRef("ClusterRole", SCANNER),
        )

    def inject(self, cluster: Cluster) -> Injection:
        require(self, cluster, ObjectRef("Namespace", self.scanner.namespace))
        time = cluster.now()
        for manifest in (*_access(self.scanner.namespace), *self._workload()):
            cluster.apply(manifest)
        return self.record(cluster, time, created=self.objects())

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        scanner = find(cluster, self.scanner)
        if scanner is None or _rate(scanner) <= HARMLESS_RPS:
            return False
        pods = pods_of(cluster, scanner)
        return len(pods) == scanner["spec"]["replicas"] and all(map(is_ready, pods))

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The pods are gone, or ask so rarely that nobody notices. Gone is what they should be."""
        scanner = find(cluster, self.scanner)
        if scanner is None:
            return True
        pods = [pod for pod in pods_of(cluster, scanner) if is_ready(pod)]
        return _rate(scanner) <= HARMLESS_RPS and sum(_rps(pod["spec"]) for pod in pods) <= HARMLESS_RPS

    def _workload(self) -> tuple[Manifest, Manifest]:
        rate = self.load_generator.options.requests_per_second
        env = {"RPS": str(rate), "DURATION": str(DURATION_S)}
        container = {
            "name": "scanner",
            "image": PYTHON_IMAGE,
            "command": ["/bin/sh", "-c", "pip install -q -r /scripts/deps && python3.14 /scripts/script"],
            "env": [{"name": name, "value": value} for name, value in env.items()],
            "volumeMounts": [{"name": "scripts", "mountPath": "/scripts", "readOnly": True}],
            "resources": {
                "requests": {"cpu": "50m", "memory": "64Mi"},
                "limits": {"cpu": "200m", "memory": "128Mi"},
            },
        }
        namespace = self.scanner.namespace
        pod_spec = {
            "serviceAccountName": SCANNER,
            "containers": [container],
            "volumes": [{"name": "scripts", "configMap": {"name": SCRIPTS}}],
        }
        scripts = {"deps": "requests==2.32.5\n", "script": SCRIPT}
        return (
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": SCRIPTS, "namespace": namespace},
                "data": scripts,
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": SCANNER, "namespace": namespace, "labels": dict(POD_LABELS)},
                "spec": {
                    "replicas": REPLICAS,
                    "selector": {"matchLabels": dict(POD_LABELS)},
                    "template": {"metadata": {"labels": dict(POD_LABELS)}, "spec": pod_spec},
                },
            },
        )


def _access(namespace: str) -> tuple[Manifest, ...]:
    """The account under which the pods ask, and what it may read."""
    group, version = "rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1"
    rules = [
        {"apiGroups": [""], "resources": ["pods", "services", "nodes", "namespaces"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "statefulsets"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"]},
    ]
    labelled: dict[str, Any] = {"name": SCANNER, "labels": dict(LABELS)}
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SCANNER, "namespace": namespace}},
        {
            "apiVersion": version,
            "kind": "ClusterRole",
            "metadata": labelled,
            "rules": [{**rule, "verbs": ["get", "list", "watch"]} for rule in rules],
        },
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": labelled,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": SCANNER},
            "subjects": [{"kind": "ServiceAccount", "name": SCANNER, "namespace": namespace}],
        },
    )


def _rps(pod_spec: Manifest) -> float:
    """Requests per second of one pod; 0 where none are configured."""
    for container in pod_spec["containers"]:
        for entry in container.get("env") or ():
            if entry["name"] == "RPS":
                try:
                    return float(entry.get("value", 0))
                except ValueError:
                    return 0.0
    return 0.0


def _rate(scanner: Manifest) -> float:
    replicas = int(scanner["spec"].get("replicas", 1))
    return _rps(scanner["spec"]["template"]["spec"]) * replicas
