"""KubernetesCluster: the Cluster protocol over the official client's dynamic API.

Owns: the translation of calls and errors, discovery of kinds. Does not own: what is done with them, whose credentials
the client carries (`access.py`) or how a trial sees its part of a cluster (`view.py`). Imported only when a live
cluster is asked for.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from kubernetes import client, config, dynamic
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from urllib3.exceptions import HTTPError

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


REQUEST_TIMEOUT_S = 30
VERSIONS = {"HorizontalPodAutoscaler": ("autoscaling/v2", "autoscaling/v2beta2")}
"""Kinds whose preferred version is not the one that manifests use: the versions that will do, best first."""


class Discovery(dynamic.LazyDiscoverer):  # type: ignore[misc]
    """Discovery that keeps what it found in memory: the library's file in the temporary directory is shared by all
    processes of a machine."""

    def __init__(self, client: Any, cache_file: str | None) -> None:
        super().__init__(client, os.path.join(tempfile.gettempdir(), f"absent-{os.getpid()}-{id(self)}"))

    def _write_cache(self) -> None:
        return


class KubernetesCluster:
    """The Cluster protocol on a real API server."""

    def __init__(self, api: client.ApiClient, known: KubernetesCluster | None = None) -> None:
        """`known`: a cluster object of another identity whose discovery is shared; nothing else of it is.
        Raises ClusterError where the API server does not answer."""
        self._core = client.CoreV1Api(api)
        discoverer: Any = Discovery
        if known is not None:
            shared = known._dynamic.resources
            discoverer = partial(_given, shared)
        with errors_translated():
            self._dynamic: Any = dynamic.DynamicClient(api, discoverer=discoverer)
        self._discovering: threading.Lock = known._discovering if known else threading.Lock()
        """The library's discovery is not safe for concurrent use."""
        self._resources: dict[str, Any] = known._resources if known else {}
        """Kind -> how it is served; None where it is not."""

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None) -> KubernetesCluster:
        """Connect through a kubeconfig file (default: KUBECONFIG or ~/.kube/config) and context."""
        return cls(config.new_client_from_config(config_file=path, context=context))

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """Return one object."""
        return self._call("get", self._resource(kind), name=name, namespace=namespace or None)

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """Return the objects of a kind."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        found = self._call(
            "get", self._resource(kind), namespace=namespace or None, label_selector=selector or None
        )
        version = found["apiVersion"]
        return [{"apiVersion": version, "kind": kind} | item for item in found["items"]]

    def apply(self, manifest: Manifest) -> Manifest:
        """Create or replace an object. Fields that only the server may set are carried over."""
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace")
        resource = self._resource(manifest["kind"])
        body = without_server_fields(manifest)
        if manifest["kind"] in VERSIONS:
            body["apiVersion"] = resource.group_version
        try:
            return self._replace(resource, body, namespace)
        except NotFound:
            return self._call("create", resource, body=body, namespace=namespace)
        except Conflict:  # a controller wrote the object's status in between
            return self._replace(resource, body, namespace)

    def _replace(self, resource: Any, body: Manifest, namespace: str | None) -> Manifest:
        current = self.get(body["kind"], body["metadata"]["name"], namespace or "")
        body["metadata"] = body["metadata"] | {"resourceVersion": current["metadata"]["resourceVersion"]}
        if body["kind"] == "Service":
            body["spec"] = {"clusterIP": current["spec"].get("clusterIP")} | body["spec"]
        return self._call("replace", resource, body=body, namespace=namespace)

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """Merge a patch into an object."""
        return self._call(
            "patch",
            self._resource(kind),
            name=name,
            namespace=namespace or None,
            body=patch,
            content_type=CONTENT_TYPES[strategy],
        )

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object and, in the background, what it owns."""
        options = {"propagationPolicy": "Background"}
        self._call("delete", self._resource(kind), name=name, namespace=namespace or None, body=options)

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """Return the last lines of a container."""
        with errors_translated():
            text = self._core.read_namespaced_pod_log(
                pod,
                namespace,
                container=container or None,
                previous=previous,
                tail_lines=tail,
                timestamps=True,
            )
        return [parse_line(line) for line in (text or "").splitlines()]

    def now(self) -> float:
        """Wall time."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Sleep. The environment runs this in a thread."""
        time.sleep(seconds)

    def serves(self, kind: str) -> bool:
        """Whether the server knows a kind."""
        try:
            self._resource(kind)
        except NotFound:
            return False
        return True

    def _resource(self, kind: str) -> Any:
        with self._discovering:
            if kind not in self._resources:
                try:
                    with errors_translated():
                        found = self._dynamic.resources.search(kind=kind)
                except ResourceNotFoundError:
                    found = []
                self._resources[kind] = best([one for one in found if "get" in one.verbs], kind)
        if self._resources[kind] is None:
            raise NotFound(f'the server does not serve the kind "{kind}"')
        return self._resources[kind]

    def _call(self, verb: str, resource: Any, **arguments: Any) -> Manifest:
        """One request under this identity: a Resource itself would ask under that of its discovery."""
        with errors_translated():
            answer = getattr(self._dynamic, verb)(
                resource, serialize=False, _request_timeout=REQUEST_TIMEOUT_S, **arguments
            )
        manifest: Manifest = json.loads(answer.data)
        return manifest


def _given(discovery: Any, *_: Any) -> Any:
    return discovery


@contextmanager
def errors_translated() -> Iterator[None]:
    """The client's errors become ours."""
    try:
        yield
    except ApiException as error:
        raise translated(error) from None
    except HTTPError as error:
        raise ClusterError(f"the API server did not answer: {error}") from None


def best(served: Sequence[Any], kind: str) -> Any:
    """Of the ways in which a kind is served, the one to use; None where there is none."""
    for version in VERSIONS.get(kind, ()):
        for one in served:
            if one.group_version == version:
                return one
    return next((one for one in served if one.preferred), None) or next(iter(served), None)


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
