"""A stored trial, played again up to a turn and continued live from there.

Owns: the model that repeats recorded replies, guards that act only on one side of the fork, and the check that the
replay reached the recorded state. Does not own: which trials are forked (`points.py`) or the trial itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.protocols import (
    ALLOW,
    Guard,
    GuardEvent,
    Message,
    Model,
    ModelReply,
    ModelRequest,
    Operator,
    ProposedModelCall,
    RequestedCall,
    Ruling,
)
from harness.records import PlantedFailure, TrialRecord, Usage
from harness.trace import AssistantMessage, Event, GuardFired, ModelCall, ToolCall


def turn_of(events: Sequence[Event], event: int) -> int:
    """The turn (from 0) whose model call led to an event: a fork there asks the model for that turn anew."""
    return max(0, sum(isinstance(one, ModelCall) and one.i <= event for one in events) - 1)


def turns(events: Sequence[Event]) -> int:
    """How many turns a trace has."""
    return sum(isinstance(one, ModelCall) for one in events)


def recorded_replies(events: Sequence[Event], planted: Sequence[PlantedFailure]) -> list[ModelReply]:
    """What the model answered in each turn, rebuilt from the trace."""
    replies: list[ModelReply] = []
    for event in events:
        if isinstance(event, ModelCall):
            number = len(replies)
            committed = tuple(failure for failure in planted if failure.turn == number)
            usage = Usage(
                input_tokens=event.input_tokens,
                output_tokens=event.output_tokens,
                cached_tokens=event.cached_tokens,
                cost_usd=event.cost_usd,
                retries=event.retries,
            )
            replies.append(
                ModelReply("", (), "", usage, event.finish, latency_s=event.latency_s, planted=committed)
            )
        elif replies and isinstance(event, AssistantMessage):
            replies[-1] = replace(replies[-1], text=event.text, reasoning=event.reasoning)
        elif replies and isinstance(event, ToolCall):
            call = RequestedCall(event.call_id, event.name, arguments_text(event.args))
            replies[-1] = replace(replies[-1], calls=(*replies[-1].calls, call))
    return replies


def arguments_text(args: Mapping[str, Any]) -> str:
    """Arguments as raw text again; what was no JSON object is kept under `_raw` and returned as it was."""
    if set(args) == {"_raw"}:
        return str(args["_raw"])
    return json.dumps(args, separators=(",", ":"))


class ForkingModel:
    """Repeats recorded replies, then asks the real model with the fork's seed and the arm's added instructions."""

    def __init__(
        self, model: Model, replies: Sequence[ModelReply], seed: int, additions: Sequence[str]
    ) -> None:
        self._model = model
        self._replies = list(replies)
        self._seed = seed
        self._additions = list(additions)
        self._turn = 0

    @property
    def live(self) -> bool:
        """The next reply comes from the real model."""
        return self._turn >= len(self._replies)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The recorded reply of this turn, or a live one."""
        number, self._turn = self._turn, self._turn + 1
        if number < len(self._replies):
            return self._replies[number]
        messages = [instructed(message, self._additions) for message in request.messages]
        return await self._model.complete(replace(request, messages=messages, seed=self._seed))

    async def close(self) -> None:
        """Nothing: the real model outlives the fork."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def instructed(message: Message, additions: Sequence[str]) -> Message:
    """A system message with the instructions of the fork's arm after it; any other message as it is."""
    if not additions or message.get("role") != "system":
        return message
    return message | {"content": "\n\n".join([str(message["content"]), *additions])}


class Gated:
    """A guard that acts only on its side of the fork. The sides meet at the forked turn's request to the model: what
    the turn before it still does belongs to the stored trial."""

    def __init__(self, guard: Guard, active: Callable[[], bool]) -> None:
        self._guard = guard
        self._active = active
        self._on = active()
        self.name = guard.name

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """The guard's ruling, or ALLOW on the other side."""
        if isinstance(event, ProposedModelCall):
            self._on = self._active()
        return await self._guard.review(event, operator) if self._on else ALLOW

    def tools(self) -> Sequence[Any]:
        """Tools that the guard offers, on its side only."""
        offered = getattr(self._guard, "tools", None)
        return offered() if offered is not None and self._active() else ()


def gated_guards(
    before: Mapping[str, Callable[[], Guard]],
    after: Mapping[str, Callable[[], Guard]],
    live: Callable[[], bool],
) -> list[Guard]:
    """Guards of both arms by intervention: those of both act throughout and keep their state, the stored arm's
    others until the fork, the fork's others from there on."""
    guards: list[Guard] = []
    for name, make in before.items():
        guard = make()
        guards.append(guard if name in after else Gated(guard, lambda: not live()))
    guards.extend(Gated(make(), live) for name, make in after.items() if name not in before)
    return guards


def divergence(recorded: Sequence[Event], replayed: Sequence[Event], turn: int) -> str:
    """Where the replay left the recorded path before its fork; empty when it did not."""
    calls = [place for place, event in enumerate(recorded) if isinstance(event, ModelCall)]
    shared = calls[turn] if turn < len(calls) else len(recorded)
    while shared and isinstance(recorded[shared - 1], GuardFired):
        shared -= 1  # a ruling on the forked call itself: the fork's own guards rule there
    for place in range(shared):
        if place >= len(replayed) or recorded[place] != replayed[place]:
            return f"event {place} ({type(recorded[place]).__name__}) differs from the record"
    return ""


def success(record: TrialRecord) -> bool:
    """Every root cause was named in a scored submission."""
    return record.status == "scored" and record.score is not None and record.score.recall >= 1
