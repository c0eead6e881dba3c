"""Kubernetes objects as tools name and show them.

Owns: kind aliases, the object id grammar (`namespace/Kind/name`, `Kind/name`, `name`), lookup with
suggestions, redaction, and the few derived words that kubectl prints (pod status, age). Does not own:
any tool.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from harness.cluster import Forbidden, Manifest, NotFound, ObjectRef
from harness.errors import ToolError
from harness.tools.base import Json, ToolContext, parse_time
from harness.tools.diff import LAST_APPLIED, REDACTED

SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "Pod": ("po",),
    "Deployment": ("deploy",),
    "ReplicaSet": ("rs",),
    "StatefulSet": ("sts",),
    "DaemonSet": ("ds",),
    "Service": ("svc",),
    "Endpoints": ("ep",),
    "EndpointSlice": (),
    "ConfigMap": ("cm",),
    "Secret": (),
    "Node": ("no",),
    "Namespace": ("ns",),
    "Event": ("ev",),
    "ResourceQuota": ("quota",),
    "NetworkPolicy": ("netpol", "networkpolicies"),
    "PersistentVolumeClaim": ("pvc",),
    "PersistentVolume": ("pv",),
    "HorizontalPodAutoscaler": ("hpa",),
    "PriorityClass": ("pc", "priorityclasses"),
    "ServiceAccount": ("sa",),
    "Job": (),
    "CronJob": ("cj",),
    "Ingress": ("ing", "ingresses"),
    "Schedule": (),
    "HTTPChaos": ("httpchaos",),
    "IOChaos": ("iochaos",),
    "JVMChaos": ("jvmchaos",),
    "NetworkChaos": ("networkchaos",),
    "PodChaos": ("podchaos",),
    "StressChaos": ("stresschaos",),
    "Gateway": ("gtw",),
    "HTTPRoute": (),
    "AuthorizationPolicy": ("authorizationpolicies", "ap"),
    "PeerAuthentication": ("pa",),
}
ALIASES: Mapping[str, str] = {
    alias: kind for kind, short in SHORT_NAMES.items() for alias in (kind.lower(), f"{kind.lower()}s", *short)
}
CLUSTER_SCOPED = frozenset({"Node", "Namespace", "PersistentVolume", "PriorityClass", "ClusterRole"})
NO_NAMESPACE = frozenset({"", "-", "_", "cluster"})
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
LONG_LIVED = (
    *WORKLOADS,
    "Service",
    "ConfigMap",
    "Secret",
    "NetworkPolicy",
    "ResourceQuota",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
    "Schedule",
    "Gateway",
    "AuthorizationPolicy",
    "PeerAuthentication",
)
"""Namespaced kinds that an application consists of; pods and ReplicaSets come and go."""
BY_NAME = (*LONG_LIVED, "Pod", "ReplicaSet", "Node", "Namespace")
"""Kinds that are searched when only a name is given."""

BOOKKEEPING = frozenset({"managedFields", "resourceVersion", "selfLink", "uid"})
"""Metadata that only the API server needs; without them a manifest can be applied again."""

POD_NAMES = (
    re.compile(r"^(?P<workload>.+)-[a-f0-9]{6,10}-[a-z0-9]{5}$"),
    re.compile(r"^(?P<workload>.+)-[a-f0-9]{6,10}$"),
    re.compile(r"^(?P<workload>.+)-\d+$"),
)


def kind_of(text: str) -> str:
    """The Kind that a user means by `deploy`, `pods`, `ConfigMap`. Raises ToolError for an unknown word."""
    word = text.strip()
    kind = ALIASES.get(word.lower())
    if kind is not None:
        return kind
    if re.fullmatch(r"[A-Z][A-Za-z0-9]+", word):
        return word
    near = difflib.get_close_matches(word.lower(), ALIASES, n=1)
    hint = f"; did you mean {ALIASES[near[0]]}?" if near else ""
    raise ToolError(f"unknown kind {word!r}{hint} Known kinds: {', '.join(SHORT_NAMES)}")


def namespace_for(kind: str, namespace: str) -> str:
    """The namespace of an object of that kind: empty for cluster-scoped kinds."""
    return "" if kind in CLUSTER_SCOPED or namespace in NO_NAMESPACE else namespace


class ObjectId(NamedTuple):
    """What an agent wrote to name an object; None where it left a part open."""

    namespace: str | None
    kind: str | None
    name: str

    @property
    def format(self) -> str:
        """The form of the identifier, as the official tools report it."""
        if self.namespace is not None:
            return "namespace/Kind/name"
        return "Kind/name" if self.kind else "name"

    @property
    def service(self) -> str:
        """The service that the object belongs to, going by its name."""
        return workload_name(self.name) if self.kind in (None, "Pod", "ReplicaSet") else self.name


def parse_id(text: str) -> ObjectId:
    """Read an object id. Raises ToolError when it follows no form of the grammar."""
    parts = [part.strip() for part in text.strip().split("/")]
    if not all(parts[1:]) or not 1 <= len(parts) <= 3 or not parts[-1]:
        raise ToolError(f"{text!r} is no object id; expected namespace/Kind/name, Kind/name or name")
    if len(parts) == 1:
        return ObjectId(None, None, parts[0])
    kind = kind_of(parts[-2])
    if len(parts) == 2:
        return ObjectId("" if kind in CLUSTER_SCOPED else None, kind, parts[-1])
    return ObjectId(namespace_for(kind, parts[0]), kind, parts[-1])


@lru_cache(maxsize=4096)
def workload_name(name: str) -> str:
    """The name of the workload that owns a pod or ReplicaSet of this name; the name itself otherwise."""
    for pattern in POD_NAMES:
        match = pattern.match(name)
        if match:
            return match["workload"]
    return name


def candidates(context: ToolContext, wanted: ObjectId) -> list[ObjectRef]:
    """The references that an id can stand for, existing or not."""
    kinds = (wanted.kind,) if wanted.kind else BY_NAME
    found = []
    for kind in kinds:
        if kind in CLUSTER_SCOPED:
            found.append(ObjectRef(kind, wanted.name))
        elif wanted.namespace is not None:
            found.append(ObjectRef(kind, wanted.name, wanted.namespace))
        else:
            found.extend(ObjectRef(kind, wanted.name, namespace) for namespace in context.namespaces)
    return found


def find(context: ToolContext, wanted: ObjectId) -> list[Manifest]:
    """Every existing object that an id stands for."""
    found = []
    for reference in candidates(context, wanted):
        try:
            found.append(context.cluster.get(*reference))
        except (NotFound, Forbidden):
            continue
    return found


def visible(context: ToolContext, kind: str, namespace: str | None) -> list[Manifest]:
    """The objects of a kind, for walks over many kinds: none where the cluster does not serve the kind or the
    account may not read it."""
    try:
        return context.cluster.list(kind, namespace)
    except (NotFound, Forbidden):
        return []


def not_found(context: ToolContext, wanted: ObjectId, text: str) -> ToolError:
    """The error for an id that names nothing, with names that resemble it."""
    kinds = (wanted.kind,) if wanted.kind else (*WORKLOADS, "Service", "Pod", "ConfigMap")
    namespaces = context.namespaces if wanted.namespace is None else (wanted.namespace,)
    names = [
        candidate["metadata"]["name"]
        for kind in kinds
        for namespace in (("",) if kind in CLUSTER_SCOPED else namespaces)
        for candidate in visible(context, kind, namespace or None)
    ]
    return ToolError(f"not found: {text}{near_names(wanted.name, names)}")


def near_names(name: str, known: Iterable[str], what: str = "similar names") -> str:
    """A hint with the known names that resemble a wrong one; empty when none does."""
    pool = sorted(set(known))
    near = [candidate for candidate in pool if candidate.startswith(name)][:5]
    near += [n for n in difflib.get_close_matches(name, pool, n=5, cutoff=0.5) if n not in near]
    return f"; {what}: {', '.join(near[:6])}" if near else ""


def entity_id(manifest: Manifest) -> str:
    """`namespace/Kind/name` of an object."""
    metadata = manifest["metadata"]
    return f"{metadata.get('namespace') or 'cluster'}/{manifest['kind']}/{metadata['name']}"


def redacted(manifest: Manifest) -> Manifest:
    """The object as an agent may read it: no Secret values, no bookkeeping of the API server."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in BOOKKEEPING}
    annotations = metadata.get("annotations", {})
    if LAST_APPLIED in annotations:
        metadata["annotations"] = {key: text for key, text in annotations.items() if key != LAST_APPLIED}
    shown = {**manifest, "metadata": metadata}
    if manifest.get("kind") == "Secret":
        for part in ("data", "stringData"):
            if part in shown:
                shown[part] = dict.fromkeys(shown[part], REDACTED)
    return shown


def age(manifest: Manifest, now: float) -> str:
    """Time since creation, as kubectl prints it."""
    created = parse_time(manifest["metadata"].get("creationTimestamp"))
    return "<unknown>" if created is None else duration(now - created)


def duration(seconds: float) -> str:
    """A span of time in kubectl's form: 90s, 12m, 3h, 4d."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    if whole < 7200:
        return f"{whole // 60}m"
    return f"{whole // 3600}h" if whole < 172_800 else f"{whole // 86_400}d"


def owners(manifest: Manifest) -> list[str]:
    """`Kind/name` of what owns an object."""
    return [f"{o['kind']}/{o['name']}" for o in manifest["metadata"].get("ownerReferences", [])]


def pod_status(pod: Manifest) -> str:
    """The STATUS column of `kubectl get pods`."""
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    init = status.get("initContainerStatuses", [])
    for number, container in enumerate(init):
        state = container.get("state", {})
        if state.get("terminated", {}).get("exitCode") == 0:
            continue
        reason = _reason(state)
        return f"Init:{reason}" if reason else f"Init:{number}/{len(init)}"
    reasons = [_reason(container.get("state", {})) for container in status.get("containerStatuses", [])]
    shown = next((reason for reason in reasons if reason), "")
    return str(shown or status.get("reason") or status.get("phase", "Unknown"))


def _reason(state: Json) -> str:
    """Why a container is not running; empty when it runs or its state says nothing."""
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason") != "PodInitializing":
        return str(waiting.get("reason", ""))
    if terminated:
        return str(terminated.get("reason") or f"ExitCode:{terminated.get('exitCode', 0)}")
    return ""


def has_labels(manifest: Manifest, labels: Mapping[str, Any]) -> bool:
    """Whether an object carries all the labels."""
    carried = manifest["metadata"].get("labels") or {}
    return all(carried.get(key) == value for key, value in labels.items())
