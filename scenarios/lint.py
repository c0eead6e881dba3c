"""Lint of ground truth: the defects of published files (docs/sources I1.9, I2), found mechanically.

    structure    ids that dangle or repeat, filters that do not compile, no root
    injection    roots that name nothing which the injections touch, injections that no root names, other kinds,
                 filters that only a forgiving matcher accepts
    names        groups that match no object of application and injections

Owns: the findings and the class that each suggests. Does not own: files, or the class that a scenario file
declares; a finding is a reason to look, not a verdict. It judges by the same matcher that scores, so a clean file
is one that a right answer can be scored against.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from harness.cluster import ObjectRef, ref
from harness.errors import ConfigurationError
from harness.scoring.matcher import (
    WORKLOAD_KINDS,
    GroupPattern,
    RootGroup,
    hits,
    normal_kind,
    parse_entity,
    root_groups,
)
from harness.scoring.propagation import workload_stem
from scenarios.applications import load_application
from scenarios.faults import FAULTS
from scenarios.schema import GroundTruth, Group, PlannedInjection, Scenario

Class = Literal["none", "A", "B", "C", "N"]

CODES: dict[str, tuple[Class, str]] = {
    "no-root": ("A", "no group is marked as root cause"),
    "no-injection": ("A", "nothing is injected"),
    "root-not-injected": ("A", "a root names nothing that the injections touch"),
    "injection-not-rooted": ("A", "an injection touches nothing that a root names"),
    "root-never-created": ("A", "a root's own name matches no object of application and injections"),
    "victim-not-named": ("A", "a chaos experiment selects a workload that no group is about"),
    "target-not-created": ("A", "an injection aims at an object that the application does not have"),
    "kind-drift": ("B", "the root's kind differs from the kind of the injected object"),
    "no-literal-match": ("B", "the filter cannot match the injected object's name as it is"),
    "uncompilable-filter": ("B", "the filter is no regular expression"),
    "name-never-created": ("C", "the group matches no object of application and injections"),
    "dangling-id": ("C", "an id that no group has"),
    "duplicate-id": ("C", "a group id is used twice"),
    "alert-without-group": ("C", "an alert names no group"),
    "no-version-1": ("N", "only generated version 2 ground truth, without roles and chain"),
}
"""Code -> (class that it suggests, meaning)."""

UNLISTED_KINDS = frozenset(
    {"serviceoperation", "namespace", "node", "horizontalpodautoscaler", "persistentvolumeclaim", "endpoints"}
)
"""Kinds whose objects are nobody's manifest: pseudo-kinds, and what cluster and chart options create."""
MADE_ELSEWHERE = ("Schedule", "Gateway", "Namespace")
"""Kinds that faults aim at and that the fault itself or the cluster's set-up creates."""
COMPONENT = "app.kubernetes.io/component"
"""The label by which chaos experiments select pods."""
POD_SUFFIX = "-7d9c5b8f46-x2x4z"
REPLICA_SET_SUFFIX = "-7d9c5b8f46"


class Finding(NamedTuple):
    """One defect."""

    code: str
    where: str
    """Field of the ground truth, or the injection."""
    what: str

    @property
    def suggests(self) -> Class:
        """The conflict class that the defect alone would give the scenario."""
        return CODES[self.code][0]


def lint_scenario(scenario: Scenario, part: Literal["published", "corrected"] = "published") -> list[Finding]:
    """Everything that is wrong with one ground truth of a scenario."""
    truth = scenario.scored_ground_truth(part)
    if not truth.groups and not scenario.disruptions:
        return []  # a false alarm, rightly without a cause
    created = application_objects(scenario.application, scenario.application_options)
    return [*structure(truth), *against(truth, list(scenario.injections()), created)]


def suggested_class(findings: Iterable[Finding]) -> Class:
    """The worst class that any finding suggests; without version 1 there is nothing to contradict: N."""
    suggested = {finding.suggests for finding in findings}
    order: tuple[Class, ...] = ("N", "A", "B", "C")
    return next((kind for kind in order if kind in suggested), "none")


# --- structure ------------------------------------------------------------------------------------------


def structure(truth: GroundTruth) -> list[Finding]:
    """Defects that show in the file alone."""
    ids = [group.id for group in truth.groups]
    found = [
        Finding("duplicate-id", f"groups[{index}].id", f"{name!r} is the id of an earlier group too")
        for index, name in enumerate(ids)
        if name in ids[:index]
    ]
    if not truth.roots:
        found.append(Finding("no-root", "groups", f"none of {len(ids)} groups has root_cause: true"))
    for index, group in enumerate(truth.groups):
        found += _filters(index, group)
    used = [
        *((f"aliases[{i}]", name) for i, alias in enumerate(truth.aliases) for name in alias),
        *((f"propagations[{i}].source", edge.source) for i, edge in enumerate(truth.propagations)),
        *((f"propagations[{i}].target", edge.target) for i, edge in enumerate(truth.propagations)),
        *((f"alerts[{i}].group_id", alert.group) for i, alert in enumerate(truth.alerts)),
        *((f"fault[{i}].entity.group_id", fault.group) for i, fault in enumerate(truth.faults)),
    ]
    found += [
        Finding("dangling-id", where, f"{name!r} is no group")
        for where, name in used
        if name and name not in ids
    ]
    if any(alert.group for alert in truth.alerts):  # version 2 never names groups
        found += [
            Finding("alert-without-group", f"alerts[{index}]", f"{alert.alert} names no group")
            for index, alert in enumerate(truth.alerts)
            if not alert.group
        ]
    return found


def _filters(index: int, group: Group) -> Iterator[Finding]:
    for number, pattern in enumerate(group.filter):
        try:
            re.compile(pattern)
        except re.error as error:
            where = f"groups[{index}].filter[{number}]"
            yield Finding("uncompilable-filter", where, f"{pattern!r} of {group.id}: {error}")


# --- against the manifest -------------------------------------------------------------------------------


def against(
    truth: GroundTruth, injections: Sequence[PlannedInjection], created: Sequence[ObjectRef] | None = None
) -> list[Finding]:
    """Defects that show beside what the scenario does. `created` are the application's objects; None: unknown."""
    if not injections:
        return [Finding("no-injection", "disruptions", "nothing is injected, so no root can be right")]
    touched = [injected(planned) for planned in injections]
    everything = list(dict.fromkeys(target for targets in touched for target in targets))
    roots = root_groups(truth.groups, truth.aliases)
    found: list[Finding] = []
    for root in roots:
        found += _root(truth.group(root.id), root, everything)
    for index, (planned, targets) in enumerate(zip(injections, touched, strict=True)):
        where = f"injections[{index}]"
        if roots and not any(_ways(target, root) for root in roots for target in targets):
            what = f"{planned.fault} touches {_listed(targets)}; no root names any of them"
            found.append(Finding("injection-not-rooted", where, what))
        found += _victims(where, planned, truth)
        if created is not None:
            found += _target(where, planned, created)
    if created is not None:
        found += _names(truth, [*created, *everything])
    return found


def injected(planned: PlannedInjection) -> tuple[ObjectRef, ...]:
    """What an injection touches: as the fault says where it is known here, else the object that it is aimed at."""
    if planned.fault in FAULTS:
        try:
            return FAULTS[planned.fault].model_validate(planned.args).objects()
        except ValidationError:
            pass
    aimed = _aimed(planned.args)
    return (aimed,) if aimed is not None else ()


def application_objects(name: str, options: Mapping[str, Any]) -> list[ObjectRef] | None:
    """Every object that an application's manifests create; None where the application is not known here."""
    try:
        return [ref(manifest) for manifest in load_application(name).manifests(options)]
    except ConfigurationError:
        return None


def _root(group: Group, root: RootGroup, everything: Sequence[ObjectRef]) -> Iterator[Finding]:
    named = [target for target in everything if _ways(target, root)]
    where = f"groups.{group.id}"
    if not named:
        what = f"{_shown(group)} names none of {_listed(everything)}"
        yield Finding("root-not-injected", where, what)
        return
    own = RootGroup(group.id, (GroupPattern(group.kind, group.namespace, group.filter),))
    kinds = {normal_kind(target.kind) for target in named}
    kind = normal_kind(group.kind)
    if kind not in kinds and not (kind in ("pod", "replicaset") and kinds & WORKLOAD_KINDS - {"service"}):
        yield Finding("kind-drift", where, f"{_shown(group)} stands for {_listed(named)}")
    literal = [target for target in named if _literally(group, target)]
    if not literal:
        rules = {hit.rule for target in named for hit in _ways(target, own)} or {"an alias"}
        what = f"{_shown(group)} is no literal match of {_listed(named)}, only by {', '.join(sorted(rules))}"
        yield Finding("no-literal-match", where, what)


def _target(where: str, planned: PlannedInjection, created: Sequence[ObjectRef]) -> Iterator[Finding]:
    """Whether the object that an existing-object fault aims at is there."""
    aimed = _aimed(planned.args)
    if aimed is not None and aimed.kind not in MADE_ELSEWHERE and aimed not in created:
        yield Finding("target-not-created", where, f"{planned.fault} aims at {aimed}, which nothing creates")


def _victims(where: str, planned: PlannedInjection, truth: GroundTruth) -> Iterator[Finding]:
    """Whether the ground truth speaks of the workload that a chaos experiment hits."""
    selected = dict.fromkeys(_selected(planned.args.get("scheduleSpec")))
    about = {workload_stem(group) for group in truth.groups}
    if selected and truth.propagations and not about.intersection(selected):
        yield Finding(
            "victim-not-named", where, f"the experiment selects {', '.join(selected)}; no group does"
        )


def _selected(spec: Any) -> Iterator[str]:
    """Components that a chaos experiment selects, its target included."""
    if isinstance(spec, dict):
        component = spec.get(COMPONENT)
        if isinstance(component, str):
            yield component
        for inner in spec.values():
            yield from _selected(inner)


def _names(truth: GroundTruth, everything: Sequence[ObjectRef]) -> Iterator[Finding]:
    """Groups without an object; other namespaces than those of application and injections are not known here."""
    namespaces = {"", *(target.namespace for target in everything)}
    for group in truth.groups:
        alone = RootGroup(group.id, (GroupPattern(group.kind, group.namespace, group.filter),))
        unknown = normal_kind(group.kind) in UNLISTED_KINDS or group.namespace not in namespaces
        if unknown or any(_ways(target, alone) for target in everything):
            continue
        code = "root-never-created" if group.root_cause else "name-never-created"
        yield Finding(code, f"groups.{group.id}", f"{_shown(group)} matches no object")


def _ways(target: ObjectRef, root: RootGroup) -> list[Any]:
    """How naming the object would find the root."""
    predicted = parse_entity(str(target))
    return hits(predicted, (root,)) if predicted is not None else []


def _literally(group: Group, target: ObjectRef) -> bool:
    """Whether a filter, used as the plain regular expression that it is, finds the object or its pods."""
    suffixes = {"pod": POD_SUFFIX, "replicaset": REPLICA_SET_SUFFIX}
    same = normal_kind(target.kind) == normal_kind(group.kind)
    name = target.name if same else target.name + suffixes.get(normal_kind(group.kind), "")
    for pattern in group.filter:
        try:
            if re.search(pattern, name):
                return True
        except re.error:
            continue
    return False


def _aimed(args: Mapping[str, Any]) -> ObjectRef | None:
    """The object of a fault's `kubernetesObject` argument."""
    given = args.get("kubernetesObject")
    if not isinstance(given, dict):
        return None
    metadata = given.get("metadata")
    if not isinstance(metadata, dict) or not given.get("kind") or not metadata.get("name"):
        return None
    return ObjectRef(str(given["kind"]), str(metadata["name"]), str(metadata.get("namespace") or ""))


def _shown(group: Group) -> str:
    return f"{group.kind} `{'`, `'.join(group.filter)}`"


def _listed(targets: Iterable[ObjectRef]) -> str:
    return ", ".join(map(str, targets)) or "nothing"
