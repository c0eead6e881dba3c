"""What a trace proves: calls joined with results, citations, suspicions, health reads.

Owns: facts that can be read off the agent's side of a trace, for guards. The classifiers in `harness/mast` read
traces with their own code on purpose: a guard must not be measured with its own yardstick.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.trace import AssistantMessage, Event, ToolCall, ToolResult

_DECODER = json.JSONDecoder()
CITATION = re.compile(r"\[(c\d+)\]")
HEALTH_TOOLS = frozenset({"alert_summary", "alert_analysis", "get_context_contract", "get_trace_error_tree"})
ALERT_TOOLS = frozenset({"alert_summary"})
NO_EVIDENCE = frozenset({"submit", "wait", "ask_operator", "declare_assumption", "state_intent"})
"""Tools whose answers show nothing about the cluster."""
TARGET_ARGS = ("name", "pod", "k8_object", "k8_object_name", "service_name", "entity")
FLAG_OBJECT = "flagd-config"
"""The ConfigMap that holds feature flags; a call that names a flag is directed at it."""
POD = re.compile(r"-[a-f0-9]{6,10}(-[a-z0-9]{5})?$")
NOISE = re.compile(
    r"Watchdog|InfoInhibitor|TargetDown|NodeCPUHighUsage|NodeSystemSaturation|CPUThrottlingHigh|KubeAPI\w*|etcd\w*"
)
"""Alerts that every cluster shows without an incident (docs/sources IB)."""


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
    args: Mapping[str, Any] = field(default_factory=dict)
    t: float = 0.0
    """Environment seconds since the agent began, when it answered."""

    @property
    def reads(self) -> bool:
        """A tool ran and brought information without changing anything."""
        return self.ok and self.executed and not self.mutating and self.name not in NO_EVIDENCE


class Evidence:
    """Facts of one trace, as guards need them."""

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
                        call.args,
                        event.t,
                    )
            elif isinstance(event, AssistantMessage):
                self._said.append((event.i, f"{event.text} {event.reasoning}"))

    @property
    def said(self) -> Sequence[tuple[int, str]]:
        """(event number, text) of everything that the agent said, in order."""
        return self._said

    def changes(self) -> list[CallRecord]:
        """Executed changes, in order."""
        return [call for call in self.calls.values() if call.mutating and call.ok and call.executed]

    def reads_about(self, entity: str) -> list[CallRecord]:
        """Reads that were directed at an entity: their arguments name it and their results show it."""
        name = object_name(entity)
        return [
            call
            for call in self.calls.values()
            if call.reads and name in targets_of(call.args) and self.concerns(call, entity)
        ]

    def health_reads(self) -> list[CallRecord]:
        """Reads of alerts or health that ran, in order."""
        return [call for call in self.calls.values() if call.name in HEALTH_TOOLS and call.reads]

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
        return max((call.i for call in self.changes()), default=-1)

    def health_after_last_change(self) -> CallRecord | None:
        """The newest successful alert or health read after the last change."""
        reads = [call for call in self.health_reads() if call.i > self.last_change()]
        return reads[-1] if reads else None

    def firing_at_start(self) -> set[str]:
        """`alert entity` pairs that the first alert read showed as firing."""
        reads = [call for call in self.calls.values() if call.name in ALERT_TOOLS and call.ok]
        return self.firing_in(reads[0]) if reads else set()

    def firing_in(self, call: CallRecord) -> set[str]:
        """`alert entity` pairs that a result shows as firing; known noise is left out."""
        return firing_in(call.text)


def firing_in(text: str) -> set[str]:
    """`alert entity` pairs that the text of a result shows as firing; known noise is left out."""
    return {
        f"{row.get('alertname')} {row.get('entity', '')}"
        for row in rows_of(text)
        if row.get("state") == "firing" and not NOISE.fullmatch(str(row.get("alertname")))
    }


def targets_of(args: Mapping[str, Any]) -> set[str]:
    """Names of the objects that a call's arguments direct it at, without namespace and kind."""
    named = {object_name(str(args[key])) for key in TARGET_ARGS if args.get(key)}
    manifest = args.get("manifest")
    if isinstance(manifest, Mapping) and isinstance(manifest.get("metadata"), Mapping):
        named.add(str(manifest["metadata"].get("name", "")))
    if args.get("flag"):
        named.update((str(args["flag"]), FLAG_OBJECT))
    return {name for name in named if name} | {POD.sub("", name) for name in named if POD.search(name)}


def citations(text: str) -> list[str]:
    """Call ids that a text cites, in order, once each."""
    return list(dict.fromkeys(CITATION.findall(text)))


def object_name(entity: str) -> str:
    """The object's own name in `namespace/Kind/name`."""
    return entity.strip().rsplit("/", 1)[-1]


def rows_of(text: str) -> Iterable[dict[str, Any]]:
    """The rows of a list result; empty where the text is none."""
    found = object_in(text)
    rows = found.get("data") or found.get("alerts") or []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def object_in(text: str) -> dict[str, Any]:
    """The JSON object of a result, which a call id may precede and a notice follow; empty where there is none."""
    start = text.find("{")
    try:
        found, _ = _DECODER.raw_decode(text, start) if start >= 0 else ({}, 0)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
