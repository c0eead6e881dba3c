"""Clarification branch: where the incident is ambiguous, probe, ask or declare before anything is changed.

Targets no clarification (MAST 2.2). Ambiguity is decided in code: the request names no namespace; what
is to be changed is one of several candidates and no read was directed at it; reads of it contradict each other.
Until it is resolved, changes are refused; so is a submission that assumes its root cause in words. Resolved
means: a read directed at the target, an answer of the operator, or a declared assumption. Refusals are
capped for each target, so that the branch cannot block an incident for ever.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from harness.evidence import Evidence, object_name, rows_of, targets_of
from harness.operator_channel import ASK, DECLARE, record_assumption
from harness.protocols import (
    ALLOW,
    GuardEvent,
    Operator,
    ProposedSubmission,
    ProposedToolCall,
    Ruling,
    ToolSchema,
)
from harness.trace import Event, ToolCall, ToolResult, UserMessage, of_type
from interventions.structural.base import Parameters, listed

NAMESPACE = re.compile(r"\bnamespaces?\b[\s:`'\"(]+[a-z0-9][a-z0-9-]+")
HEDGED = re.compile(r"\bprobably\b|\bpresumably\b|\bassum(e|ing)\b|\bmy guess\b|\bmost likely\b", re.I)
RESTARTS = frozenset({"rollout_restart"})


class ClarificationParameters(Parameters):
    """Parameters of the branch."""

    candidates: int = Field(default=2, ge=2)
    """Alerting or changed objects from which on a choice between them counts as ambiguous."""
    max_refusals: int = Field(default=3, ge=1, le=10)
    """Refusals for one target after which it is let through."""


class ClarificationBranch:
    """Blocks changes while it is open what they should be made on."""

    name = "clarification_branch"
    targets: ClassVar[tuple[str, ...]] = ("no_clarification",)
    owns: ClassVar[frozenset[str]] = frozenset()
    content: ClassVar[Mapping[str, str]] = {
        "request": "If the request does not say which application or namespace is meant, ask, or declare "
        "what you assume.",
        "candidates": "If several objects could be the cause, do not change one before a read directed at it.",
        "conflict": "If two reads of the same object contradict each other, read it again before you act.",
        "assumption": "Never assume silently: name an assumption and your confidence, so that it can be revised.",
    }
    Parameters = ClarificationParameters

    def __init__(self, parameters: ClarificationParameters) -> None:
        self._is = parameters
        self._refused: Counter[str] = Counter()
        self._armed = False

    def tools(self) -> Sequence[ToolSchema]:
        """`declare_assumption`, from the first refusal on."""
        return (DECLARE,) if self._armed else ()

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on changes and submissions, and record declared assumptions."""
        if isinstance(event, ProposedToolCall):
            if event.name == DECLARE.name and self._armed:
                ok, text = record_assumption(event.args)
                return Ruling("answer" if ok else "deny", feedback=text)
            if event.mutating:
                return self._refuse(self._open_before(event.name, event.args, operator.events))
        elif isinstance(event, ProposedSubmission):
            return self._refuse(assumed(event, operator.events))
        return ALLOW

    def _refuse(self, found: tuple[str, str, str] | None) -> Ruling:
        """Refuse (reason id, target, what is open), up to the cap."""
        if found is None or self._refused[found[1]] >= self._is.max_refusals:
            return ALLOW
        reason, target, what = found
        self._refused[target] += 1
        self._armed = True
        ways = "Read it, ask with ask_operator where that is offered, or call declare_assumption."
        return Ruling("deny", feedback=f"Not run: {what} {self.content[reason]} {ways}")

    def _open_before(
        self, name: str, args: Mapping[str, Any], events: Sequence[Event]
    ) -> tuple[str, str, str] | None:
        """What is ambiguous about a change."""
        evidence = Evidence(events)
        clarified = clarifications(events)
        if underspecified(events) and not clarified:
            return "request", "the request", "the request does not say which application is meant."
        repaired = any(call.name not in RESTARTS for call in evidence.changes())
        if name in RESTARTS and repaired:
            return None
        named = targets_of(args)
        about = named or {str(args.get("namespace") or "the whole namespace")}
        if any(target in text for text in clarified for target in about):
            return None
        candidates = candidates_in(evidence)
        for target in sorted(named):
            if contradictory(evidence, target):
                return "conflict", target, f"reads of {target} contradict each other."
        unread = all(not evidence.reads_about(target) for target in named)
        if unread and len(candidates) >= self._is.candidates:
            target = listed(named) or "the whole namespace"
            return (
                "candidates",
                target,
                f"candidates are {listed(candidates)}; no read was directed at {target}.",
            )
        return None


def underspecified(events: Sequence[Event]) -> bool:
    """Whether the request that opened the incident names no namespace."""
    task = next(of_type(events, UserMessage), None)
    return task is not None and NAMESPACE.search(task.text) is None


def clarifications(events: Sequence[Event]) -> list[str]:
    """Texts of questions that were answered and of assumptions that were declared."""
    answered = {result.call_id for result in of_type(events, ToolResult) if result.ok}
    return [
        " ".join(str(value) for value in call.args.values())
        for call in of_type(events, ToolCall)
        if call.name in (ASK.name, DECLARE.name) and call.call_id in answered
    ]


def candidates_in(evidence: Evidence) -> set[str]:
    """Names of objects that alert or were changed, as far as the agent has read."""
    names: set[str] = set()
    for call in evidence.calls.values():
        if call.name == "alert_summary":
            names.update(pair.split(" ", 1)[1] for pair in evidence.firing_in(call))
        elif call.name == "k8s_spec_change_analysis":
            names.update(object_name(str(row.get("entity_id", ""))) for row in rows_of(call.text))
    return {object_name(name) for name in names if name}


def contradictory(evidence: Evidence, target: str) -> bool:
    """Whether the two newest reads directed at a target disagree on whether it is there."""
    last = evidence.last_change()
    directed = [
        call
        for call in evidence.calls.values()
        if call.i > last and call.executed and not call.mutating and target in targets_of(call.args)
    ]
    absent = ["not found" in call.text[:200].lower() for call in directed[-2:]]
    return len(absent) == 2 and absent[0] != absent[1]


def assumed(event: ProposedSubmission, events: Sequence[Event]) -> tuple[str, str, str] | None:
    """A root cause that is assumed in words, without a read directed at it or a declaration."""
    evidence = Evidence(events)
    clarified = clarifications(events)
    for entity in event.submission.diagnosis.entities:
        name = object_name(entity.name)
        declared = any(name in text for text in clarified)
        hedged = entity.contributing_factor and HEDGED.search(entity.reasoning)
        if hedged and not declared and not evidence.reads_about(entity.name):
            return "assumption", name, f"{entity.name} is assumed, and no read was directed at it."
    return None
