"""What one tool result says: alerts, causes that it shows, workloads that it shows broken.

Owns: how an SRE reads each tool's output, with general knowledge of Kubernetes and of the OpenTelemetry
demo's flag ConfigMap. Does not own: which of the shown causes is believed (`beliefs`). Knows no scenario.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from harness.models.simulated.transcript import parse_result

FLAG_FILE = "demo.flagd.json"
_POD_SUFFIX = re.compile(r"-[a-z0-9]{8,10}-[a-z0-9]{5}$")
_FLAG_PATH = re.compile(r"flags\.([\w-]+)\.defaultVariant$")
_ROUTINE = re.compile(
    r"restartedAt|pod-template-hash|deployment\.kubernetes\.io/revision|spec\.replicas$|^status"
)
_MECHANISMS = (
    (re.compile(r"flags\."), "feature flag"),
    (re.compile(r"targetPort"), "target port"),
    (re.compile(r"^spec\.selector"), "selector"),
    (re.compile(r"initContainers"), "init container"),
    (re.compile(r"\.env\b|\.env\["), "environment variable"),
    (re.compile(r"\.image$"), "image"),
    (re.compile(r"\.command|\.args"), "command"),
    (re.compile(r"\.resources"), "resources"),
    (re.compile(r"ffinity"), "affinity"),
    (re.compile(r"nodeSelector"), "node selector"),
    (re.compile(r"readinessProbe"), "readiness probe"),
    (re.compile(r"dnsPolicy"), "DNS policy"),
)
_NOISE = re.compile(r"Watchdog|InfoInhibitor|TargetDown|CPUThrottlingHigh|Node[A-Z]\w+|KubeAPI\w*|etcd\w*")
"""Alerts that clusters show without an incident."""
_UNHEALTHY = re.compile(r"Pending|BackOff|Err|OOMKilled|Error|Unknown|Evicted|ContainerCreating|^Init:")


class SeenAlert(NamedTuple):
    """An alert as a result listed it."""

    name: str
    entity: str
    namespace: str
    firing: bool

    @property
    def object_id(self) -> str:
        """The object that it points at."""
        kind = "Pod" if self.name.startswith(("KubePod", "KubeContainer")) else "Deployment"
        return f"{self.namespace}/{kind}/{self.entity}"


class Cause(NamedTuple):
    """A change or a state that explains an incident."""

    entity: str
    """`namespace/Kind/name`."""
    mechanism: str
    path: str = ""
    old: Any = None
    new: Any = None
    manifest: Mapping[str, Any] | None = None
    """Last known manifest of an object that is gone."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one result says."""

    alerts: tuple[SeenAlert, ...] | None = None
    """None when the result is no list of alerts."""
    causes: tuple[Cause, ...] = ()
    broken: tuple[str, ...] = ()
    """Workloads or pods shown in a bad state."""


NOTHING = Reading()


def workload_of(pod: str) -> str:
    """The workload's name behind a pod's name."""
    return _POD_SUFFIX.sub("", pod)


@lru_cache(maxsize=4096)
def read_result(tool: str, content: str) -> Reading:
    """What a result of `tool` says; nothing when it failed."""
    data = parse_result(content).data
    reader = _READERS.get(tool)
    if data is None or reader is None:
        return NOTHING
    try:
        return reader(data)
    except (KeyError, TypeError, AttributeError, IndexError):
        return NOTHING  # a result that a guard rewrote into another form tells the model nothing


def _alerts(data: Mapping[str, Any]) -> Reading:
    rows = data["data"]
    return Reading(
        alerts=tuple(
            SeenAlert(row["alertname"], row["entity"], row.get("namespace", ""), row["state"] == "firing")
            for row in rows
            if row["state"] in ("firing", "pending") and not _NOISE.fullmatch(row["alertname"])
        )
    )


def _spec_changes(data: Mapping[str, Any]) -> Reading:
    return Reading(causes=tuple(cause for row in data["data"] for cause in _causes_of_row(row)))


def _context(data: Mapping[str, Any]) -> Reading:
    rows = data.get("spec_changes", ())
    return Reading(causes=tuple(cause for row in rows for cause in _causes_of_row(row)))


def _causes_of_row(row: Mapping[str, Any]) -> Iterator[Cause]:
    entity = row["entity_id"]
    if row.get("lifecycle") == "removed" and row["kind"] in ("Service", "ConfigMap", "Secret"):
        yield Cause(entity, f"missing {row['kind']}", manifest=row.get("reference_spec"))
        return
    seen: set[str] = set()
    for observed in row.get("changes", ()):
        for change in observed.get("changes", ()):
            path = change["path"]
            if path in seen or _ROUTINE.search(path):
                continue
            mechanism = _mechanism(path)
            if mechanism and _worse(mechanism, change.get("new")):
                seen.add(path)
                yield Cause(entity, mechanism, path, change.get("old"), change.get("new"))


def _mechanism(path: str) -> str:
    return next((name for pattern, name in _MECHANISMS if pattern.search(path)), "")


def _worse(mechanism: str, new: Any) -> bool:
    """A flag that was switched off is a repair, not a cause."""
    return mechanism != "feature flag" or new != "off"


def _spec(data: Mapping[str, Any]) -> Reading:
    if not data.get("found") or data["kind"] != "ConfigMap":
        return NOTHING
    text = (data["spec"].get("data") or {}).get(FLAG_FILE)
    return Reading(causes=tuple(_switched_flags(data["entity_id"], text)) if text else ())


def _switched_flags(entity: str, text: str) -> Iterator[Cause]:
    try:
        flags = json.loads(text)["flags"]
    except ValueError:
        return
    for name, flag in flags.items():
        if flag.get("defaultVariant") not in ("off", None) and "off" in flag.get("variants", ()):
            path = f"data['{FLAG_FILE}'].flags.{name}.defaultVariant"
            yield Cause(entity, "feature flag", path, "off", flag["defaultVariant"])


def _history(data: Mapping[str, Any]) -> Reading:
    causes = []
    for revision in data["revisions"][1:]:
        for change in revision.get("changes", ()):
            path = change["path"]
            mechanism = _mechanism(path)
            if mechanism and not _ROUTINE.search(path):
                causes.append(
                    Cause(data["deployment"], mechanism, path, change.get("old"), change.get("new"))
                )
    return Reading(causes=tuple(causes))


def _objects(data: Mapping[str, Any]) -> Reading:
    if data.get("kind") != "Pod" or "data" not in data:
        return NOTHING
    namespace = data["namespace"]
    return Reading(
        broken=tuple(
            f"{namespace}/Pod/{row['name']}"
            for row in data["data"]
            if _UNHEALTHY.search(row["status"]) or row["ready"].split("/")[0] != row["ready"].split("/")[-1]
        )
    )


def _events(data: Mapping[str, Any]) -> Reading:
    rows = [row for row in data["data"] if row.get("event_kind") == "Warning" and row["object_kind"] == "Pod"]
    return Reading(
        broken=tuple(dict.fromkeys(f"{row['namespace']}/Pod/{row['object_name']}" for row in rows))
    )


def flag_of(cause: Cause) -> str:
    """The name of the flag that a cause is about; empty for other causes."""
    match = _FLAG_PATH.search(cause.path)
    return match.group(1) if match else ""


_READERS = {
    "alert_summary": _alerts,
    "alert_analysis": _alerts,
    "k8s_spec_change_analysis": _spec_changes,
    "get_context_contract": _context,
    "get_k8_spec": _spec,
    "kubectl_rollout_history": _history,
    "kubectl_get": _objects,
    "event_analysis": _events,
}
