"""Action validation: what is called must be what was said, about objects that exist, in a phase that permits it.

Targets reasoning-action mismatch and role violation (MAST 2.6, 1.2). Three checks in code, before
anything runs: the announced tool or the stated intent against the call; the object against the inventory of
names that the tools have shown (an unknown name is looked up once); the phase against its permissions.
Refusals in a row are capped, so that a misreading cannot block an agent for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from harness.evidence import Evidence, object_name, targets_of
from harness.protocols import (
    ALLOW,
    GuardEvent,
    Operator,
    ProposedSubmission,
    ProposedToolCall,
    Ruling,
    ToolSchema,
)
from harness.tools.toolbox import ORDER
from harness.trace import AssistantMessage, Event, ModelCall, ToolResult, of_type
from interventions.structural.base import Parameters

INTENT = ToolSchema(
    "state_intent",
    "State what the next call is for: the tool, its target and the purpose.",
    {
        "type": "object",
        "properties": {
            "tool": {"type": "string"},
            "target": {"type": "string", "description": "the object's name, or empty"},
            "purpose": {"enum": ["look", "test_hypothesis", "remediate", "verify"]},
        },
        "required": ["tool", "target", "purpose"],
    },
)
ANNOUNCED = re.compile(
    r"\b(?:will|next|now|going to|let me)\b[^.\n]{0,30}?\b(?:call|use|run)\s+`?(\w+)`?", re.I
)
LOOKED_UP = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Service", "Pod", "ConfigMap", "Secret"})
FREE_NAMES = frozenset({"apply_manifest", "set_feature_flag", "state_intent", "wait"})
"""Tools whose names may be new, or are checked by the tool itself."""


class Intent(NamedTuple):
    """What the agent stated about its next call."""

    tool: str
    target: str
    purpose: str


class ActionParameters(Parameters):
    """Parameters of action validation."""

    intent: Literal["after_mismatch", "writes", "always"] = "after_mismatch"
    """Before which calls `state_intent` is required: only announced ones are compared (and stating an intent is
    offered after the first mismatch); before changes; before every call."""
    max_refusals: int = Field(default=2, ge=1, le=10)
    """Refusals in a row after which a call passes."""


class ActionValidation:
    """Refuses calls that contradict what was said, unknown objects and changes at the wrong time."""

    name = "action_validation"
    targets: ClassVar[tuple[str, ...]] = ("reasoning_action", "disobey_role")
    owns: ClassVar[frozenset[str]] = frozenset()
    content: ClassVar[Mapping[str, str]] = {
        "as_said": "Call the tool that you announced; if you change your mind, say so first.",
        "intent": "State tool, target and purpose of a call, and then make exactly that call.",
        "inventory": "Name only objects that a tool has shown; do not make names up.",
        "phase": "Change nothing before you have read the alerts and directed a read at what you change.",
    }
    Parameters = ActionParameters

    def __init__(self, parameters: ActionParameters) -> None:
        self._is = parameters
        self._in_a_row = 0
        self._armed = parameters.intent != "after_mismatch"
        self._intent: Intent | None = None
        self._known: set[str] = set()

    def tools(self) -> Sequence[ToolSchema]:
        """`state_intent`, once it is required or a mismatch was seen."""
        return (INTENT,) if self._armed else ()

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on calls and on the names in submissions."""
        if isinstance(event, ProposedSubmission):
            return self._refuse(unknown_claims(event, operator.events))
        if not isinstance(event, ProposedToolCall):
            return ALLOW
        if event.name == INTENT.name and self._armed:
            return self._note(event.args)
        found = self._against_words(event, operator.events)
        found = found or await self._against_inventory(event, operator)
        found = found or against_phase(event, Evidence(operator.events))
        self._intent = None
        return self._refuse(found)

    def _note(self, args: Mapping[str, Any]) -> Ruling:
        fields = [str(args.get(name, "")) for name in Intent._fields]
        if not fields[0] or fields[2] not in INTENT.parameters["properties"]["purpose"]["enum"]:
            return Ruling("deny", feedback="Error: state_intent: expected tool, target and a known purpose")
        self._intent = Intent(*fields)
        return Ruling("answer", feedback=f"Noted. Now call {fields[0]}.")

    def _refuse(self, found: tuple[str, str] | None) -> Ruling:
        if found is None or self._in_a_row >= self._is.max_refusals:
            self._in_a_row = 0
            return ALLOW
        self._in_a_row += 1
        reason, what = found
        self._armed = self._armed or reason in ("as_said", "intent")
        return Ruling("deny", feedback=f"Not accepted: {what} {self.content[reason]}")

    def _against_words(self, call: ProposedToolCall, events: Sequence[Event]) -> tuple[str, str] | None:
        """The stated intent if there is one, else what the text beside the call announced."""
        required = self._is.intent == "always" or (self._is.intent == "writes" and call.mutating)
        if self._intent is not None:
            return contradiction(self._intent, call)
        if required:
            return "intent", f"no intent was stated for {call.name}."
        announced, made = announcement(events)
        if announced and call.name not in announced and not announced & made:
            return "as_said", f"you announced {', '.join(sorted(announced))} and called {call.name}."
        return None

    async def _against_inventory(self, call: ProposedToolCall, operator: Operator) -> tuple[str, str] | None:
        """An object that no result has shown is looked up; the refusal if it is not there."""
        name, kind = str(call.args.get("name", "")), str(call.args.get("kind", ""))
        if call.name in FREE_NAMES or not name or name in self._known or shown(name, operator.events):
            return None
        if not kind:
            kind = "Deployment" if call.name.startswith("rollout") else ""
        if kind not in LOOKED_UP:
            return None
        where = {"kind": kind, "name": name, "namespace": str(call.args.get("namespace", ""))}
        ok, text = await operator.read("kubectl_get", where)
        if ok and name in text:
            self._known.add(name)
            return None
        return "inventory", f"there is no {kind} {name}."


def contradiction(intent: Intent, call: ProposedToolCall) -> tuple[str, str] | None:
    """Where a call differs from the stated intent."""
    target = object_name(intent.target)
    if intent.tool != call.name:
        return "intent", f"you stated {intent.tool} and called {call.name}."
    if target and targets_of(call.args) and target not in targets_of(call.args):
        return "intent", f"you stated {intent.target} and named another object."
    if (intent.purpose == "remediate") != call.mutating and intent.purpose != "verify":
        return "intent", f"{call.name} does not serve the purpose {intent.purpose}."
    return None


def announcement(events: Sequence[Event]) -> tuple[set[str], set[str]]:
    """(tools that the newest answer announced, tools that were run since)."""
    names: set[str] = set()
    made: set[str] = set()
    for event in reversed(events):
        if isinstance(event, ToolResult) and event.executed:
            made.add(event.name)
        elif isinstance(event, AssistantMessage):
            names = {name for name in ANNOUNCED.findall(event.text) if name in ORDER}
            break
        elif isinstance(event, ModelCall):
            break
    return names, made


def shown(name: str, events: Sequence[Event]) -> bool:
    """Whether any result has shown the name."""
    pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w])")
    return any(result.ok and pattern.search(result.text) for result in of_type(events, ToolResult))


def against_phase(call: ProposedToolCall, evidence: Evidence) -> tuple[str, str] | None:
    """A change before alerts were read, or on an object that no read was directed at."""
    if not call.mutating:
        return None
    if not evidence.health_reads():
        return "phase", "alerts were not read yet."
    if call.name == "rollout_restart" and evidence.changes():
        return None
    named = targets_of(call.args)
    if named and not any(evidence.reads_about(name) for name in named):
        return "phase", f"no read was directed at {', '.join(sorted(named))}."
    if not named and not evidence.changes():
        return "phase", f"{call.name} on a whole namespace needs a change before it."
    return None


def unknown_claims(event: ProposedSubmission, events: Sequence[Event]) -> tuple[str, str] | None:
    """A root cause that no result has shown."""
    for entity in event.submission.diagnosis.entities:
        name = object_name(entity.name)
        if entity.contributing_factor and not shown(name, events) and not shown(entity.name, events):
            return "inventory", f"no result has shown {entity.name}."
    return None
