"""Defaults that the API server fills in when an object is written.

Owns: the default values. Does not own: checks (`validation.py`). Idempotent, so that writing an object back
changes nothing. The functions change the private copy that they are given.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.cluster import Manifest


def set_defaults(manifest: Manifest) -> None:
    """Fill in what the kind's owner left open."""
    fill = _BY_KIND.get(manifest["kind"])
    if fill is not None:
        fill(manifest.setdefault("spec", {}))


def _deployment(spec: Manifest) -> None:
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    _template(spec)


def _daemon_set(spec: Manifest) -> None:
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("maxUnavailable", 1)
    _template(spec)


def _replicated(spec: Manifest) -> None:
    spec.setdefault("replicas", 1)
    _template(spec)


def _template(spec: Manifest) -> None:
    template = spec.get("template")
    if isinstance(template, dict):
        _pod_spec(template.setdefault("spec", {}))


def _pod_spec(spec: Manifest) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        if isinstance(container, dict):
            image = str(container.get("image", ""))
            latest = image.endswith(":latest") or ":" not in image.rpartition("/")[2]
            container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
            for port in container.get("ports") or ():
                port.setdefault("protocol", "TCP")


def _pod(spec: Manifest) -> None:
    _pod_spec(spec)
    if spec.get("containers"):
        spec["containers"] = [with_requests(container) for container in spec["containers"]]


def with_requests(container: Manifest) -> Manifest:
    """A container whose missing requests are set to its limits; the same object when none is missing."""
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if limits.keys() <= requests.keys():
        return container
    return {**container, "resources": {**resources, "requests": {**limits, **requests}}}


def _service(spec: Manifest) -> None:
    spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if "port" in port:
            port.setdefault("targetPort", port["port"])


_BY_KIND: dict[str, Callable[[Manifest], None]] = {
    "Deployment": _deployment,
    "DaemonSet": _daemon_set,
    "StatefulSet": _replicated,
    "ReplicaSet": _replicated,
    "Pod": _pod,
    "Service": _service,
}
