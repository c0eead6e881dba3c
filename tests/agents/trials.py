"""Trials of one scenario on the simulated cluster, for agents of every kind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.agents import create_agent
from harness.budget import BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.errors import Problem
from harness.models.own import OwnModel
from harness.protocols import Guard, Model, ModelReply, ModelRequest, RequestedCall
from harness.records import TrialRecord, TrialSpec, Usage
from harness.trace import Event, decode
from harness.trial import Setting, run_trial
from scenarios.loader import catalogue

SCENARIO = 16
CULPRIT = "otel-demo/Deployment/shipping"
CONF = Path(__file__).resolve().parents[2] / "conf" / "agent"
ANSWER = {
    "entities": [
        {"name": CULPRIT, "contributing_factor": True, "reasoning": "changed last", "evidence": "[c1]"}
    ],
    "propagations": [],
    "alerts_explained": [],
    "resolved": False,
    "resolution_evidence": "",
}
Line = tuple[str, dict[str, Any]] | str
"""A tool call, or words without one."""


class ScriptedModel:
    """Says its lines, whoever asks, and keeps what it was sent."""

    name = "scripted"
    simulated = True

    def __init__(self, lines: Sequence[Line | list[Line]]) -> None:
        self._lines = list(lines)
        self.requests: list[ModelRequest] = []

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        return ()

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(
            ModelRequest([dict(message) for message in request.messages], list(request.tools), request.seed)
        )
        line = self._lines.pop(0)
        lines = line if isinstance(line, list) else [line]
        calls = [
            RequestedCall(f"x{number}", each[0], json.dumps(each[1]))
            for number, each in enumerate(lines)
            if not isinstance(each, str)
        ]
        text = " ".join(each for each in lines if isinstance(each, str))
        return ModelReply(text, calls, usage=Usage(calls=1, input_tokens=10, output_tokens=5))

    async def close(self) -> None:
        pass


class Played(NamedTuple):
    """One finished trial."""

    record: TrialRecord
    events: list[Event]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def agent_fields(name: str) -> dict[str, Any]:
    """The configuration of an agent as it lies in conf/agent."""
    fields: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return fields


def play(
    fields: dict[str, Any],
    model: Model | None = None,
    guards: Callable[[], Sequence[Guard]] = tuple,
    additions: Sequence[str] = (),
    **budget: Any,
) -> Played:
    """One trial of an agent with these fields."""
    (scenario,) = catalogue().select([SCENARIO])
    model = model or OwnModel()
    spec = TrialSpec(
        trial_id="t", scenario=scenario.key, model=model.name, agent="a", arm="baseline", repeat=0, seed=7
    )
    setting = Setting(
        scenario=scenario,
        environment=lambda: SimulatedEnvironment(EnvironmentConfig(), VerdictConfig()),
        model=model,
        agent=lambda: create_agent("a", fields),
        guards=guards,
        prompt_additions=additions,
        budget=BudgetConfig(**budget),
    )
    output = asyncio.run(run_trial(spec, setting))
    return Played(output.record, decode(output.trace))
