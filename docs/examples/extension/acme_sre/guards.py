"""A guard: what was not looked at is not changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from harness.protocols import ALLOW, GuardEvent, Operator, ProposedToolCall, Ruling
from harness.trace import ToolCall, of_type


class ReadBeforeWriteParameters(BaseModel):
    """Parameters of the guard; set by `interventions.read_before_write.FIELD=...`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    most_refusals: int = Field(default=3, ge=1)
    """Refusals after which a change passes all the same: a guard must not be able to end a run by itself."""


class ReadBeforeWrite:
    """Refuses to change an object that no earlier call has named."""

    name = "read_before_write"
    targets: ClassVar[tuple[str, ...]] = ("reasoning_action",)
    content: ClassVar[Mapping[str, str]] = {
        "read": "Before you change an object, read it with a tool call of its own."
    }
    Parameters = ReadBeforeWriteParameters

    def __init__(self, parameters: ReadBeforeWriteParameters) -> None:
        self._parameters = parameters
        self._refused = 0

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on changes; everything else passes untouched."""
        if not isinstance(event, ProposedToolCall) or not event.mutating:
            return ALLOW
        name = str(event.args.get("name", ""))
        read = any(
            call.call_id != event.call_id and not call.mutating and name in str(call.args)
            for call in of_type(operator.events, ToolCall)
        )
        if read or self._refused >= self._parameters.most_refusals:
            return ALLOW
        self._refused += 1
        return Ruling("deny", feedback=f"Not run: {name} was not read yet. {self.content['read']}")
