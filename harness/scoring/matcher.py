"""Does a predicted entity name a root group of the ground truth? Deterministic, with the rule that decided.

Owns: the entity grammar, generated-name suffixes, filter compilation, kind policies, and the seven steps of
docs/sources I5. Does not own: ground-truth files (scenarios/schema.py) or the metrics (diagnosis.py).

Kind policies, each implying the next:
    strict   the kinds are equal
    family   ... or both are forms of one workload (Service, Deployment, ReplicaSet, Pod, ...) or of one chaos
             experiment (a Schedule and the experiment that it spawns)
    any      kinds do not matter
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from harness.records import EntityMatch

Policy = Literal["strict", "family", "any"]

KIND_SYNONYMS = {
    "deploy": "deployment", "deployments": "deployment", "svc": "service", "services": "service",
    "po": "pod", "pods": "pod", "ns": "namespace", "cm": "configmap", "rs": "replicaset",
    "sts": "statefulset", "ds": "daemonset", "hpa": "horizontalpodautoscaler", "netpol": "networkpolicy",
    "pvc": "persistentvolumeclaim", "pdb": "poddisruptionbudget", "quota": "resourcequota",
    "ep": "endpoints", "sa": "serviceaccount", "no": "node",
}  # fmt: skip
WORKLOAD_KINDS = frozenset({"service", "pod", "deployment", "replicaset", "statefulset", "daemonset"})
NO_NAMESPACE = frozenset({"", "_", "-", "cluster"})
CLUSTER_SCOPED = frozenset(
    {"node", "namespace", "clusterrole", "clusterrolebinding", "priorityclass", "persistentvolume"}
)
APPLICATION_PREFIXES = ("otel-demo-", "book-info-")
"""Prefixes that the names of chaos objects carry in some releases and not in others."""

_HASH = r"(?:[bcdf4-9]{6,10}|(?=[a-z]*\d)[a-z0-9]{8,10})"
"""A pod-template hash: Kubernetes' safe alphabet, or any eight to ten characters with a digit among them;
a plain word such as `generator` is neither."""
_POD = re.compile(rf"^(?P<w>.+)-{_HASH}-[a-z0-9]{{5}}$")
_REPLICA_SET = re.compile(rf"^(?P<w>.+)-{_HASH}$")
_ORDINAL = re.compile(r"^(?P<w>.+)-\d+$")
_RANDOM = re.compile(r"^(?P<w>.+)-[bcdfghjklmnpqrstvwxz2456789]{5}$")
_PLACEHOLDER = re.compile(r"^(?P<w>.+?)(?:-(?:\*|<[^>]*>|x{3,}|\.{3}|…))+$")
_VERSION = re.compile(r"^(?P<w>.+)-v\d+$")
_META = re.compile(r"[\\^$*+?()\[\]{}|]")


class Name(NamedTuple):
    """A predicted entity after normalisation; kind is lower-case, namespace is empty when unknown."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class GroupPattern:
    """One kind of object by which a root group may be named; `patterns` are regexes over object names."""

    kind: str
    namespace: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootGroup:
    """One root cause: it counts once, whichever of its members is named."""

    id: str
    members: tuple[GroupPattern, ...]


class Group(Protocol):
    """A ground-truth group as scenario files have it (`scenarios.schema.Group`)."""

    @property
    def id(self) -> str:
        """What aliases refer to."""

    @property
    def kind(self) -> str:
        """Kubernetes kind, or a pseudo-kind such as ServiceOperation."""

    @property
    def namespace(self) -> str:
        """Empty when the file gives none."""

    @property
    def filter(self) -> Sequence[str]:
        """Regular expressions over object names."""

    @property
    def root_cause(self) -> bool:
        """The incident began here."""


class Hit(NamedTuple):
    """A prediction matches a group: by which rule, and under which kind policy at best."""

    group: str
    rule: str
    policy: Policy


# --- ground truth ---------------------------------------------------------------------------------------


def root_groups(groups: Iterable[Group], aliases: Iterable[Sequence[str]]) -> tuple[RootGroup, ...]:
    """Root groups with all their aliases. Roots that are aliases of each other are one root group; alias
    sets that overlap are joined; ids that no group has are ignored (the scenario lint reports them)."""
    by_id: dict[str, list[Group]] = {}
    for group in groups:
        by_id.setdefault(group.id, []).append(group)
    joined = _join(by_id, aliases)
    roots: list[RootGroup] = []
    taken: set[str] = set()
    for group_id, same in by_id.items():
        if group_id in taken or not any(group.root_cause for group in same):
            continue
        names = joined[group_id]
        taken |= names
        ordered = [group_id, *(other for other in by_id if other in names and other != group_id)]
        members = (member for name in ordered for member in by_id[name])
        roots.append(
            RootGroup(group_id, tuple(GroupPattern(m.kind, m.namespace, tuple(m.filter)) for m in members))
        )
    return tuple(roots)


def _join(by_id: Mapping[str, object], aliases: Iterable[Sequence[str]]) -> dict[str, set[str]]:
    joined = {group_id: {group_id} for group_id in by_id}
    for alias_set in aliases:
        known = [group_id for group_id in alias_set if group_id in joined]
        union = set().union(*(joined[group_id] for group_id in known)) if known else set()
        for group_id in union:
            joined[group_id] = union
    return joined


# --- names ----------------------------------------------------------------------------------------------


def parse_entity(text: str) -> Name | None:
    """Normalise `namespace/Kind/name` or `Kind/name`; None when the text is neither."""
    parts = [part.strip().lower() for part in text.strip().strip("`'\"").split("/")]
    if len(parts) == 2:
        parts.insert(0, "")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        return None
    kind = normal_kind(parts[1])
    namespace = "" if parts[0] in NO_NAMESPACE or kind in CLUSTER_SCOPED else parts[0]
    return Name(namespace, kind, parts[2])


def normal_kind(kind: str) -> str:
    """A kind in lower case, abbreviations spelled out."""
    kind = kind.strip().lower()
    return KIND_SYNONYMS.get(kind, kind)


def same_family(one: str, other: str) -> bool:
    """Whether two normalised kinds are forms of one workload, or of one chaos experiment."""
    return (one in WORKLOAD_KINDS and other in WORKLOAD_KINDS) or (_is_chaos(one) and _is_chaos(other))


def _is_chaos(kind: str) -> bool:
    return kind == "schedule" or kind.endswith("chaos")


def workload_name(kind: str, name: str) -> str:
    """The name without what Kubernetes (or a placeholder such as `-*`) appended to it."""
    placeholder = _PLACEHOLDER.match(name)
    if placeholder:
        name = placeholder["w"]
    suffixes = [_POD]
    if kind in ("pod", "replicaset"):
        suffixes.append(_REPLICA_SET)
    if kind == "pod":
        suffixes += [_ORDINAL, _RANDOM]
    if _is_chaos(kind):
        suffixes.append(_RANDOM)
    for suffix in suffixes:
        found = suffix.match(name)
        if found:
            return found["w"]
    return name


def _names(predicted: Name) -> Iterator[tuple[str, str]]:
    """(prefix of the rule id, candidate name), the most literal first."""
    bare = workload_name(predicted.kind, predicted.name)
    yield "", predicted.name
    if bare != predicted.name:
        yield "workload-", bare
    if _is_chaos(predicted.kind):
        for prefix in APPLICATION_PREFIXES:
            for name in dict.fromkeys((predicted.name, bare)):
                yield "chaos-", name.removeprefix(prefix) if name.startswith(prefix) else prefix + name


# --- filters --------------------------------------------------------------------------------------------


class Filter(NamedTuple):
    """A compiled filter. `literal` filters name one object; `prefix` filters (`name-.*`) the pods of one
    workload; others are regexes, or globs when they do not compile."""

    shape: Literal["literal", "prefix", "regex", "glob"]
    stem: str
    regex: re.Pattern[str]


@lru_cache(maxsize=4096)
def compile_filter(pattern: str) -> Filter:
    """Compile one ground-truth filter; never fails."""
    stem = (
        pattern.removeprefix("^")
        .removesuffix("$")
        .removesuffix(r"\b")
        .replace(r"\-", "-")
        .replace(r"\.", ".")
    )
    if not _META.search(stem):
        return Filter("literal", stem.lower(), re.compile(re.escape(stem), re.IGNORECASE))
    head = re.sub(r"-(?:\.[*+]|\[.*|\(.*|\\w.*|\\d.*)$", "", stem)
    try:
        regex = re.compile(pattern, re.IGNORECASE)
    except re.error:
        return Filter("glob", "", re.compile(fnmatch.translate(pattern), re.IGNORECASE))
    if head != stem and not _META.search(head):
        return Filter("prefix", head.lower(), regex)
    return Filter("regex", "", regex)


def _rule(predicted: Name, pattern: str, group_kind: str) -> str:
    """The rule by which the name passes the filter; empty when it does not."""
    filter_ = compile_filter(pattern)
    workload = group_kind in WORKLOAD_KINDS
    for prefix, name in _names(predicted):
        # `\b` holds before a hyphen and `.*` crosses it, so `frontend\b` and `frontend-.*` would both take
        # `frontend-proxy`: filters that name one workload are compared with the whole workload name.
        if filter_.shape == "literal":
            if name == filter_.stem:
                return f"{prefix}exact"
        elif filter_.shape == "prefix" and workload:
            if name == filter_.stem:
                return f"{prefix}dash"
            if _is_version_of(name, filter_.stem):
                return f"{prefix}version"
        elif filter_.regex.fullmatch(name):
            return f"{prefix}{'glob' if filter_.shape == 'glob' else 'fullmatch'}"
        elif filter_.regex.fullmatch(f"{name}-") or filter_.regex.fullmatch(f"{name}-x"):
            return f"{prefix}dash"
        elif filter_.shape == "regex" and filter_.regex.search(name):
            return f"{prefix}search"
    return ""


def _is_version_of(name: str, stem: str) -> bool:
    """`reviews-v1` is a workload of `reviews-.*`."""
    found = _VERSION.match(name)
    return bool(found and found["w"] == stem)


# --- matching -------------------------------------------------------------------------------------------

_ORDER: dict[Policy, int] = {"strict": 0, "family": 1, "any": 2}


def hits(predicted: Name, roots: Iterable[RootGroup], policy: Policy = "family") -> list[Hit]:
    """All ways in which a prediction names a root group, the best first."""
    found: list[Hit] = []
    for root in roots:
        for member in root.members:
            kind = normal_kind(member.kind)
            agreement = _agreement(predicted.kind, kind)
            if _ORDER[agreement] > _ORDER[policy] or not _same_place(predicted, member, kind):
                continue
            rule = next((rule for p in member.patterns if (rule := _rule(predicted, p, kind))), "")
            if rule:
                found.append(Hit(root.id, f"{rule}/{agreement}", agreement))
    return sorted(found, key=lambda hit: _ORDER[hit.policy])


def match(entity: str, roots: Sequence[RootGroup], policy: Policy = "family") -> EntityMatch:
    """Match one predicted entity; first the kinds decide, then the order of the ground truth."""
    predicted = parse_entity(entity)
    if predicted is None:
        return EntityMatch(entity=entity, group=None, rule="not-an-entity", strict=False)
    found = hits(predicted, roots, policy)
    if not found:
        return EntityMatch(entity=entity, group=None, rule="no-match", strict=False)
    best = found[0]
    return EntityMatch(entity=entity, group=best.group, rule=best.rule, strict=best.policy == "strict")


def _agreement(predicted: str, expected: str) -> Policy:
    if not expected or predicted == expected:
        return "strict"
    return "family" if same_family(predicted, expected) else "any"


def _same_place(predicted: Name, member: GroupPattern, kind: str) -> bool:
    namespace = member.namespace.lower()
    if not predicted.namespace or namespace in NO_NAMESPACE or kind in CLUSTER_SCOPED:
        return True
    return predicted.namespace == namespace
