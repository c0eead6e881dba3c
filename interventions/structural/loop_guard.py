"""Loop guard: a call that was answered already is answered from the record, and repetition is stopped.

Targets step repetition (MAST 1.3). Calls are compared by tool and canonical arguments. An executed
change makes all earlier answers outdated, and after one, waiting does too: polling for an effect is no loop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from harness.evidence import CITATION, CallRecord, Evidence
from harness.protocols import ALLOW, GuardEvent, Operator, ProposedToolCall, Ruling
from interventions.structural.base import Parameters

VOLATILE = frozenset({"limit", "tail", "max_patterns", "max_changes_per_diff"})
"""Arguments that say how much is shown, not what is asked."""


class LoopParameters(Parameters):
    """Parameters of the loop guard."""

    notice_at: int = Field(default=2, ge=2)
    """The identical call from which on the recorded result is returned with a notice."""
    deny_at: int = Field(default=4, ge=3)
    """The identical call from which on nothing is returned but a refusal."""
    cycle_rounds: int = Field(default=3, ge=2)
    """Rounds of a short cycle of calls after which the next call of the cycle is refused."""
    longest_cycle: int = Field(default=4, ge=2, le=6)
    """Calls in the longest cycle that is looked for."""

    @model_validator(mode="after")
    def _in_order(self) -> LoopParameters:
        if self.deny_at <= self.notice_at:
            raise ValueError("deny_at: expected more than notice_at")
        return self


class LoopGuard:
    """Answers a repeated call from the record, then refuses it."""

    name = "loop_guard"
    targets: ClassVar[tuple[str, ...]] = ("step_repetition",)
    owns: ClassVar[frozenset[str]] = frozenset()
    content: ClassVar[Mapping[str, str]] = {
        "no_repeat": "Do not repeat a call with the same arguments: its result is known and has not changed.",
        "other_hypothesis": "If a call brings nothing new, test a different hypothesis instead of repeating it.",
        "no_cycle": "Do not go through the same short cycle of calls again and again.",
        "polling": "Reading alerts or health again after a change, with some waiting between, is no repetition.",
    }
    Parameters = LoopParameters

    def __init__(self, parameters: LoopParameters) -> None:
        self._is = parameters

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on proposed reads; changes and waiting pass."""
        if not isinstance(event, ProposedToolCall) or event.mutating or event.name == "wait":
            return ALLOW
        recent = since_change(Evidence(operator.events))
        key = call_key(event.name, event.args)
        earlier = [call for call in recent if call_key(call.name, call.args) == key]
        answered = [call for call in earlier if call.ok and call.executed]
        if answered and len(earlier) + 1 >= self._is.deny_at:
            return Ruling("deny", feedback=self._refusal(answered[-1], "other_hypothesis"))
        keys = [call_key(call.name, call.args) for call in recent]
        if answered and self._cycles([*keys, key]):
            return Ruling("deny", feedback=self._refusal(answered[-1], "no_cycle"))
        if answered and len(earlier) + 1 >= self._is.notice_at:
            known = answered[-1]
            notice = f"This is the result of {known.call_id}. {self.content['no_repeat']}"
            return Ruling("answer", feedback=f"{bare(known.text)}\n{notice}")
        return ALLOW

    def _refusal(self, known: CallRecord, reason: str) -> str:
        return (
            f"Not run. See the result of {known.call_id}. {self.content['no_repeat']} {self.content[reason]}"
        )

    def _cycles(self, keys: list[str]) -> bool:
        """Whether the newest calls are the same cycle of 2 or more calls, `cycle_rounds` times."""
        for length in range(2, self._is.longest_cycle + 1):
            span = length * self._is.cycle_rounds
            newest = keys[-span:]
            if len(newest) == span and newest == newest[:length] * self._is.cycle_rounds:
                return len(set(newest)) > 1
        return False


def since_change(evidence: Evidence) -> list[CallRecord]:
    """Calls whose answers still hold: after the last change, and then after the last waiting."""
    last = evidence.last_change()
    calls = list(evidence.calls.values())
    waits = [call.i for call in calls if call.name == "wait" and call.i > last >= 0]
    outdated = max([last, *waits])
    return [call for call in calls if call.i > outdated]


def call_key(name: str, args: Mapping[str, Any]) -> str:
    """Equal for calls that ask the same: arguments sorted, spaces normalised, amounts left out."""
    kept = {
        key: " ".join(value.split()) if isinstance(value, str) else value
        for key, value in args.items()
        if value is not None and key not in VOLATILE
    }
    return f"{name} {json.dumps(kept, sort_keys=True, default=str)}"


def bare(text: str) -> str:
    """A result without the call id before it and without an earlier notice after it."""
    prefix = CITATION.match(text)
    body = text[prefix.end() :].lstrip() if prefix else text
    return body.split("\nThis is the result of ", 1)[0]
