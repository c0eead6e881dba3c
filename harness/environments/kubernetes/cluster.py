"""KubernetesCluster: the Cluster protocol over the official client's dynamic API.

Owns: the translation of calls and errors. Does not own: what is done with them, or whose credentials the client
carries. Imported only when a live cluster is asked for.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kubernetes import client, config, dynamic
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from harness.cluster import (
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    LogLine,
    Manifest,
    NotFound,
    PatchType,
)

CONTENT_TYPES = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
}
ERRORS: dict[int, type[ClusterError]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    400: Invalid,
    422: Invalid,
}


class KubernetesCluster:
    """The Cluster protocol on a real API server."""

    def __init__(self, api: client.ApiClient) -> None:
        self._dynamic = dynamic.DynamicClient(api)
        self._core = client.CoreV1Api(api)
        self._resources: dict[str, Any] = {}

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None) -> KubernetesCluster:
        """Connect through a kubeconfig file (default: KUBECONFIG or ~/.kube/config) and context."""
        return cls(config.new_client_from_config(config_file=path, context=context))

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """Return one object."""
        return self._call(self._resource(kind).get, name=name, namespace=namespace or None)

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """Return the objects of a kind."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        found = self._call(
            self._resource(kind).get, namespace=namespace or None, label_selector=selector or None
        )
        version = found["apiVersion"]
        return [{"apiVersion": version, "kind": kind} | item for item in found["items"]]

    def apply(self, manifest: Manifest) -> Manifest:
        """Create or replace an object. Fields that only the server may set are carried over."""
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace")
        resource = self._resource(manifest["kind"])
        try:
            current = self.get(manifest["kind"], metadata["name"], namespace or "")
        except NotFound:
            return self._call(resource.create, body=without_server_fields(manifest), namespace=namespace)
        body = without_server_fields(manifest)
        body["metadata"] = body["metadata"] | {"resourceVersion": current["metadata"]["resourceVersion"]}
        if manifest["kind"] == "Service":
            body["spec"] = {"clusterIP": current["spec"].get("clusterIP")} | body["spec"]
        return self._call(resource.replace, body=body, namespace=namespace)

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """Merge a patch into an object."""
        return self._call(
            self._resource(kind).patch,
            name=name,
            namespace=namespace or None,
            body=patch,
            content_type=CONTENT_TYPES[strategy],
        )

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object and, in the background, what it owns."""
        options = {"propagationPolicy": "Background"}
        self._call(self._resource(kind).delete, name=name, namespace=namespace or None, body=options)

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """Return the last lines of a container."""
        try:
            text = self._core.read_namespaced_pod_log(
                pod,
                namespace,
                container=container or None,
                previous=previous,
                tail_lines=tail,
                timestamps=True,
            )
        except ApiException as error:
            raise translated(error) from None
        return [parse_line(line) for line in (text or "").splitlines()]

    def now(self) -> float:
        """Wall time."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Sleep. The environment runs this in a thread."""
        time.sleep(seconds)

    def _resource(self, kind: str) -> Any:
        if kind not in self._resources:
            try:
                found = self._dynamic.resources.search(kind=kind)
                served = [resource for resource in found if "get" in resource.verbs]
                self._resources[kind] = next((one for one in served if one.preferred), None) or served[0]
            except (ResourceNotFoundError, IndexError):
                raise NotFound(f'the server does not serve the kind "{kind}"') from None
        return self._resources[kind]

    def _call(self, method: Any, **arguments: Any) -> Manifest:
        try:
            result = method(**arguments)
        except ApiException as error:
            raise translated(error) from None
        manifest: Manifest = result.to_dict()
        return manifest


def translated(error: ApiException) -> ClusterError:
    """The API server's refusal as one of our errors, with its own message."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = f"{error.status} {error.reason}"
    return ERRORS.get(error.status, ClusterError)(message)


def without_server_fields(manifest: Manifest) -> Manifest:
    """The manifest as a client writes it."""
    generated = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in generated}
    return {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata}


def parse_line(line: str) -> LogLine:
    """A log line that the kubelet stamped."""
    stamp, _, text = line.partition(" ")
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", stamp).replace("Z", "+00:00"))
    except ValueError:
        return LogLine(0.0, line)
    return LogLine(moment.timestamp(), text)
