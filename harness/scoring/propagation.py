"""The causal chain: Kubernetes objects contracted to semantic components, and how well two chains agree.

Owns: contraction, contracted paths, their longest common subsequence, distances along a chain. All of it stands
in for what the official judge does by reading (docs/sources I5), with rules instead of its discretion:

- Service, Pod, Deployment, ReplicaSet, StatefulSet and DaemonSet of one name and namespace are one component; a chaos
  Schedule and the experiment that is aliased to it are one; every other group stands alone.
- A predicted entity belongs to the ground-truth component whose groups it matches by the rules of `matcher.py`, and
  otherwise to a component of its own.
- Chains are graphs. `common_chain` is the longest chain of components that both graphs put in the same order: for two
  simple paths that is their longest common subsequence, and for graphs it does not depend on the order in which edges
  are listed, as the official path does. `listed_path` is that official path, for comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.scoring.matcher import (
    WORKLOAD_KINDS,
    GroupPattern,
    RootGroup,
    compile_filter,
    hits,
    normal_kind,
    parse_entity,
    same_family,
    workload_name,
)
from scenarios.schema import GroundTruth, Group

Edges = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Components:
    """The semantic components of one ground truth."""

    of_group: Mapping[str, str]
    """Group id -> component."""
    members: tuple[RootGroup, ...]
    """Each component with all ways to name it."""

    def of_entity(self, entity: str) -> str:
        """The component that a predicted entity belongs to; one of its own where the ground truth has none."""
        predicted = parse_entity(entity)
        if predicted is None:
            return f"?:{entity.strip()}"
        found = hits(predicted, self.members)
        if found:
            return found[0].group
        if predicted.kind in WORKLOAD_KINDS:
            return f"{predicted.namespace}/{workload_name(predicted.kind, predicted.name)}"
        return f"{predicted.kind}:{predicted.name}"


def contract(truth: GroundTruth) -> Components:
    """Contract the groups of a ground truth."""
    label: dict[str, str] = {}
    names: dict[str, str] = {}
    for group in sorted(truth.groups, key=lambda one: not one.namespace):
        stem = workload_stem(group)
        if stem:
            alone = f"{group.namespace}/{stem}"
            found = alone if group.namespace else names.get(stem, alone)
            names.setdefault(stem, found)
        else:
            found = f"{normal_kind(group.kind)}:{group.id}"
        label.setdefault(group.id, found)
    kinds = {group.id: normal_kind(group.kind) for group in truth.groups}
    for alias in truth.aliases:
        _merge([one for one in alias if one in kinds and kinds[one] not in WORKLOAD_KINDS], kinds, label)
    members: dict[str, list[GroupPattern]] = {}
    for group in truth.groups:
        members.setdefault(label[group.id], []).append(
            GroupPattern(group.kind, group.namespace, group.filter)
        )
    return Components(label, tuple(RootGroup(name, tuple(parts)) for name, parts in members.items()))


def workload_stem(group: Group) -> str:
    """The workload that a Service, Pod, ... group is about, from its first filter; empty for other kinds."""
    if normal_kind(group.kind) not in WORKLOAD_KINDS or not group.filter:
        return ""
    return compile_filter(group.filter[0]).stem or group.filter[0]


def _merge(alias: Sequence[str], kinds: Mapping[str, str], label: dict[str, str]) -> None:
    for one in alias[1:]:
        if same_family(kinds[alias[0]], kinds[one]):
            label[one] = label[alias[0]]


# --- chains ---------------------------------------------------------------------------------------------


def listed_path(edges: Edges) -> list[str]:
    """The official contracted path: both ends of every edge as they are listed, without consecutive repeats."""
    path: list[str] = []
    for edge in edges:
        for component in edge:
            if not path or path[-1] != component:
                path.append(component)
    return path


def longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for item in one:
        diagonal = 0
        for position, candidate in enumerate(other, start=1):
            above = row[position]
            row[position] = diagonal + 1 if item == candidate else max(above, row[position - 1])
            diagonal = above
    return row[-1]


def descendants(edges: Edges) -> dict[str, set[str]]:
    """Component -> every component after it. An edge that would close a circle is left out, the later one of two."""
    after: dict[str, set[str]] = {}
    for source, target in edges:
        below = after.setdefault(target, set()) | {target}
        if source == target or source in below:
            continue
        after.setdefault(source, set())
        for component, known in after.items():
            if component == source or source in known:
                known |= below
    return after


def common_chain(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> int:
    """Components of the longest chain that both orders share."""
    longest: dict[str, int] = {}
    # Whatever comes after a component has fewer components after it, so it is known by then.
    for component in sorted(one.keys() & other.keys(), key=lambda name: len(one[name])):
        later = one[component] & other[component]
        longest[component] = 1 + max((longest[below] for below in later), default=0)
    return max(longest.values(), default=0)


def hops(edges: Edges, sources: Iterable[str]) -> dict[str, int]:
    """Edges between each component of the chain and the nearest source, whichever way they point."""
    near: dict[str, set[str]] = {}
    for source, target in edges:
        near.setdefault(source, set()).add(target)
        near.setdefault(target, set()).add(source)
    distance = dict.fromkeys(sources, 0)
    front = list(distance)
    while front:
        reached = [(step, distance[component] + 1) for component in front for step in near.get(component, ())]
        front = []
        for component, away in reached:
            if component not in distance:
                distance[component] = away
                front.append(component)
    return distance
