"""What a call by an external agent does. It comes from a protocol (`server`) and ends in the trial's Session.

Owns: one call at a time, turns, the passing of time between calls, the meter of bytes, how the trial ends from
the program's side. Does not own: the protocol, the program, or what guards and tools do with a call.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import AgentError, TrialError
from harness.protocols import ToolSchema
from harness.records import Usage
from harness.session import Session
from harness.tools.jsonschema import plain_schema
from harness.tools.problems import problems_of
from harness.trace import ToolResult, of_type

CLOSED = "The incident is closed."


class UsageReport(BaseModel):
    """Arguments of `report_usage`: what was consumed since the last report."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(min_length=1, max_length=200)
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    cost_usd: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class NoArguments(BaseModel):
    """Arguments of `read_task`."""

    model_config = ConfigDict(extra="forbid")


READ_TASK = ToolSchema(
    "read_task", "What you are to do, and the limits. Read it first.", plain_schema(NoArguments)
)
REPORT_USAGE = ToolSchema(
    "report_usage",
    "Optional: report what your own model consumed since your last report.",
    plain_schema(UsageReport),
)


class Reply(NamedTuple):
    """What the program reads."""

    ok: bool
    text: str


class Desk:
    """Serves the calls of one trial."""

    def __init__(self, session: Session, time_factor: float, output_bytes: int) -> None:
        self.over = asyncio.Event()
        """The trial needs no further call: submitted, stopped, or broken."""
        self.failure: TrialError | None = None
        self.crash: Exception | None = None
        """A defect of the harness, to be raised where the protocol cannot swallow it."""
        self.garbled = 0
        """Requests that were not MCP."""
        self._session = session
        self._factor = time_factor
        self._allowed = self._left = output_bytes
        self._lock = asyncio.Lock()
        self._mark = time.monotonic()
        session.usage_source = "unknown"

    def schemas(self) -> Sequence[ToolSchema]:
        """Everything that can be called."""
        return [READ_TASK, *self._session.tools(), REPORT_USAGE]

    def task(self) -> dict[str, Any]:
        """What the program is told at the start."""
        limits = {
            name: left for name, left in self._session.operations.remaining().items() if left != float("inf")
        }
        return {"system": self._session.system, "task": self._session.task, "budget": limits}

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        """Run one call to its end, whatever becomes of the one who asked."""
        return await asyncio.shield(asyncio.ensure_future(self._call(name, arguments)))

    def count(self, size: int) -> None:
        """The program sent so many bytes."""
        self._left -= size
        if self._left < 0:
            self.end(AgentError("budget_output", f"it sent more than {self._allowed:,} bytes"))

    def end(self, failure: TrialError | None = None) -> None:
        """The trial is over; the first reason counts."""
        if not self.over.is_set():
            self.failure = failure
            self.over.set()

    async def close(self) -> None:
        """Let a call that is still running finish, and the time since the last one pass."""
        self.end()
        async with self._lock:
            if not self._session.done:
                await self.catch_up()

    def real_seconds_left(self) -> float:
        """Real seconds until the budget's seconds are used up if the program makes no further call."""
        left = self._session.operations.remaining()["seconds"]
        if self._session.environment.virtual_time:
            left = left / self._factor if self._factor else float("inf")
        return left - (time.monotonic() - self._mark if self._session.environment.virtual_time else 0.0)

    async def catch_up(self) -> None:
        """Let the time that the program took pass on a virtual clock."""
        now = time.monotonic()
        if self._session.environment.virtual_time and self._factor:
            await self._session.environment.elapse((now - self._mark) * self._factor)
        self._mark = time.monotonic()

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        async with self._lock:
            if self.over.is_set():
                return Reply(False, f"{CLOSED} {self.failure or ''}".strip())
            try:
                return await self._serve(name, arguments)
            except TrialError as failure:
                self.end(failure)
                return Reply(False, f"{CLOSED} {failure}")
            except Exception as crash:
                self.crash = crash
                self.end()
                raise
            finally:
                self._mark = time.monotonic()

    async def _serve(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        if name == READ_TASK.name:
            return Reply(True, json.dumps(self.task(), ensure_ascii=False))
        if name == REPORT_USAGE.name:
            return self._report(arguments)
        await self.catch_up()
        call = self._session.request(name, json.dumps(arguments))
        (answer,) = await self._session.execute([call])
        if self._session.done:
            self.end()
        results = of_type(reversed(self._session.trace.events), ToolResult)
        return Reply(any(result.ok for result in results if result.call_id == call.id), answer["content"])

    def _report(self, arguments: Mapping[str, Any]) -> Reply:
        try:
            report = UsageReport.model_validate(arguments)
        except ValidationError as error:
            return Reply(False, f"Error: report_usage: {problems_of(error, UsageReport)}")
        self._session.report_usage(report.model, Usage(**report.model_dump(exclude={"model"})))
        return Reply(True, "Noted.")
