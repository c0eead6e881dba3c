"""The four protocols that the harness is made of. Read this file first.

    Environment   where a scenario plays: it starts an incident and decides the verdict
    Agent         an architecture around a model: it works on the incident through a Session
    Model         what answers chat messages
    Guard         the code of a structural intervention: it rules on what the agent is about to do

A trial flows one way: Environment.start -> Agent.run (Model <-> Guards <-> tools) -> Environment.verdict.
Owns: the protocols and the small value types that cross them. Implementations live in their rooms and are
found by short name or dotted path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from harness.cluster import Cluster
from harness.errors import Problem
from harness.records import PlantedFailure, Submission, Usage, Verdict
from harness.telemetry import Telemetry

if TYPE_CHECKING:
    from harness.config import EnvironmentConfig
    from harness.session import Session
    from scenarios.schema import Scenario

T = TypeVar("T")
Message = dict[str, Any]
"""A chat message in the OpenAI form: role, content, tool_calls, tool_call_id."""


# --- Environment ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Briefing:
    """What the person who opens the incident can tell the agent. Never the cause."""

    namespaces: Sequence[str]
    """Namespaces of the affected application, and those in which every agent may act, whatever the incident."""
    can_act: bool = True
    """False where alerts can never clear (snapshots): diagnosis only."""


class Environment(Protocol):
    """Where one trial plays. Used by exactly one trial; expensive parts are shared behind it."""

    cluster: Cluster
    telemetry: Telemetry
    virtual_time: bool
    """True where the clock only moves when told to, so that a model's latency must be played back."""

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Healthy application -> injection -> fault confirmed active. Raises InfrastructureError."""

    async def run(self, work: Callable[[], T]) -> T:
        """Run synchronous work on the cluster or telemetry without blocking other trials."""

    async def elapse(self, seconds: float) -> None:
        """Let time pass on the environment's clock."""

    def now(self) -> float:
        """Seconds since the epoch on the environment's clock."""

    async def verdict(self) -> Verdict:
        """Decide the outcome from the state of the cluster and its alerts. Only asked where the briefing says that
        the agent can act."""

    async def close(self) -> None:
        """Give everything back; called exactly once, also after a failure."""


DOCKER_SLOT = "docker_slot"
"""Ray's custom resource for a container on a node's docker engine."""


class Claiming(Protocol):
    """The optional part of an environment's class: what its trials occupy. An agent that occupies something has a
    method `claims()` of the same meaning.

    Names are Ray's custom resources (`docker_slot`, `cluster:staging`); amounts are per trial. Executors keep no
    more trials in flight than what nodes offer.
    """

    @staticmethod
    def claims(config: EnvironmentConfig) -> Mapping[str, float]:
        """What one trial occupies from its start to its end; empty: nothing that is scarce."""


# --- Model --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """All that a model ever receives."""

    messages: Sequence[Message]
    tools: Sequence[ToolSchema]
    seed: int
    max_output_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A tool call as the model wrote it: `arguments` is its raw JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model answered."""

    text: str
    calls: Sequence[RequestedCall] = ()
    reasoning: str = ""
    usage: Usage = field(default_factory=Usage)
    finish: str = "stop"
    latency_s: float = 0.0
    """Seconds that the answer took; on the environment's clock they pass too."""
    planted: Sequence[PlantedFailure] = ()
    """Test doubles only: failures committed on purpose in this reply. Goes to the record, never to the trace."""


class Model(Protocol):
    """What answers chat messages. Stateless: all it knows is in the request."""

    name: str
    simulated: bool
    """True for test doubles: everything that shows their numbers says so."""

    def context_window(self) -> int | None:
        """Tokens that one request may take, answer included; None where it is not known."""

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        """What would make every call fail, as far as it shows without a network (a missing key, an unknown
        price under a money budget)."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer. Retries are typed and counted in the usage. Raises InfrastructureError("api_error"), and
        ConfigurationError where no retry and no other trial could help (a refused key)."""

    async def close(self) -> None:
        """Give back connections, before the event loop ends."""


# --- Agent --------------------------------------------------------------------------------------------


class Agent(Protocol):
    """An architecture around a model. It acts only through its Session, which owns budgets, guards and trace."""

    async def run(self, session: Session) -> None:
        """Work until the session has an accepted submission, or give up by returning."""


@runtime_checkable
class Instructed(Protocol):
    """The optional part of a control agent, which proves verdicts and is no contestant."""

    def learn(self, scenario: Scenario) -> None:
        """Take in the scenario, ground truth included; before `run`."""


# --- Guard --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProposedModelCall:
    """The session is about to send these messages to the model."""

    messages: Sequence[Message]
    tokens: int = 0
    """Estimated size of the messages."""
    limit: int | None = None
    """Tokens that the messages may take; beyond it the oldest tool results are left out. None: no limit."""


@dataclass(frozen=True, slots=True)
class ProposedToolCall:
    """The agent wants to call a tool (any but `submit`)."""

    call_id: str
    name: str
    args: Mapping[str, Any]
    mutating: bool


@dataclass(frozen=True, slots=True)
class ObservedToolResult:
    """A tool answered; the agent has not read it yet."""

    call_id: str
    name: str
    args: Mapping[str, Any]
    ok: bool
    text: str
    mutating: bool


@dataclass(frozen=True, slots=True)
class ProposedSubmission:
    """The agent wants to submit."""

    call_id: str
    submission: Submission


@dataclass(frozen=True, slots=True)
class Silence:
    """The model answered without calling a tool."""

    text: str


GuardEvent = ProposedModelCall | ProposedToolCall | ObservedToolResult | ProposedSubmission | Silence


@dataclass(frozen=True, slots=True)
class Ruling:
    """A guard's typed answer. `allow` leaves everything as it is.

    `answer` stands in for a tool (a cached result, one of the guard's own tools); `conclude` closes the
    incident with a submission that the guard hands over; it can be ruled on a tool call, a submission or
    silence.
    """

    kind: Literal["allow", "rewrite", "deny", "answer", "stop", "forced", "conclude"] = "allow"
    feedback: str = ""
    """deny, answer: what the agent reads. rewrite: what was rewritten. stop, forced, conclude: the reason."""
    replacement: Any = None
    """rewrite: messages, arguments or result text, matching the event. conclude: the Submission."""


ALLOW = Ruling()


class Operator(Protocol):
    """What a guard can see and do: what an operator's proxy in front of the tools could. No ground truth."""

    @property
    def events(self) -> Sequence[Any]:
        """The trace so far."""

    async def read(self, name: str, args: Mapping[str, Any]) -> tuple[bool, str]:
        """Call a read-only tool, or an action as a dry run; (ok, text). Counted as the guard's cost."""

    async def undo(self, call_id: str) -> tuple[bool, str]:
        """Put back what a call changed; (whether anything was put back, which objects or why not)."""

    def remaining(self) -> Mapping[str, float]:
        """What is left of the budgets: turns, tokens, seconds, usd."""


class Guard(Protocol):
    """The code of a structural intervention. One instance per trial; it may keep state."""

    name: str

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on one event. Must return ALLOW wherever its trigger is absent, without reading anything:
        reads take time, and what the agent sees next would differ."""


@runtime_checkable
class OffersTools(Protocol):
    """The optional part of a guard: tools of its own, which it answers itself when they are called."""

    def tools(self) -> Sequence[ToolSchema]:
        """What the model is offered now. Empty as long as the guard's trigger is absent."""
