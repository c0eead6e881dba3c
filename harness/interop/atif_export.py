"""Our traces as ATIF trajectories, one JSON file per trial: `<model>/<arm>/<trial>.trajectory.json`.

What the format has no field for travels in `extra`, under its own names, so that `atif.py` reads a file back as the
trace that it was written from.
Owns: the mapping to ATIF. Does not own: which trials are written where (`exports.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from harness import __version__
from harness.interop.turns import Turn, turns_of
from harness.records import TrialRecord
from harness.trace import AssistantMessage, Event, SystemMessage, ToolCall, ToolResult

SCHEMA = "ATIF-v1.7"
EVENTS = "harness_events"
"""Key in a step's `extra`: events that are neither messages nor calls nor results."""


def trajectory(record: TrialRecord, events: Sequence[Event], began: datetime) -> dict[str, Any]:
    """One trial. `began` stands for the second 0 of its trace."""
    spec, usage = record.spec, record.usage
    turns = turns_of(events)
    return {
        "schema_version": SCHEMA,
        "session_id": spec.trial_id,
        "trajectory_id": spec.trial_id,
        "agent": {"name": spec.agent, "version": __version__, "model_name": spec.model},
        "steps": [_step(number, turn, began) for number, turn in enumerate(turns, start=1)],
        "final_metrics": {
            "total_prompt_tokens": usage.input_tokens,
            "total_completion_tokens": usage.output_tokens,
            "total_cached_tokens": usage.cached_tokens,
            "total_cost_usd": usage.cost_usd,
            "total_steps": len(turns),
        },
        "extra": {
            "spec": spec.model_dump(mode="json", exclude_none=True),
            "status": record.status,
            "reason": record.reason,
            "simulated": record.simulated,
            "verdict": record.verdict.model_dump(mode="json") if record.verdict else None,
            "score": record.score.model_dump(mode="json", exclude={"matches"}) if record.score else None,
            "labels": [label.model_dump(mode="json", exclude_defaults=True) for label in record.labels],
        },
    }


def _step(number: int, turn: Turn, began: datetime) -> dict[str, Any]:
    message, call = turn.message, turn.model_call
    step: dict[str, Any] = {
        "step_id": number,
        "timestamp": (began.astimezone(UTC) + timedelta(seconds=turn.at)).isoformat(),
        "source": turn.source,
        "message": message.text if message else "",
        "extra": {"role": turn.role},
    }
    if message:
        step["extra"] |= place(message)
    if isinstance(message, AssistantMessage) and message.reasoning:
        step["reasoning_content"] = message.reasoning
    if isinstance(message, SystemMessage) and message.tools is not None:
        step["extra"]["tools"] = message.tools
    if call is not None:
        step["model_name"] = call.model
        step["llm_call_count"] = 1
        step["metrics"] = {
            "prompt_tokens": call.input_tokens,
            "completion_tokens": call.output_tokens,
            "cached_tokens": call.cached_tokens,
            "cost_usd": call.cost_usd,
        }
    if turn.calls:
        step["tool_calls"] = [_call(one) for one in turn.calls]
    if turn.results:
        step["observation"] = {"results": [_result(one) for one in turn.results.values()]}
    beside = [*([call] if call else []), *turn.beside]
    if beside:
        step["extra"][EVENTS] = [msgspec.to_builtins(event) for event in beside]
    return step


def _call(call: ToolCall) -> dict[str, Any]:
    extra = place(call) | ({"mutating": True} if call.mutating else {})
    return {
        "tool_call_id": call.call_id,
        "function_name": call.name,
        "arguments": call.args,
        "extra": extra,
    }


def _result(result: ToolResult) -> dict[str, Any]:
    extra = place(result) | {"ok": result.ok, "executed": result.executed}
    return {"source_call_id": result.call_id, "content": result.text, "extra": extra}


def place(event: Event) -> dict[str, Any]:
    """Where an event stands in its trace."""
    return {"i": event.i, "t": event.t}
