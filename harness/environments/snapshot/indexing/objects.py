"""Kubernetes objects and events into the index.

Owns: both forms of the tables, versions that differ, which objects were gone at the end. Does not own: comparison of
versions for readers (tools). Objects are polled, so a change is known to lie before the observation that shows it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from harness.cluster import Manifest
from harness.environments.snapshot.cells import parse_json, parse_map, parse_stamp
from harness.environments.snapshot.layout import Layout
from harness.environments.snapshot.report import Report
from harness.environments.snapshot.tsv import Columns, Table

COLUMNS: Columns = {
    "time": ("Timestamp", "TimestampTime", "timestamp"),
    "body": ("Body", "body"),
    "resource": ("ResourceAttributes",),
    "log": ("LogAttributes",),
    "namespace": ("namespace",),
    "type": ("resource_type",),
    "kind": ("object_kind",),
}
KINDS = {
    plural: kind
    for kind, plural in {
        "ConfigMap": "configmaps", "CronJob": "cronjobs", "DaemonSet": "daemonsets", "Deployment": "deployments",
        "Endpoints": "endpoints", "EndpointSlice": "endpointslices", "HorizontalPodAutoscaler":
        "horizontalpodautoscalers", "Ingress": "ingresses", "Job": "jobs", "LimitRange": "limitranges",
        "Namespace": "namespaces", "NetworkPolicy": "networkpolicies", "Node": "nodes", "PersistentVolume":
        "persistentvolumes", "PersistentVolumeClaim": "persistentvolumeclaims", "Pod": "pods",
        "PodDisruptionBudget": "poddisruptionbudgets", "PriorityClass": "priorityclasses", "ReplicaSet":
        "replicasets", "ResourceQuota": "resourcequotas", "Service": "services", "ServiceAccount":
        "serviceaccounts", "StatefulSet": "statefulsets",
    }.items()
}  # fmt: skip
API_VERSIONS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
}
GRACE_S = 300.0
"""An object is gone when polls have missed it for longer than this ..."""
MISSED = 2
"""... and at least this many polls: one poll can be torn. Both as in the official tools."""
CYCLE_S = 60.0
"""Observations closer than this belong to one poll."""


def index_objects(
    layout: Layout, database: sqlite3.Connection, scratch: sqlite3.Connection, report: Report
) -> float:
    """Write objects and their versions; the time of the last poll, 0 without any."""
    path = layout.tables.get("objects")
    if path is None:
        return 0.0
    name = layout.name(path)
    scratch.execute(
        "CREATE TABLE seen (kind TEXT, namespace TEXT, name TEXT, time REAL, deleted INT, manifest TEXT)"
    )
    for line, cells in Table(path, name, COLUMNS, ("time", "body"), report):
        row = _observation(dict(zip(COLUMNS, cells, strict=True)), name, line, report)
        if row is not None:
            scratch.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?)", row)
    scratch.execute("CREATE INDEX seen_of ON seen (kind, namespace, name, time)")
    polls = _polls([time for (time,) in scratch.execute("SELECT DISTINCT time FROM seen ORDER BY time")])
    _write_histories(database, scratch, polls)
    return polls[-1] if polls else 0.0


def _observation(
    row: Mapping[str, str], name: str, line: int, report: Report
) -> tuple[str, str, str, float, int, str] | None:
    try:
        time = parse_stamp(row["time"])
        body = parse_json(row["body"])
        attributes = {**parse_map(row["resource"]), **parse_map(row["log"])}
    except ValueError as error:
        report.add(name, line, f"{error}; the row is left out")
        return None
    deleted = False
    if isinstance(body, dict) and isinstance(body.get("object"), dict):  # recorded by watching
        deleted = body.get("type") == "DELETED"
        body = body["object"]
    metadata = body.get("metadata") if isinstance(body, dict) else None
    plural = attributes.get("k8s.resource.name") or row["type"]
    kind = (body.get("kind") if metadata else "") or row["kind"] or KINDS.get(plural.lower(), "")
    if not isinstance(metadata, dict) or not metadata.get("name") or not kind:
        report.add(name, line, "the body is no Kubernetes object with kind and metadata.name; left out")
        return None
    body.setdefault("kind", kind)
    body.setdefault("apiVersion", API_VERSIONS.get(kind, "v1"))
    body.setdefault("spec", {})
    namespace = str(metadata.get("namespace") or "")
    return kind, namespace, str(metadata["name"]), time, int(deleted), json.dumps(body, ensure_ascii=False)


def _polls(times: list[float]) -> list[float]:
    """The last time of each poll."""
    polls: list[float] = []
    for time in times:
        if polls and time - polls[-1] <= CYCLE_S:
            polls[-1] = time
        else:
            polls.append(time)
    return polls


def _write_histories(database: sqlite3.Connection, scratch: sqlite3.Connection, polls: list[float]) -> None:
    rows = scratch.execute(
        "SELECT kind, namespace, name, time, deleted, manifest FROM seen ORDER BY kind, namespace, name, time"
    )
    known: tuple[str, str, str] | None = None
    first = last = 0.0
    latest, digest, deleted = "", b"", False

    def close() -> None:
        if known is not None:
            missed = sum(poll > last + CYCLE_S for poll in polls)
            gone = deleted or (polls[-1] - last > GRACE_S - CYCLE_S and missed >= MISSED)
            database.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", (*known, first, last, int(gone), latest)
            )

    for kind, namespace, name, time, was_deleted, manifest in rows:
        if (kind, namespace, name) != known:
            close()
            known, first, digest = (kind, namespace, name), time, b""
        last, deleted, latest = time, bool(was_deleted), manifest
        asked = _asked(manifest)
        if asked != digest:
            digest = asked
            database.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?)", (*known, time, manifest))
    close()


def _asked(manifest: str) -> bytes:
    """A digest of what somebody asked for: an object without what the cluster itself writes into it."""
    parsed: Manifest = json.loads(manifest)
    own = ("resourceVersion", "generation", "managedFields")
    metadata = {key: value for key, value in parsed["metadata"].items() if key not in own}
    asked: Any = {**parsed, "metadata": metadata, "status": None}
    if parsed["kind"] in ("Endpoints", "EndpointSlice"):
        asked = metadata.get("name")  # controllers write all of it
    return hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).digest()


def index_events(layout: Layout, database: sqlite3.Connection, report: Report) -> float:
    """Write events, each once as it was seen last. Their own times are no measure of the recording: 0."""
    path = layout.tables.get("events")
    if path is None:
        return 0.0
    name = layout.name(path)
    for line, cells in Table(path, name, COLUMNS, ("time", "body"), report):
        row = dict(zip(COLUMNS, cells, strict=True))
        try:
            time, body = parse_stamp(row["time"]), parse_json(row["body"])
        except ValueError as error:
            report.add(name, line, f"{error}; the row is left out")
            continue
        event = body.get("object", body) if isinstance(body, dict) else None
        if not isinstance(event, dict) or not (event.get("involvedObject") or event.get("regarding")):
            report.add(name, line, "the body is no event about an object; left out")
            continue
        _write_event(database, event, time)
    return 0.0


def _write_event(database: sqlite3.Connection, event: Manifest, time: float) -> None:
    metadata = event.setdefault("metadata", {})
    about = event.get("involvedObject") or event["regarding"]
    namespace = metadata.get("namespace", about.get("namespace", ""))
    identity = metadata.get("uid") or f"{namespace}/{metadata.get('name')}"
    if not metadata.get("name"):
        identity = (
            f"{about.get('kind')}/{about.get('name')}/{event.get('reason')}/{event.get('firstTimestamp')}"
        )
    event["kind"], event["involvedObject"] = "Event", about
    metadata.setdefault("name", str(identity))
    metadata.setdefault("namespace", namespace)
    metadata.setdefault("creationTimestamp", event.get("firstTimestamp") or event.get("eventTime"))
    database.execute(
        "INSERT INTO events VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET last = excluded.last, "
        "manifest = excluded.manifest WHERE excluded.last >= last",
        (str(identity), time, json.dumps(event, ensure_ascii=False)),
    )
