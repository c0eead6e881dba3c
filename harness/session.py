"""One attempt from the agent's side: everything it may do, with budgets, guards and the trace around it.

An agent asks the model (`ask`), executes what it answered (`execute`) or deals with silence (`silence`).
Owns: the order of things (budget -> guards -> model or tool -> trace), call ids, acceptance of a submission.
Does not own: the agent's strategy (agents), what tools do (tools), what guards think (interventions) and may do
(`operations.py`), how the rulings of several guards are joined (`panel.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.budget import Budget
from harness.chat import arguments_of, assistant_message
from harness.context import ContextWindow, shortened, size_of
from harness.errors import AgentError
from harness.operations import Operations
from harness.operator_channel import OperatorChannel
from harness.panel import Panel
from harness.protocols import (
    Environment,
    Guard,
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
    ToolSchema,
)
from harness.records import PlantedFailure, Submission, Usage, UsageSource
from harness.roles import Roles
from harness.sandbox.tools import SandboxTools
from harness.tools.submit import SUBMIT, parse_submission
from harness.tools.toolbox import Toolbox
from harness.trace import (
    AssistantMessage,
    ContextReduced,
    Event,
    Final,
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
        context_tokens: int | None = None,
        channel: OperatorChannel | None = None,
        sandbox: SandboxTools | None = None,
    ) -> None:
        self.environment = environment
        self.toolbox = toolbox
        self.model = model
        self.budget = budget
        self.trace = trace
        self.operations = Operations(environment, toolbox, sandbox, budget, trace)
        self.panel = Panel(guards, self)
        self.system = system
        self.task = task
        self.seed = seed
        self.context = ContextWindow(context_tokens)
        self.channel = channel
        self.sandbox = sandbox
        self.images = {"sandbox": sandbox.image.digest} if sandbox else {}
        """Digests of the container images that take part."""
        self.submission: Submission | None = None
        self.rejected: str = ""
        """Reason code of the last refused submission, when it broke the contract."""
        self.planted: list[PlantedFailure] = []
        self.usage_source: UsageSource = "measured"
        self.roles = Roles()
        self._calls = 0
        self._reduced: set[str] = set()

    @property
    def done(self) -> bool:
        """A submission was accepted."""
        return self.submission is not None

    @property
    def firings(self) -> Mapping[str, int]:
        """How often each guard did something else than allow."""
        return self.panel.firings

    @property
    def elapsed(self) -> float:
        """Environment seconds since the agent began."""
        return self.operations.elapsed

    # --- what an agent calls ------------------------------------------------------------------------

    def open(self, role: str = "agent", system: str | None = None, task: str | None = None) -> list[Message]:
        """The first messages of a conversation; recorded in the trace."""
        system, task = system or self.system, task or self.task
        limited = self.roles.limited(role)
        tools = [schema.name for schema in self.tools(role)] if limited else None
        self.record(SystemMessage(text=system, tools=tools, role=role))
        self.record(UserMessage(text=task, role=role))
        return [{"role": "system", "content": system}, {"role": "user", "content": task}]

    async def ask(self, messages: list[Message], role: str = "agent") -> ModelReply:
        """Ask the model and append its answer to `messages`. Raises AgentError when a budget is used up."""
        self.budget.check(self.elapsed)
        tools = self.tools(role)
        sent = await self._fitted(messages, tools, role)
        if self.panel.offering:
            tools = self.tools(role)  # a guard may offer a tool because of what it has just seen
        reply = await self.model.complete(ModelRequest(sent, tools, self.seed))
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
            elif (answer := self._inside(call, role)) is not None:
                text = answer
            elif call.name == SUBMIT.name:
                text = await self._submit(call, role)
            else:
                text = await self._call(call, role)
            answers.append({"role": "tool", "tool_call_id": call.id, "content": text})
        return answers

    async def silence(self, text: str, role: str = "agent") -> Message:
        """The model called no tool: what it is told."""
        ruling = await self.panel.review(Silence(text), "silence")
        if ruling.kind == "conclude":
            self._accept(ruling.replacement, role, forced=True)
        return self.tell(ruling.feedback if ruling.kind in ("deny", "conclude") else NUDGE, role)

    def tell(self, text: str, role: str = "agent") -> Message:
        """Something that the harness or the agent's architecture tells the model; recorded in the trace."""
        self.record(UserMessage(text=text, role=role))
        return {"role": "user", "content": text}

    def request(self, name: str, arguments: str) -> RequestedCall:
        """A call by an agent that brings its own model: it counts as a turn, and gets the id to be cited.

        Raises AgentError when a budget is used up.
        """
        self.budget.check(self.elapsed)
        self.budget.charge(Usage(calls=1))
        return self._renamed(RequestedCall("", name, arguments))

    def report_usage(self, model: str, usage: Usage) -> None:
        """An agent that brings its own model says what that consumed."""
        self.usage_source = "reported"
        self.budget.charge(usage)
        spent = usage.model_dump(exclude={"calls", "retries", "recalled_calls", "recalled_usd"})
        self.record(ModelCall(model=model, finish="reported", **spent))

    def tools(self, role: str = "agent") -> Sequence[ToolSchema]:
        """What a role is offered now: toolbox, sandbox, operator channel, guards' own tools, `submit`."""
        offered = [*self.toolbox.schemas(), *(self.sandbox.schemas() if self.sandbox else ())]
        offered.extend(self.channel.tools() if self.channel else ())
        if self.panel.offering:
            offered.extend(self.panel.tools({one.name for one in offered}))
        return self.roles.offered(role, [*offered, SUBMIT])

    # --- inside -------------------------------------------------------------------------------------------

    async def _call(self, call: RequestedCall, role: str) -> str:
        args = arguments_of(call)
        mutating = self.toolbox.mutates(call.name, args)
        self.record(ToolCall(call_id=call.id, name=call.name, args=args, mutating=mutating, role=role))
        ruling = await self.panel.review(
            ProposedToolCall(call.id, call.name, args, mutating), "tool_call", call.id
        )
        if ruling.kind in ("deny", "answer", "conclude"):
            return self._stand_in(call, ruling, role)
        if self.channel is not None and self.channel.serves(call.name):
            ok, text = self.channel.call(call.name, args)
            return self._answer(call, ok=ok, text=text, role=role)
        raw = ruling.replacement if ruling.kind == "rewrite" else call.arguments
        outcome = await self.operations.run(call.name, raw, call.id)
        observed = ObservedToolResult(call.id, call.name, args, outcome.ok, outcome.text, mutating)
        ruling = await self.panel.review(observed, "tool_result", call.id)
        text = ruling.replacement if ruling.kind == "rewrite" else outcome.text
        return self._answer(call, ok=outcome.ok, text=text, role=role)

    def _inside(self, call: RequestedCall, role: str) -> str | None:
        """What the agent's architecture answers itself. Guards sit in front of the tools and do not see it."""
        args = arguments_of(call)
        answer = self.roles.answer(role, call.name, args)
        if answer is None or answer.ok:
            return answer and f"[{call.id}] {answer.text}"
        mutating = self.toolbox.mutates(call.name, args)
        self.record(ToolCall(call_id=call.id, name=call.name, args=args, mutating=mutating, role=role))
        return self._answer(call, ok=False, text=f"Error: {answer.text}", role=role, executed=False)

    def _stand_in(self, call: RequestedCall, ruling: Ruling, role: str) -> str:
        """A guard answered in the place of the tool."""
        ok = ruling.kind != "deny"
        answer = self._answer(call, ok=ok, text=ruling.feedback, role=role, executed=False)
        if ruling.kind == "conclude":
            self._accept(ruling.replacement, role, forced=True)
        return answer

    async def _submit(self, call: RequestedCall, role: str) -> str:
        self.record(ToolCall(call_id=call.id, name=call.name, args=arguments_of(call), role=role))
        try:
            submission = parse_submission(call.arguments)
        except AgentError as error:
            self.rejected = error.cause
            return self._answer(call, ok=False, text=f"Error: {error.detail}", role=role)
        self.rejected = ""
        ruling = await self.panel.review(ProposedSubmission(call.id, submission), "submission", call.id)
        if ruling.kind in ("deny", "conclude"):
            return self._stand_in(call, ruling, role)
        answer = self._answer(call, ok=True, text="Submission accepted.", role=role)
        self._accept(submission, role, forced=ruling.kind == "forced")
        return answer

    def _accept(self, submission: Submission, role: str, forced: bool) -> None:
        self.submission = submission
        self.record(Final(submission=submission.model_dump(), forced=forced, role=role))

    async def _fitted(
        self, messages: list[Message], tools: Sequence[ToolSchema], role: str
    ) -> Sequence[Message]:
        """The messages as they are sent: after the guards, and cut to the context window."""
        room = self.context.room(tools)
        size = size_of(messages)
        ruling = await self.panel.review(ProposedModelCall(messages, size, room), "model_call")
        compacted = ruling.replacement if ruling.kind == "rewrite" else messages
        sent = self.context.fit(compacted, room)
        for by, before, after in (("guard", messages, compacted), ("window", compacted, sent)):
            lost = [i for i in shortened(before, after) if i not in self._reduced] if before != after else []
            if lost:
                self._reduced.update(lost)
                self.record(
                    ContextReduced(
                        call_ids=lost,
                        by=by,
                        tokens_before=size,
                        tokens_after=size_of(sent),
                        limit=room,
                        role=role,
                    )
                )
        return sent

    def _record_reply(self, reply: ModelReply, role: str) -> None:
        usage = reply.usage.model_copy(update={"calls": 1})
        self.budget.charge(usage)
        self.planted.extend(reply.planted)
        self.record(
            ModelCall(
                model=self.model.name,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_tokens=usage.cached_tokens,
                cost_usd=usage.cost_usd,
                retries=usage.retries,
                recalled=usage.recalled_calls > 0,
                latency_s=round(reply.latency_s, 3),
                finish=reply.finish,
                role=role,
            )
        )
        if reply.text or reply.reasoning:
            self.record(AssistantMessage(text=reply.text, reasoning=reply.reasoning, role=role))

    def _renamed(self, call: RequestedCall) -> RequestedCall:
        """Give a call the short id by which the agent can cite it."""
        self._calls += 1
        return RequestedCall(f"c{self._calls}", call.name, call.arguments)

    def _answer(self, call: RequestedCall, *, ok: bool, text: str, role: str, executed: bool = True) -> str:
        shown = f"[{call.id}] {text}"
        self.record(
            ToolResult(call_id=call.id, name=call.name, ok=ok, text=shown, executed=executed, role=role)
        )
        return shown

    def record(self, event: Event) -> None:
        """Append an event to the trace, now."""
        self.trace.add(event, at=round(self.elapsed, 3))
