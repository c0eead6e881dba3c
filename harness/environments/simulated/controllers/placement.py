"""Which node may take a pod: the scheduler's filters, one function each.

Owns: the filters and their wording. Does not own: when a pod is tried (`scheduler.py`). A filter returns an
empty string, or the reason as it stands in a FailedScheduling event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.cluster import Manifest
from harness.environments.simulated.admission import requested
from harness.environments.simulated.quantity import parse_quantity

PodsByNode = Mapping[str, Sequence[Manifest]]
Filter = Callable[[Manifest, Manifest, PodsByNode], str]

HELPLESS = (
    "node(s) were unschedulable",
    "node(s) had untolerated taint",
    "node(s) didn't match Pod's node affinity",
)
"""Beginnings of reasons that evicting other pods would not change."""


def unschedulable(pod: Manifest, node: Manifest, pods: PodsByNode) -> str:
    """Cordoned nodes, unless tolerated."""
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    cordoned = node["spec"].get("unschedulable") and not _tolerates(pod, taint)
    return "node(s) were unschedulable" if cordoned else ""


def tainted(pod: Manifest, node: Manifest, pods: PodsByNode) -> str:
    """Taints that keep new pods away."""
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return ""


def affine(pod: Manifest, node: Manifest, pods: PodsByNode) -> str:
    """The node selector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    wanted = (pod["spec"].get("nodeSelector") or {}).items()
    required = _required(pod, "nodeAffinity") or {}
    terms = required.get("nodeSelectorTerms") if isinstance(required, dict) else None
    matches = terms is None or any(_matches_term(term, node) for term in terms)
    if matches and all(labels.get(name) == value for name, value in wanted):
        return ""
    return "node(s) didn't match Pod's node affinity/selector"


def fits(pod: Manifest, node: Manifest, pods: PodsByNode) -> str:
    """Requests against what is allocatable and not yet requested by others."""
    allocatable = node["status"]["allocatable"]
    present = pods.get(node["metadata"]["name"], ())
    if len(present) + 1 > int(allocatable.get("pods", 110)):
        return "Too many pods"
    for resource in ("cpu", "memory"):
        wanted = requested(pod, resource)
        taken = sum(requested(other, resource) for other in present) if wanted else 0.0
        if wanted and wanted > parse_quantity(allocatable[resource]) - taken:
            return f"Insufficient {resource}"
    return ""


def anti_affine(pod: Manifest, node: Manifest, pods: PodsByNode) -> str:
    """Required pod affinity and anti-affinity, of the pod and of those already there (host topology)."""
    present = pods.get(node["metadata"]["name"], ())
    for other in present:
        if any(_selects(term, pod, other) for term in _terms(other, "podAntiAffinity")):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
    for term in _terms(pod, "podAffinity"):
        if not any(_selects(term, other, pod) for other in present):
            return "node(s) didn't match pod affinity rules"
    for term in _terms(pod, "podAntiAffinity"):
        if any(_selects(term, other, pod) for other in present):
            return "node(s) didn't match pod anti-affinity rules"
    return ""


FILTERS: tuple[Filter, ...] = (unschedulable, tainted, affine, fits, anti_affine)


def refusal(pod: Manifest, node: Manifest, pods: PodsByNode) -> str:
    """The first reason why the node may not take the pod; empty when it may."""
    for check in FILTERS:
        reason = check(pod, node, pods)
        if reason:
            return reason
    return ""


def explain(reasons: Sequence[str]) -> str:
    """The message of a FailedScheduling event, given one reason per node."""
    nodes = len(reasons)
    listed = ", ".join(sorted(f"{reasons.count(reason)} {reason}" for reason in set(reasons)))
    helpless = sum(reason.startswith(HELPLESS) for reason in reasons)
    outlook = [f"{helpless} Preemption is not helpful for scheduling"] if helpless else []
    if nodes - helpless:
        outlook.append(f"{nodes - helpless} No preemption victims found for incoming pod")
    preemption = f"preemption: 0/{nodes} nodes are available: {', '.join(sorted(outlook))}."
    return f"0/{nodes} nodes are available: {listed}. {preemption}"


def _tolerates(pod: Manifest, taint: Manifest) -> bool:
    for toleration in pod["spec"].get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("operator") == "Exists":
            if toleration.get("key") in (None, "", taint["key"]):
                return True
        elif toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def _required(pod: Manifest, kind: str) -> object:
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution")


def _terms(pod: Manifest, kind: str) -> Sequence[Manifest]:
    required = _required(pod, kind)
    return required if isinstance(required, list) else ()


def _selects(term: Manifest, candidate: Manifest, holder: Manifest) -> bool:
    """Whether an affinity term of `holder` selects `candidate`."""
    namespaces = term.get("namespaces") or [holder["metadata"]["namespace"]]
    if candidate["metadata"]["namespace"] not in namespaces or candidate is holder:
        return False
    return matches_selector(term.get("labelSelector"), candidate["metadata"].get("labels") or {})


def matches_selector(selector: Manifest | None, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy a label selector. An absent one matches nothing, an empty one everything."""
    if selector is None:
        return False
    exact = all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items())
    return exact and all(
        _matches(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _matches(expression: Manifest, labels: Mapping[str, str]) -> bool:
    value, operator = labels.get(expression["key"]), expression["operator"]
    if operator == "In":
        return value in (expression.get("values") or ())
    if operator == "NotIn":
        return value not in (expression.get("values") or ())
    return (value is not None) is (operator == "Exists")


def _matches_term(term: Manifest, node: Manifest) -> bool:
    labels = node["metadata"].get("labels") or {}
    by_field = {"metadata.name": node["metadata"]["name"]}
    return all(_matches(expression, labels) for expression in term.get("matchExpressions") or ()) and all(
        _matches(expression, by_field) for expression in term.get("matchFields") or ()
    )
