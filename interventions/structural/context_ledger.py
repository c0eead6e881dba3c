"""Context ledger: established facts are pinned, and kept when the conversation no longer fits.

Targets history loss, conversation reset and derailment (MAST 1.4, 2.1, 2.3). The ledger holds the first
alerts, entities under suspicion or ruled out, and changes made, all from the agent's own trace. Before the window
overflows, old results are compacted and the ledger is put beside the task; the trace records each compaction.
An agent that starts over, or spends call after call on objects unrelated to the incident, is handed the ledger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from harness.context import size_of
from harness.evidence import Evidence, object_name, rows_of, targets_of
from harness.protocols import (
    ALLOW,
    GuardEvent,
    Message,
    ObservedToolResult,
    Operator,
    ProposedModelCall,
    ProposedToolCall,
    Ruling,
)
from interventions.structural.base import CONTEXT, Parameters, listed, names_in

RULED_OUT = re.compile(r"ruled? out|not the cause|is healthy|not at fault|nothing was changed", re.I)
SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")
DIGEST_CHARACTERS = 160


class LedgerParameters(Parameters):
    """Parameters of the ledger."""

    compact_at: float = Field(default=0.8, gt=0, le=1)
    """Share of the context window from which on old results are compacted."""
    keep_results: int = Field(default=6, ge=1)
    """Newest results that are never compacted."""
    restart_after: int = Field(default=10, ge=3)
    """Calls after which making the first calls again, in order, counts as starting over."""
    off_topic: int = Field(default=4, ge=1)
    """Calls in a row on unrelated objects after which the next one is refused."""
    max_refusals: int = Field(default=3, ge=1)
    """Refusals after which unrelated calls pass."""


class ContextLedger:
    """Keeps what was established in front of the model."""

    name = "context_ledger"
    targets: ClassVar[tuple[str, ...]] = ("history_loss", "conversation_reset", "derailment")
    owns: ClassVar[frozenset[str]] = frozenset({CONTEXT})
    content: ClassVar[Mapping[str, str]] = {
        "facts": "Keep a record of the facts established so far: alerts, entities, ruled-out hypotheses, changes.",
        "no_restart": "Do not start again from the beginning; go on from what is already established.",
        "on_topic": "Stay on the incident: look only at objects that its alerts, events or changes lead to.",
    }
    Parameters = LedgerParameters

    def __init__(self, parameters: LedgerParameters) -> None:
        self._is = parameters
        self._refused = 0

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Compact what is sent; remind an agent that starts over or wanders off."""
        if isinstance(event, ProposedModelCall):
            return self._compact(event, operator)
        evidence = Evidence(operator.events)
        if isinstance(event, ObservedToolResult) and self._starts_over(event, evidence):
            told = f"{self.content['no_restart']} {ledger(evidence)}"
            return Ruling("rewrite", feedback="started over", replacement=f"{event.text}\n{told}")
        if isinstance(event, ProposedToolCall) and not event.mutating:
            return self._keep_on_topic(event, evidence)
        return ALLOW

    def _compact(self, event: ProposedModelCall, operator: Operator) -> Ruling:
        if event.limit is None or event.tokens <= self._is.compact_at * event.limit:
            return ALLOW
        results = [place for place, message in enumerate(event.messages) if message["role"] == "tool"]
        messages = list(event.messages)
        for place in results[: -self._is.keep_results]:
            messages[place] = digest_of(messages[place])
        pinned = ledger(Evidence(operator.events))
        task = next((place for place, one in enumerate(messages) if one["role"] == "user"), None)
        if task is not None:
            messages[task] = {**messages[task], "content": f"{messages[task]['content']}\n\n{pinned}"}
        what = f"compacted from {event.tokens} to {size_of(messages)} tokens; kept: {pinned}"
        return Ruling("rewrite", feedback=what, replacement=messages)

    def _starts_over(self, event: ObservedToolResult, evidence: Evidence) -> bool:
        """Whether the two newest calls are the first two of the incident once more, without a change between."""
        calls = [call for call in evidence.calls.values() if call.executed]
        if len(calls) < self._is.restart_after or evidence.last_change() > calls[1].i:
            return False
        first = [(call.name, dict(call.args)) for call in calls[:2]]
        return [(calls[-1].name, dict(calls[-1].args)), (event.name, dict(event.args))] == first

    def _keep_on_topic(self, event: ProposedToolCall, evidence: Evidence) -> Ruling:
        topic = topic_of(evidence)
        if not topic or is_on(topic, event.args) or self._refused >= self._is.max_refusals:
            return ALLOW
        newest = [call for call in evidence.calls.values() if call.executed][-self._is.off_topic :]
        if len(newest) < self._is.off_topic or any(is_on(topic, call.args) for call in newest):
            return ALLOW
        self._refused += 1
        return Ruling("deny", feedback=f"Not run. {self.content['on_topic']} {ledger(evidence)}")


def ledger(evidence: Evidence) -> str:
    """The facts established so far, as one paragraph."""
    suspected: dict[str, None] = {}
    ruled_out: dict[str, None] = {}
    for _, text in evidence.said:
        for sentence in SENTENCE.split(text):
            into = ruled_out if RULED_OUT.search(sentence) else suspected
            into.update(dict.fromkeys(names_in(sentence)))
    changes = [
        f"[{call.call_id}] {call.name} {json.dumps(dict(call.args))[:120]}" for call in evidence.changes()
    ]
    parts = {
        "alerts at the start": listed(evidence.firing_at_start(), 20),
        "suspected": listed(name for name in suspected if name not in ruled_out),
        "ruled out": listed(ruled_out),
        "changes made": "; ".join(changes),
    }
    return "Established so far: " + " | ".join(f"{key}: {value or 'none'}" for key, value in parts.items())


def topic_of(evidence: Evidence) -> set[str]:
    """Names that alerts, warnings, recorded changes and the agent's hypotheses lead to; empty before alerts."""
    names = {object_name(pair.split(" ", 1)[1]) for pair in evidence.firing_at_start()} - {""}
    if not names:
        return set()
    names.update(object_name(name) for _, text in evidence.said for name in names_in(text))
    for call in evidence.calls.values():
        if call.name in ("k8s_spec_change_analysis", "event_analysis"):
            for row in rows_of(call.text):
                names.update(object_name(str(value)) for value in row.values() if isinstance(value, str))
    return names


def is_on(topic: set[str], args: Mapping[str, object]) -> bool:
    """Whether a call is directed at no single object, or at one that belongs to the topic."""
    named = targets_of(args)
    return not named or any(
        name in topic or any(name.startswith(f"{one}-") for one in topic) for name in named
    )


def digest_of(message: Message) -> Message:
    """A tool result cut to its beginning."""
    content = str(message.get("content") or "")
    if len(content) <= DIGEST_CHARACTERS:
        return message
    return {**message, "content": f"{content[:DIGEST_CHARACTERS]} ... (compacted)"}
