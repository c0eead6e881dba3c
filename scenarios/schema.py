"""The Scenario: one ITBench incident as frozen data.

Owns: the fields of a scenario file, their meaning, its key and its content hash. Does not own: reading
files and checking references (`scenarios.loader`) or what a fault does (`scenarios.faults`).

Words follow ITBench: a scenario has *disruptions* that run in parallel; a disruption has *injections* that
run one after the other, between waiters; a solution is a list of groups that must all be done in order, and
each group is a list of alternatives of which one is enough.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

GroundTruthPolicy = Literal["published", "corrected"]

REMEDIATION_TOOLS = (
    "patch_object",
    "apply_manifest",
    "delete_object",
    "scale_workload",
    "rollout_undo",
    "rollout_restart",
    "set_feature_flag",
    "wait",
)
"""Tools that a solution may name."""


class Model(BaseModel):
    """Base of all parts of a scenario: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedInjection(Model):
    """One use of a fault."""

    fault: str
    """ITBench id of the fault mechanism."""
    args: dict[str, Any] = Field(default_factory=dict)
    """The fault's arguments, as in ITBench's fault index."""
    repaired: str = ""
    """What was changed so that the injection has its intended effect; empty where it is as published."""


class PlannedWaiter(Model):
    """One use of a waiter."""

    waiter: str
    args: dict[str, Any] = Field(default_factory=dict)


class Disruption(Model):
    """Injections that run in order, between waiters."""

    pre_injection: tuple[PlannedWaiter, ...] = ()
    injections: tuple[PlannedInjection, ...] = Field(min_length=1)
    post_injection: tuple[PlannedWaiter, ...] = ()


class Conflict(Model):
    """What is known to be wrong with the published scenario."""

    kind: Literal["none", "A", "B", "C", "N"] = Field(default="none", alias="class")
    """A: published ground truth contradicts the injection. B: names or kinds drifted. C: documentation only.
    N: no version 1 ground truth."""
    note: str = ""


class ExpectedAlert(Model):
    """An alert that the mechanism implies on the simulated cluster."""

    alert: str
    entity: str
    """Service, or workload that owns the pod."""


class Group(Model):
    """Kubernetes objects that ground truth treats as one."""

    id: str
    kind: str
    namespace: str = ""
    filter: tuple[str, ...] = ()
    """Regular expressions over object names; any match is enough."""
    root_cause: bool = False


class Edge(Model):
    """One step of the causal chain, between group ids."""

    source: str
    target: str
    condition: str = ""
    """What holds at the source, in the published file's words."""
    effect: str = ""
    """What that does to the target."""


class DescribedFault(Model):
    """One entry of the published fault list, in its words."""

    condition: str
    category: str = ""
    mechanism: str = ""
    group: str = ""
    """Empty where the published file names none."""


class GroupAlert(Model):
    """An alert and the group that it affects."""

    alert: str
    group: str = ""
    """Empty where the published file names none."""


class GroundTruth(Model):
    """What went wrong and how it spread (ITBench version 1, normalised)."""

    groups: tuple[Group, ...] = ()
    aliases: tuple[tuple[str, ...], ...] = ()
    """Group ids that count as the same thing."""
    propagations: tuple[Edge, ...] = ()
    """In causal order."""
    alerts: tuple[GroupAlert, ...] = ()
    faults: tuple[DescribedFault, ...] = ()
    """Not one per injection: some files list symptoms first and the cause last."""
    reason: str = ""
    """Corrected ground truth only: what was wrong with the published one."""

    @property
    def roots(self) -> tuple[Group, ...]:
        """The root-cause groups."""
        return tuple(group for group in self.groups if group.root_cause)

    def group(self, group_id: str) -> Group:
        """The group of that id. Raises KeyError."""
        for group in self.groups:
            if group.id == group_id:
                return group
        raise KeyError(group_id)

    def accepted(self, root: Group) -> tuple[Group, ...]:
        """The root and every group that is aliased to it: naming any of them finds the root."""
        ids = {root.id}.union(*(alias for alias in self.aliases if root.id in alias))
        return tuple(group for group in self.groups if group.id in ids)


class Step(Model):
    """One tool call of a solution."""

    tool: str
    args: dict[str, Any] = Field(default_factory=dict)


class Alternative(Model):
    """One accepted way to do a part of the solution, executable with the agent's tools."""

    steps: tuple[Step, ...] = Field(min_length=1)
    note: str = ""


class OperatorAnswer(Model):
    """One thing that the person who opened an underspecified incident can tell."""

    about: tuple[str, ...] = Field(min_length=1)
    """Lower-case words of a question that this answers."""
    answer: str
    """About intent, affected users or limits; never about the cause."""


class Ambiguity(Model):
    """The incident as an underspecified request, with an operator who can be asked."""

    request: str
    """What the agent is told instead of the application's namespace."""
    answers: tuple[OperatorAnswer, ...] = Field(min_length=1)
    otherwise: str
    """The answer to any other question."""


class Scenario(Model):
    """One incident, keyed by (universe, version, id)."""

    universe: str
    """Which of the universes that share ids: `live`, `lite`, `aa`, ..."""
    version: str
    """Pin of the source that the scenario was taken from."""
    id: int
    application: str
    application_options: dict[str, Any] = Field(default_factory=dict)
    category: Literal["sre", "finops"]
    complexity: Literal["low", "medium", "high", "unknown"]
    """As the published index labels it; `unknown` for snapshots, which carry no index."""
    tags: tuple[str, ...]
    conflict: Conflict = Conflict()
    disruptions: tuple[Disruption, ...] = ()
    """Empty for false alarms, where the right action is none."""
    alerts: tuple[str, ...] = ()
    """Alert names that the published index declares."""
    expected_alerts: tuple[ExpectedAlert, ...] = ()
    ground_truth: GroundTruth = GroundTruth()
    """As published; empty where nothing is (class N)."""
    corrected: GroundTruth | None = None
    """Present where the published one contradicts the injection (class A), misses one of its causes or does not
    exist (class N)."""
    solutions: tuple[tuple[Alternative, ...], ...] = ()
    ambiguity: Ambiguity | None = None
    """The ambiguous variant, where the scenario has one."""
    notes: tuple[str, ...] = ()
    """What differs from the published scenario, and why."""

    @property
    def repaired(self) -> bool:
        """Whether an injection differs from the published one, which would have no effect."""
        return any(planned.repaired for planned in self.injections())

    @property
    def false_alarm(self) -> bool:
        """Nothing is broken: the right action is none."""
        return not self.disruptions

    @property
    def key(self) -> str:
        """`universe/version/id`: what experiments record."""
        return f"{self.universe}/{self.version}/{self.id}"

    @cached_property
    def digest(self) -> str:
        """Content hash: equal digests mean the same incident."""
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def injections(self) -> Iterator[PlannedInjection]:
        """Every injection of every disruption, in order."""
        for disruption in self.disruptions:
            yield from disruption.injections

    def scored_ground_truth(self, policy: GroundTruthPolicy = "corrected") -> GroundTruth:
        """The ground truth that a policy scores; where there is only one, it is that one."""
        published = self.ground_truth.groups or self.corrected is None
        if self.corrected is not None and (policy == "corrected" or not published):
            return self.corrected
        return self.ground_truth
