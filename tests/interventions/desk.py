"""Plays hand-made sessions: a scripted model works on a simulated incident, with guards in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.agents import create_agent
from harness.budget import Budget, BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.errors import AgentError, Problem
from harness.operator_channel import OperatorChannel
from harness.protocols import Guard, ModelReply, ModelRequest, RequestedCall
from harness.records import Usage
from harness.session import Session
from harness.tools.toolbox import Toolbox
from harness.trace import ContextReduced, Event, GuardFired, ToolResult, TraceWriter, of_type
from interventions.registry import load
from scenarios.loader import catalogue

NS = "otel-demo"
Turn = tuple[str, str, dict[str, Any]]
"""What the model says, and the call that it makes."""


class Scripted:
    """A model that says what it was given, then falls silent."""

    name = "scripted"
    simulated = True

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = list(turns)
        self.requests: list[ModelRequest] = []

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        return ()

    def context_window(self) -> int | None:
        return None

    async def close(self) -> None:
        pass

    async def complete(self, request: ModelRequest) -> ModelReply:
        place = len(self.requests)
        self.requests.append(request)
        if place >= len(self._turns):
            return ModelReply("I have nothing to add.", usage=Usage(input_tokens=10), latency_s=5)
        said, name, args = self._turns[place]
        call = RequestedCall(f"call_{place}", name, json.dumps(args))
        return ModelReply(said, (call,), usage=Usage(input_tokens=100, output_tokens=10), latency_s=5)


@dataclass
class Played:
    """What came of a session."""

    session: Session
    model: Scripted
    ended: str = ""
    events: list[Event] = field(default_factory=list)

    @property
    def fired(self) -> list[GuardFired]:
        return list(of_type(self.events, GuardFired))

    @property
    def reduced(self) -> list[ContextReduced]:
        return list(of_type(self.events, ContextReduced))

    def result(self, call_id: str) -> ToolResult:
        return next(one for one in of_type(self.events, ToolResult) if one.call_id == call_id)

    def offered(self, turn: int) -> set[str]:
        """Tools that the model was offered at a turn, from 0."""
        return {one.name for one in self.model.requests[turn].tools}


def guard(name: str, **parameters: Any) -> Guard:
    return load(name, parameters).guard()


def play(
    turns: Sequence[Turn],
    *guards: Guard,
    scenario: int = 16,
    budget: BudgetConfig | None = None,
    context_tokens: int | None = None,
    ambiguous: bool = False,
) -> Played:
    """Run a scripted session on a catalogue incident."""

    async def run() -> Played:
        incident = catalogue().get(scenario)
        environment = SimulatedEnvironment(EnvironmentConfig(), VerdictConfig())
        briefing = await environment.start(incident, 5)
        model = Scripted(turns)
        task = f"Alerts are firing for the application in namespace: {NS}. Diagnose, remediate and submit."
        session = Session(
            environment=environment,
            toolbox=Toolbox(environment.cluster, environment.telemetry, briefing.namespaces),
            model=model,
            guards=guards,
            budget=Budget(budget or BudgetConfig()),
            trace=TraceWriter(),
            system="You are on call.",
            task=incident.ambiguity.request if ambiguous and incident.ambiguity else task,
            seed=5,
            context_tokens=context_tokens,
            channel=OperatorChannel(incident.ambiguity) if ambiguous and incident.ambiguity else None,
        )
        played = Played(session, model)
        try:
            await create_agent("a", {"kind": "react"}).run(session)
        except AgentError as error:
            played.ended = error.cause
        played.events = list(session.trace.events)
        return played

    return asyncio.run(run())


SHIPPING = f"{NS}/Deployment/shipping"
ALERTS: Turn = ("I read the alerts.", "alert_summary", {"state_filter": "firing"})
CHANGES: Turn = ("I look for changes.", "k8s_spec_change_analysis", {"limit": 50})
TEST: Turn = (
    f"Hypothesis: {SHIPPING}.",
    "kubectl_rollout_history",
    {"name": "shipping", "namespace": NS},
)
REPAIR: Turn = ("I put it back.", "rollout_undo", {"name": "shipping", "namespace": NS})
WAIT: Turn = ("I wait.", "wait", {"seconds": 600})


def submit(
    entity: str = SHIPPING,
    evidence: str = "[c3]",
    resolved: bool = False,
    resolution: str = "",
    why: str = "changed",
) -> Turn:
    named = {"name": entity, "contributing_factor": True, "reasoning": why, "evidence": evidence}
    return (
        "I submit.",
        "submit",
        {
            "entities": [named],
            "propagations": [],
            "alerts_explained": [],
            "resolved": resolved,
            "resolution_evidence": resolution,
        },
    )
