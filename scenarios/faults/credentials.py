"""Faults in credentials, and in a valkey that needs them or runs full.

Owns: ITBench faults 27, 28 and 36.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import Any, Literal

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef
from scenarios.faults.base import Fault, Injection, KubernetesObject, find, require
from scenarios.faults.objects import is_steady, pods_of, restarts, started_since
from scenarios.faults.workload import ContainerFault, runs

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
LENGTH = 24


class ChangedValkeyPassword(ContainerFault):
    """Fault 27: valkey asks for a password that its clients do not have."""

    id = "valkey-workload-changed-password"
    index = 27

    @property
    def secret(self) -> ObjectRef:
        """The Secret that the fault brings along."""
        return ObjectRef("Secret", "valkey-credentials", self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.secret)

    def prepare(self, cluster: Cluster) -> tuple[ObjectRef, ...]:
        metadata = {"name": self.secret.name, "namespace": self.secret.namespace}
        data = {"valkey-password": "invalid_password"}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": data}
        )
        return (self.secret,)

    def bad_container(self) -> dict[str, Any]:
        reference = {"secretKeyRef": {"name": self.secret.name, "key": "valkey-password"}}
        return {
            "command": ["valkey-server"],
            "args": ["--requirepass", "$(VALKEY_PASSWORD)"],
            "env": [{"name": "VALKEY_PASSWORD", "valueFrom": reference}],
        }

    def shows(self, broken_pod: Manifest) -> bool:
        """The container has started and so demands the password."""
        statuses = broken_pod.get("status", {}).get("containerStatuses", [])
        return any("running" in status.get("state", {}) for status in statuses)

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return "--requirepass" in " ".join(
            [*(container.get("command") or []), *(container.get("args") or [])]
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """No password is asked for, or it has become the one that the clients have, which is none."""
        if super().cause_removed(cluster, injection):
            return True
        workload, secret = find(cluster, self.target), find(cluster, self.secret)
        if workload is None or secret is None or not runs(workload):
            return False
        password = b64decode((secret.get("data") or {}).get("valkey-password", "")).decode()
        pods = pods_of(cluster, workload)
        return not password and bool(pods) and all(started_since(pod, secret) for pod in pods)


FILL_STORAGE = """\
#!/bin/sh
valkey-server --daemonize yes --save ""
i=0
while true; do
  head -c 1000000 /dev/urandom | valkey-cli -x SET "key:$((i % 10000))" > /dev/null
  i=$((i + 1))
  sleep 1
done
"""


class ValkeyOutOfMemory(ContainerFault):
    """Fault 28: valkey is started by a script that fills it until it is killed."""

    id = "valkey-workload-out-of-memory"
    index = 28

    @property
    def script(self) -> ObjectRef:
        """The ConfigMap that the fault brings along."""
        return ObjectRef("ConfigMap", "valkey-storage-script", self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.script)

    def prepare(self, cluster: Cluster) -> tuple[ObjectRef, ...]:
        metadata = {"name": self.script.name, "namespace": self.script.namespace}
        cluster.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"script": FILL_STORAGE}}
        )
        return (self.script,)

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        container = {
            "name": self.container.name,
            "command": ["/bin/sh", "/data/scripts/fill_storage.sh"],
            "volumeMounts": [{"name": "scripts", "mountPath": "/data/scripts"}],
        }
        files = [{"key": "script", "path": "fill_storage.sh"}]
        return {
            "securityContext": {"fsGroup": 1000},
            "containers": [container],
            "volumes": [{"name": "scripts", "configMap": {"name": self.script.name, "items": files}}],
        }

    def shows(self, broken_pod: Manifest) -> bool:
        """It has been killed once."""
        return restarts(broken_pod) > 0

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return "fill_storage.sh" in " ".join(container.get("command") or [])

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The command is another or the script does something else, and nothing is killed any more."""
        workload, script = find(cluster, self.target), find(cluster, self.script)
        if workload is None or not runs(workload):
            return False
        edited = script is not None and (script.get("data") or {}).get("script") != FILL_STORAGE
        pods = pods_of(cluster, workload)
        steady = all(is_steady(pod, self.container.name, cluster.now()) for pod in pods)
        return bool(pods) and steady and (edited or super().cause_removed(cluster, injection))


class CorruptedSecret(Fault):
    """Fault 36: every value of a Secret is replaced by random text."""

    id = "corrupted-kubernetes-secret-credentials"
    index = 36
    kubernetes_object: KubernetesObject[Literal["Secret"]] = Field(alias="kubernetesObject")

    @property
    def target(self) -> ObjectRef:
        """The Secret."""
        return self.kubernetes_object.ref

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target,)

    def inject(self, cluster: Cluster) -> Injection:
        secret = require(self, cluster, self.target)
        time = cluster.now()
        uid = str(secret["metadata"].get("uid", ""))
        data = {key: b64encode(_noise(uid, key).encode()).decode() for key in secret.get("data") or {}}
        cluster.patch(*self.target, {"data": data})
        return self.record(cluster, time, before=(secret,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        secret = find(cluster, self.target)
        before = injection.original(self.target)["data"]
        return secret is not None and all(
            (secret.get("data") or {}).get(key) != before[key] for key in before
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The values are those from before. Whether they are in use again shows in the symptom."""
        secret = find(cluster, self.target)
        return secret is not None and secret.get("data") == injection.original(self.target)["data"]


def _noise(uid: str, key: str) -> str:
    """Random text of a key; the same for the same Secret, so that a run can be repeated."""
    drawn = hashlib.sha256(f"{uid}/{key}".encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in drawn[:LENGTH])
