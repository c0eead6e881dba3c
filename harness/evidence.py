"""What a trace proves: calls joined with results, citations, suspicions, health reads.

Owns: facts that can be read off the agent's side of a trace, for guards. The classifiers in `harness/mast` read
traces with their own code on purpose: a guard must not be measured with its own yardstick.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.trace import AssistantMessage, Event, ToolCall, ToolResult

CITATION = re.compile(r"\[(c\d+)\]")
HEALTH_TOOLS = frozenset({"alert_summary", "alert_analysis", "get_context_contract", "get_trace_error_tree"})
ALERT_TOOLS = frozenset({"alert_summary"})
NOISE = re.compile(
    r"Watchdog|InfoInhibitor|TargetDown|NodeCPUHighUsage|NodeSystemSaturation|CPUThrottlingHigh|KubeAPI\w*|etcd\w*"
)
"""Alerts that every cluster shows without an incident (ITBench facts, appendix B)."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A tool call with its result."""

    i: int
    """Event number of the call."""
    call_id: str
    name: str
    ok: bool
    text: str
    mutating: bool
    executed: bool


class Evidence:
    """Facts of one trace, as the verifier gate needs them."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.calls: dict[str, CallRecord] = {}
        self._said: list[tuple[int, str]] = []
        pending: dict[str, ToolCall] = {}
        for event in events:
            if isinstance(event, ToolCall):
                pending[event.call_id] = event
            elif isinstance(event, ToolResult):
                call = pending.get(event.call_id)
                if call is not None and call.name != "submit":
                    self.calls[event.call_id] = CallRecord(
                        call.i,
                        event.call_id,
                        call.name,
                        event.ok,
                        event.text,
                        call.mutating,
                        event.executed,
                    )
            elif isinstance(event, AssistantMessage):
                self._said.append((event.i, f"{event.text} {event.reasoning}"))

    def concerns(self, call: CallRecord, entity: str) -> bool:
        """Whether the call's result mentions the entity's object by name."""
        name = object_name(entity)
        return bool(name) and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w])", call.text) is not None

    def first_suspected(self, entity: str) -> int | None:
        """Event number at which the agent first named the entity in its own words; None if it never did."""
        name = object_name(entity)
        pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
        return next((i for i, text in self._said if pattern.search(text)), None)

    def last_change(self) -> int:
        """Event number of the last executed change; -1 when there was none."""
        changes = (call.i for call in self.calls.values() if call.mutating and call.ok and call.executed)
        return max(changes, default=-1)

    def health_after_last_change(self) -> CallRecord | None:
        """The newest successful alert or health read after the last change."""
        reads = [
            call
            for call in self.calls.values()
            if call.name in HEALTH_TOOLS and call.ok and call.executed and call.i > self.last_change()
        ]
        return max(reads, key=lambda call: call.i, default=None)

    def firing_at_start(self) -> set[str]:
        """`alert entity` pairs that the first alert read showed as firing."""
        reads = [call for call in self.calls.values() if call.name in ALERT_TOOLS and call.ok]
        return self.firing_in(min(reads, key=lambda call: call.i)) if reads else set()

    def firing_in(self, call: CallRecord) -> set[str]:
        """`alert entity` pairs that a result shows as firing; known noise is left out."""
        return {
            f"{row.get('alertname')} {row.get('entity', '')}"
            for row in rows_of(call.text)
            if row.get("state") == "firing" and not NOISE.fullmatch(str(row.get("alertname")))
        }


def citations(text: str) -> list[str]:
    """Call ids that a text cites, in order, once each."""
    return list(dict.fromkeys(CITATION.findall(text)))


def object_name(entity: str) -> str:
    """The object's own name in `namespace/Kind/name`."""
    return entity.strip().rsplit("/", 1)[-1]


def rows_of(text: str) -> Iterable[dict[str, Any]]:
    """The rows of a list result; empty where the text is none."""
    start = text.find("{")
    try:
        parsed = json.loads(text[start:]) if start >= 0 else {}
    except ValueError:
        return []
    rows = (parsed.get("data") or parsed.get("alerts") or []) if isinstance(parsed, dict) else []
    return [row for row in rows if isinstance(row, dict)]
