"""A trace as detectors read it: calls joined with results, turns, changes, submissions, in one pass.

Owns: that structure, the text of an event, spans and quotes. Does not own: what it means (detectors,
`evidence.py`). Observer events are left out before anything is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import msgspec

from harness.trace import (
    AgentMessage,
    AssistantMessage,
    ContextReduced,
    Ended,
    Event,
    Final,
    GuardFired,
    ModelCall,
    PhaseChange,
    SystemMessage,
    ToolCall,
    ToolResult,
    UserMessage,
)

SUBMIT = "submit"
WAIT = "wait"
AMOUNT_ARGS = frozenset({"limit", "tail", "max_patterns", "max_changes_per_diff"})
"""Arguments that say how much is shown, not what is asked. Time windows and offsets are none of them."""
_CALL_IDS = re.compile(r"\A(?:\[c\d+\]\s*)+")
TraceType = Literal["single", "roles", "log"]
"""single: one agent; roles: a team, or one agent in phases; log: a foreign trace without the task's contract."""
IMPORTED = "imported"
"""How an importer ends a trace that says nothing about submissions."""


class Call:
    """One attempted tool call with its result."""

    def __init__(self, event: ToolCall, turn: int) -> None:
        self.event = event
        self.turn = turn
        self.result: ToolResult | None = None
        self.annotated = False
        """A guard added words of its own to the result."""

    @property
    def i(self) -> int:
        """Event number of the call."""
        return self.event.i

    @property
    def name(self) -> str:
        """The tool."""
        return self.event.name

    @property
    def ok(self) -> bool:
        """The tool itself ran and succeeded."""
        return self.result is not None and self.result.ok and self.result.executed

    @property
    def denied(self) -> bool:
        """A guard answered instead of the tool: it refused, or gave a known result again."""
        return self.result is not None and not self.result.executed

    @property
    def known_again(self) -> bool:
        """A guard gave a known result again."""
        return self.denied and self.result is not None and self.result.ok

    @property
    def changed(self) -> bool:
        """It changed the cluster: an action that ran, succeeded and was no dry run."""
        return self.event.mutating and self.ok and self.event.args.get("dry_run") is not True

    @property
    def reads(self) -> bool:
        """It brought information without changing anything."""
        return self.ok and not self.event.mutating and self.name not in (WAIT, SUBMIT)

    @cached_property
    def text(self) -> str:
        """The tool's result without call ids before it and a guard's words after it; empty when there is none."""
        if self.result is None:
            return ""
        ids = _CALL_IDS.match(self.result.text)
        text = self.result.text[ids.end() :] if ids else self.result.text
        added = (self.annotated or self.known_again) and text.startswith("{")
        return text.split("\n", 1)[0] if added else text  # the tools' JSON has no line breaks

    @cached_property
    def args_text(self) -> str:
        """The arguments as JSON."""
        return encode(self.event.args)

    @cached_property
    def key(self) -> tuple[str, str]:
        """Equal for calls that ask the same: tool and canonical arguments."""
        kept = {
            name: " ".join(value.split()) if isinstance(value, str) else value
            for name, value in self.event.args.items()
            if value is not None and name not in AMOUNT_ARGS
        }
        return (self.name, json.dumps(kept, sort_keys=True, separators=(",", ":"), default=str))


@dataclass(frozen=True)
class Answer:
    """A submission, accepted or only attempted."""

    event: Event
    """The `Final`, or the call of `submit` that was refused."""
    submission: dict[str, Any]

    @property
    def i(self) -> int:
        """Event number."""
        return self.event.i


@dataclass
class TraceView:
    """One trace, structured. Build it with `TraceView.of`."""

    calls: list[Call] = field(default_factory=list)
    """All attempted calls except `submit`, in order."""
    by_id: dict[str, Call] = field(default_factory=dict)
    submissions: list[Call] = field(default_factory=list)
    """All calls of `submit`, in order."""
    said: list[AssistantMessage] = field(default_factory=list)
    tasks: list[UserMessage] = field(default_factory=list)
    instructions: list[SystemMessage] = field(default_factory=list)
    handoffs: list[AgentMessage | PhaseChange] = field(default_factory=list)
    """What one role of a team told another, or a model at the end of a phase."""
    cuts: list[ContextReduced] = field(default_factory=list)
    """Where results went out of the model's sight, by its window or by a compaction."""
    concluded: GuardFired | None = None
    """A guard ended the attempt with an answer of its own making."""
    turns: int = 0
    silent_tail: int = 0
    """Turns at the end of the trace in which the model called no tool."""
    final: Answer | None = None
    ended: Ended | None = None
    memo: dict[str, Any] = field(default_factory=dict)
    """What readings of the whole trace found, so that detectors share them."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> TraceView:
        """Structure a trace."""
        view = cls()
        for event in events:
            if not event.observer:
                view._take(event)
        return view

    def _take(self, event: Event) -> None:
        match event:
            case ToolCall():
                self._take_call(event)
            case ToolResult():
                call = self.by_id.get(event.call_id)
                if call is not None and call.result is None:
                    call.result = event
            case AssistantMessage():
                self.said.append(event)
            case ModelCall():
                self.turns += 1
                self.silent_tail += 1
            case UserMessage():
                self.tasks.append(event)
            case SystemMessage():
                self.instructions.append(event)
            case AgentMessage() | PhaseChange():
                self.handoffs.append(event)
            case ContextReduced():
                self.cuts.append(event)
            case GuardFired():
                self._take_ruling(event)
            case Final():
                self.final = Answer(event, event.submission)
            case Ended():
                self.ended = event

    def _take_ruling(self, event: GuardFired) -> None:
        call = self.by_id.get(event.call_id)
        if event.ruling == "rewrite" and event.on == "tool_result" and call is not None:
            call.annotated = True
        elif event.ruling == "conclude":
            self.concluded = event

    def _take_call(self, event: ToolCall) -> None:
        self.silent_tail = 0
        call = Call(event, self.turns)
        self.by_id[event.call_id] = call
        (self.submissions if event.name == SUBMIT else self.calls).append(call)

    @cached_property
    def type(self) -> TraceType:
        """What kind of trace it is; detectors declare for which they hold."""
        if self.ended is not None and self.ended.how == IMPORTED:
            return "log"
        limited = any(opening.tools is not None for opening in self.instructions)
        return "roles" if limited or self.handoffs else "single"

    @cached_property
    def answers(self) -> list[TraceView]:
        """The trace as it stood at each submission that can be read, refused ones included, the accepted one
        last: an attempt counts, or a guard could win by refusing the symptom. An answer that a guard made is not the
        agent's."""
        refused = [
            view
            for call in self.submissions
            if call.result is not None and not call.ok and (view := self._as_of(call)) is not None
        ]
        return [*refused, self] if self.final and not self.concluded else refused

    def _as_of(self, submit: Call) -> TraceView | None:
        submission = submission_of(submit.event.args)
        if submission is None:
            return None
        return TraceView(
            calls=[call for call in self.calls if call.i < submit.i],
            by_id=self.by_id,
            submissions=[call for call in self.submissions if call.i <= submit.i],
            said=[message for message in self.said if message.i < submit.i],
            tasks=self.tasks,
            instructions=self.instructions,
            handoffs=[handoff for handoff in self.handoffs if handoff.i < submit.i],
            cuts=[cut for cut in self.cuts if cut.i < submit.i],
            turns=submit.turn,
            final=Answer(submit.event, submission),
        )

    @cached_property
    def changes(self) -> list[Call]:
        """Calls that changed the cluster."""
        return [call for call in self.calls if call.changed]

    @cached_property
    def last_change(self) -> int:
        """Event number of the last change; -1 when there was none."""
        return self.changes[-1].i if self.changes else -1

    @property
    def diagnosis(self) -> dict[str, Any]:
        """The accepted diagnosis; empty when there is none."""
        return dict(self.final.submission.get("diagnosis") or {}) if self.final else {}

    @cached_property
    def factors(self) -> list[dict[str, Any]]:
        """The entities of the accepted diagnosis that are called contributing factors."""
        entities = self.diagnosis.get("entities") or ()
        return [entity for entity in entities if entity.get("contributing_factor")]

    @property
    def resolved(self) -> bool:
        """The agent claims that the incident is over."""
        return bool(self.final and self.final.submission.get("resolved"))

    @property
    def torn(self) -> bool:
        """The trace has no end, so what happened last is not known."""
        return self.final is None and self.ended is None


def submission_of(args: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of `submit` in the form of a stored submission; None when they name no entities. What is
    malformed is left out: the contract's own check has refused it already."""
    entities = args.get("entities")
    if not isinstance(entities, list) or not entities:
        return None
    named = [
        entity for entity in entities if isinstance(entity, dict) and isinstance(entity.get("name"), str)
    ]
    diagnosis = {
        "entities": [{**entity, "evidence": str(entity.get("evidence") or "")} for entity in named],
        "propagations": _objects(args.get("propagations")),
        "alerts_explained": [
            entry for entry in _objects(args.get("alerts_explained")) if isinstance(entry.get("alert"), str)
        ],
    }
    evidence = str(args.get("resolution_evidence") or "")
    resolved = args.get("resolved") is True
    return {"diagnosis": diagnosis, "resolved": resolved, "resolution_evidence": evidence} if named else None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def encode(value: Any) -> str:
    """Compact JSON."""
    return msgspec.json.encode(value).decode()
