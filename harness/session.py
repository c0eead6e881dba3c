"""One attempt from the agent's side: everything it may do, with budgets, guards and the trace around it.

An agent asks the model (`ask`), executes what it answered (`execute`) or deals with silence (`silence`).
Owns: the order of things (budget -> guards -> model or tool -> trace), call ids, acceptance of a submission.
Does not own: the agent's strategy (agents), what tools do (tools), what guards think (interventions).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.budget import Budget
from harness.errors import AgentError
from harness.protocols import (
    ALLOW,
    Environment,
    Guard,
    GuardEvent,
    Message,
    Model,
    ModelReply,
    ModelRequest,
    ObservedToolResult,
    ProposedModelCall,
    ProposedSubmission,
    ProposedToolCall,
    RequestedCall,
    Ruling,
    Silence,
)
from harness.records import PlantedFailure, Submission
from harness.tools.submit import SUBMIT, parse_submission
from harness.tools.toolbox import Toolbox
from harness.trace import (
    AssistantMessage,
    Event,
    Final,
    GuardFired,
    ModelCall,
    SystemMessage,
    ToolCall,
    ToolResult,
    TraceWriter,
    UserMessage,
)

NUDGE = (
    "You called no tool. Go on with the incident by calling a tool, or call `submit` to hand in your answer."
)


class Session:
    """What an agent works through. `submission` is set once one was accepted."""

    def __init__(
        self,
        *,
        environment: Environment,
        toolbox: Toolbox,
        model: Model,
        guards: Sequence[Guard],
        budget: Budget,
        trace: TraceWriter,
        system: str,
        task: str,
        seed: int,
    ) -> None:
        self.environment = environment
        self.toolbox = toolbox
        self.model = model
        self.guards = guards
        self.budget = budget
        self.trace = trace
        self.system = system
        self.task = task
        self.seed = seed
        self.submission: Submission | None = None
        self.rejected: str = ""
        """Reason code of the last refused submission, when it broke the contract."""
        self.planted: list[PlantedFailure] = []
        self.firings: dict[str, int] = {}
        self._began = environment.now()
        self._calls = 0

    @property
    def done(self) -> bool:
        """A submission was accepted."""
        return self.submission is not None

    @property
    def elapsed(self) -> float:
        """Environment seconds since the agent began."""
        return self.environment.now() - self._began

    # --- what an agent calls ------------------------------------------------------------------------

    def open(self, role: str = "agent", system: str | None = None, task: str | None = None) -> list[Message]:
        """The first messages of a conversation; recorded in the trace."""
        system, task = system or self.system, task or self.task
        self._add(SystemMessage(text=system, role=role))
        self._add(UserMessage(text=task, role=role))
        return [{"role": "system", "content": system}, {"role": "user", "content": task}]

    async def ask(self, messages: list[Message], role: str = "agent") -> ModelReply:
        """Ask the model and append its answer to `messages`. Raises AgentError when a budget is used up."""
        self.budget.check(self.elapsed)
        ruling = await self._review(ProposedModelCall(messages), "model_call")
        sent = ruling.replacement if ruling.kind == "rewrite" else messages
        schemas = [*self.toolbox.schemas(), SUBMIT]
        reply = await self.model.complete(ModelRequest(sent, schemas, self.seed))
        if self.environment.virtual_time:
            await self.environment.elapse(round(reply.latency_s, 3))  # as recorded, so that replays agree
        self._record_reply(reply, role)
        calls = [self._renamed(call) for call in reply.calls]
        messages.append(assistant_message(reply.text, calls))
        return ModelReply(reply.text, calls, reply.reasoning, reply.usage, reply.finish, reply.latency_s)

    async def execute(self, calls: Sequence[RequestedCall], role: str = "agent") -> list[Message]:
        """Run the requested calls in order; the tool messages for the model. Stops after a submission."""
        answers: list[Message] = []
        for call in calls:
            if self.done:
                text = "The incident is closed; this call was not run."
            elif call.name == SUBMIT.name:
                text = await self._submit(call, role)
            else:
                text = await self._call(call, role)
            answers.append({"role": "tool", "tool_call_id": call.id, "content": text})
        return answers

    async def silence(self, text: str, role: str = "agent") -> Message:
        """The model called no tool: what it is told."""
        ruling = await self._review(Silence(text), "silence")
        told = ruling.feedback if ruling.kind == "deny" else NUDGE
        self._add(UserMessage(text=told, role=role))
        return {"role": "user", "content": told}

    # --- what a guard sees (protocols.Operator) -----------------------------------------------------------

    @property
    def events(self) -> Sequence[Event]:
        """The trace so far."""
        return self.trace.events

    async def read(self, name: str, args: Mapping[str, Any]) -> tuple[bool, str]:
        """Call a read-only tool for a guard. Raises ValueError for a tool that changes something."""
        if self.toolbox.mutates(name):
            raise ValueError(f"a guard may only read; {name} changes the cluster")
        outcome = await self._run_tool(name, args)
        return outcome.ok, outcome.text

    def remaining(self) -> Mapping[str, float]:
        """What is left of the budgets."""
        return self.budget.remaining(self.elapsed)

    # --- inside -------------------------------------------------------------------------------------------

    async def _call(self, call: RequestedCall, role: str) -> str:
        args = arguments_of(call)
        mutating = self.toolbox.mutates(call.name, args)
        self._add(ToolCall(call_id=call.id, name=call.name, args=args, mutating=mutating, role=role))
        ruling = await self._review(
            ProposedToolCall(call.id, call.name, args, mutating), "tool_call", call.id
        )
        if ruling.kind == "deny":
            return self._answer(call, ok=False, text=ruling.feedback, role=role, executed=False)
        raw = ruling.replacement if ruling.kind == "rewrite" else call.arguments
        outcome = await self._run_tool(call.name, raw)
        observed = ObservedToolResult(call.id, call.name, args, outcome.ok, outcome.text, mutating)
        ruling = await self._review(observed, "tool_result", call.id)
        text = ruling.replacement if ruling.kind == "rewrite" else outcome.text
        return self._answer(call, ok=outcome.ok, text=text, role=role)

    async def _run_tool(self, name: str, arguments: str | Mapping[str, Any]) -> Any:
        outcome = await self.environment.run(lambda: self.toolbox.call(name, arguments))
        if self.environment.virtual_time or outcome.waits:
            await self.environment.elapse(outcome.seconds)
        return outcome

    async def _submit(self, call: RequestedCall, role: str) -> str:
        self._add(ToolCall(call_id=call.id, name=call.name, args=arguments_of(call), role=role))
        try:
            submission = parse_submission(call.arguments)
        except AgentError as error:
            self.rejected = error.cause
            return self._answer(call, ok=False, text=f"Error: {error.detail}", role=role)
        self.rejected = ""
        ruling = await self._review(ProposedSubmission(call.id, submission), "submission", call.id)
        if ruling.kind == "deny":
            return self._answer(call, ok=False, text=ruling.feedback, role=role, executed=False)
        self.submission = submission
        answer = self._answer(call, ok=True, text="Submission accepted.", role=role)
        self._add(Final(submission=submission.model_dump(), forced=ruling.kind == "forced", role=role))
        return answer

    async def _review(self, event: GuardEvent, on: str, call_id: str = "") -> Ruling:
        """Let every guard rule in order. The first denial or stop decides; rewrites and forces are kept."""
        decided = ALLOW
        for guard in self.guards:
            before = self.toolbox.reads
            ruling = await guard.review(event, self)
            if ruling.kind == "allow":
                continue
            self.firings[guard.name] = self.firings.get(guard.name, 0) + 1
            self._add(
                GuardFired(
                    guard=guard.name,
                    ruling=ruling.kind,
                    on=on,
                    call_id=call_id,
                    feedback=ruling.feedback,
                    reads=self.toolbox.reads - before,
                )
            )
            if ruling.kind == "stop":
                raise AgentError("stopped_by_guard", f"{guard.name}: {ruling.feedback}")
            if ruling.kind == "deny":
                return ruling
            decided = ruling
            if ruling.kind == "rewrite":
                event = rewritten(event, ruling.replacement)
        return decided

    def _record_reply(self, reply: ModelReply, role: str) -> None:
        usage = reply.usage.model_copy(update={"calls": 1})
        self.budget.charge(usage)
        self.planted.extend(reply.planted)
        self._add(
            ModelCall(
                model=self.model.name,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_tokens=usage.cached_tokens,
                cost_usd=usage.cost_usd,
                retries=usage.retries,
                latency_s=round(reply.latency_s, 3),
                finish=reply.finish,
                role=role,
            )
        )
        if reply.text or reply.reasoning:
            self._add(AssistantMessage(text=reply.text, reasoning=reply.reasoning, role=role))

    def _renamed(self, call: RequestedCall) -> RequestedCall:
        """Give a call the short id by which the agent can cite it."""
        self._calls += 1
        return RequestedCall(f"c{self._calls}", call.name, call.arguments)

    def _answer(self, call: RequestedCall, *, ok: bool, text: str, role: str, executed: bool = True) -> str:
        shown = f"[{call.id}] {text}"
        self._add(
            ToolResult(call_id=call.id, name=call.name, ok=ok, text=shown, executed=executed, role=role)
        )
        return shown

    def _add(self, event: Event) -> None:
        self.trace.add(event, at=round(self.elapsed, 3))


def assistant_message(text: str, calls: Sequence[RequestedCall]) -> Message:
    """The model's answer as a chat message."""
    message: Message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def arguments_of(call: RequestedCall) -> dict[str, Any]:
    """The call's arguments as the trace keeps them; text that is no JSON object is kept under `_raw`."""
    try:
        parsed = json.loads(call.arguments or "{}")
    except ValueError:
        return {"_raw": call.arguments}
    return parsed if isinstance(parsed, dict) else {"_raw": call.arguments}


def rewritten(event: GuardEvent, replacement: Any) -> GuardEvent:
    """The event as the next guard sees it after a rewrite."""
    match event:
        case ProposedModelCall():
            return ProposedModelCall(replacement)
        case ProposedToolCall(call_id, name, _, mutating):
            return ProposedToolCall(call_id, name, replacement, mutating)
        case ObservedToolResult(call_id, name, args, ok, _, mutating):
            return ObservedToolResult(call_id, name, args, ok, replacement, mutating)
    return event
