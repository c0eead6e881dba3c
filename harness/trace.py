"""The trace: ordered typed events of one attempt; its writer and its reader.

Owns: event types and their JSON lines. Does not own: where traces are stored (`harness/store.py`) or what
they mean (`harness/mast`). Every event goes to the writer's sink as it happens, so that a killed process loses
nothing that was seen (`harness/journal.py`). Events are msgspec structs because a trial writes them one by one and
archives are read by the ten thousand.

Events marked *observer* were not seen by the agent and are withheld from classifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """One thing that happened. `i` numbers events from 0; `t` is environment seconds since the agent began."""

    observer: ClassVar[bool] = False
    i: int = -1
    t: float = 0.0
    role: str = "agent"
    """Which role of a team, or phase of a state machine, acted."""


class SystemMessage(Event, frozen=True, kw_only=True, tag="system"):
    text: str
    tools: list[str] | None = None
    """Tools of the role that is opened; None means all."""


class UserMessage(Event, frozen=True, kw_only=True, tag="user"):
    """The task, or something that the harness or an operator told the agent."""

    text: str


class ModelCall(Event, frozen=True, kw_only=True, tag="model_call"):
    """One request to the model and what it cost."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    retries: int = 0
    recalled: bool = False
    """Answered from the response cache: the cost was paid before."""
    latency_s: float = 0.0
    finish: str = "stop"


class AssistantMessage(Event, frozen=True, kw_only=True, tag="assistant"):
    """What the model said beside its tool calls."""

    text: str = ""
    reasoning: str = ""


class ToolCall(Event, frozen=True, kw_only=True, tag="tool_call"):
    """An attempted call, executed or not."""

    call_id: str
    name: str
    args: dict[str, Any] = {}
    mutating: bool = False


class ToolResult(Event, frozen=True, kw_only=True, tag="tool_result"):
    """What came back, as the agent read it."""

    call_id: str
    name: str
    ok: bool
    text: str
    executed: bool = True
    """False when a guard, or the limits of the agent's role, answered instead of the tool."""


class GuardFired(Event, frozen=True, kw_only=True, tag="guard"):
    """A guard did something else than allow, or spent reads of its own before it allowed."""

    guard: str
    ruling: str
    """allow | rewrite | deny | answer | stop | forced | conclude."""
    on: str
    """What it ruled on: model_call | tool_call | tool_result | submission | silence."""
    call_id: str = ""
    feedback: str = ""
    reads: int = 0
    """Read calls that the guard made on its own."""
    undone: list[str] = []
    """Calls whose changes the guard put back."""


class ContextReduced(Event, frozen=True, kw_only=True, tag="context_reduced"):
    """From here on the model no longer reads these tool results as they were."""

    call_ids: list[str]
    """Results that are left out or shortened from this request on."""
    by: str
    """`window`: they did not fit. `guard`: a guard compacted the conversation."""
    tokens_before: int
    """Estimated size of the whole conversation."""
    tokens_after: int
    """Estimated size of what was sent."""
    limit: int | None = None


class AgentMessage(Event, frozen=True, kw_only=True, tag="agent_message"):
    """One role of a team hands the work to another; `text` is all that the receiver reads of it."""

    sender: str
    receiver: str
    text: str
    evidence: list[str] = []
    """Ids of tool calls that the sender names as evidence."""


class PhaseChange(Event, frozen=True, kw_only=True, tag="phase_change"):
    """A state machine leaves one phase for another because of the outcome that the model declared."""

    source: str
    target: str
    outcome: str
    text: str = ""
    """What the model says about the phase that it leaves."""


class Final(Event, frozen=True, kw_only=True, tag="final"):
    """An accepted submission."""

    submission: dict[str, Any]
    forced: bool = False


class Ended(Event, frozen=True, kw_only=True, tag="ended"):
    """The attempt is over: `submitted`, or a reason code of `errors.CAUSES`."""

    how: str
    detail: str = ""


class ProgramOutput(Event, frozen=True, kw_only=True, tag="program_output"):
    """The end of what an external agent's program wrote, for the reader of a report."""

    observer: ClassVar[bool] = True
    stream: str
    """stdout | stderr."""
    text: str
    total_bytes: int


class AlertsObserved(Event, frozen=True, kw_only=True, tag="alerts_observed"):
    """Alerts that were firing, for the reader of a report; the agent did not see this."""

    observer: ClassVar[bool] = True
    firing: list[str]


class AlertHistory(Event, frozen=True, kw_only=True, tag="alert_history"):
    """When alerts fired from shortly before the agent began until the verdict; the agent did not see this."""

    observer: ClassVar[bool] = True
    begin: float
    """Of the window; this and all times are environment seconds since the agent began, below 0 before it."""
    end: float
    firing: dict[str, list[list[float]]]
    """Alert -> the spans `[from, until]` in which samples found it firing."""


AnyEvent = (
    SystemMessage
    | UserMessage
    | ModelCall
    | AssistantMessage
    | ToolCall
    | ToolResult
    | GuardFired
    | AgentMessage
    | PhaseChange
    | ContextReduced
    | Final
    | Ended
    | ProgramOutput
    | AlertsObserved
    | AlertHistory
)

E = TypeVar("E", bound=Event)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)


class Sink(Protocol):
    """Where events go as they happen."""

    def write(self, event: bytes) -> None:
        """Keep one event, given as JSON; it survives the process once this returns."""


class TraceWriter:
    """Numbers events and keeps them; with a sink, also writes each one through at once."""

    def __init__(self, sink: Sink | None = None) -> None:
        self.events: list[Event] = []
        self._sink = sink

    def add(self, event: E, at: float = 0.0) -> E:
        """Append an event, giving it the next number and the time `at`."""
        numbered = msgspec.structs.replace(event, i=len(self.events), t=at)
        self.events.append(numbered)
        if self._sink is not None:
            self._sink.write(_encoder.encode(numbered))
        return numbered


def encode(events: Iterable[Event]) -> bytes:
    """Events as JSON lines."""
    return _encoder.encode_lines(list(events))


def decode(data: bytes) -> list[Event]:
    """JSON lines back to events. A torn last line is dropped; any other bad line raises ValueError."""
    lines = data.split(b"\n")
    events: list[Event] = []
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            events.append(_decoder.decode(line))
        except msgspec.DecodeError as error:
            if number == len(lines) - 1:
                break
            raise ValueError(f"trace line {number + 1}: {error}") from error
    return events


def of_type(events: Iterable[Event], kind: type[E]) -> Iterator[E]:
    """The events of one type, in order."""
    return (event for event in events if isinstance(event, kind))
