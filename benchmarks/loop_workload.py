"""The workload of `overhead.py`: trials of N turns whose model answers at once and whose tool returns 1 KB.

Owns: a cluster that never changes with one pod's logs, an environment around it, and a model that calls one tool per
turn and then submits. Everything else is the harness as it is: session, budgets, toolbox, trace, journal, scorer,
detectors.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from harness.agents.react import ReactAgent, ReactConfig
from harness.budget import BudgetConfig
from harness.cluster import LogLine, Manifest, NotFound
from harness.errors import Problem
from harness.journal import Journal
from harness.protocols import Briefing, ModelReply, ModelRequest, RequestedCall
from harness.records import TrialSpec, Usage, Verdict
from harness.trial import Setting
from scenarios.loader import catalogue
from scenarios.schema import Scenario

T = TypeVar("T")
NAMESPACE, POD = "shop", "web-1"
LINES = [LogLine(1.0 + n, f"INFO request {n:04d} handled in 12 ms, {'x' * 60}") for n in range(9)]
"""As `kubectl_logs` renders them, about 1 KB."""
ROOT = {"name": f"{NAMESPACE}/Pod/{POD}", "contributing_factor": True, "reasoning": "x", "evidence": "[c1]"}
ANSWER = {"entities": [ROOT], "propagations": [], "alerts_explained": []}
USAGE = Usage(input_tokens=1_000, output_tokens=50)


class StillCluster:
    """One pod that writes logs. Nothing ever happens."""

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """The pod."""
        if (kind, name) != ("Pod", POD):
            raise NotFound(f"{kind} {name} not found")
        spec = {"containers": [{"name": "web", "image": "web:1"}]}
        return {"kind": "Pod", "metadata": {"name": POD, "namespace": NAMESPACE}, "spec": spec}

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """Nothing else is there."""
        return []

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """Always the same lines."""
        return LINES

    def now(self) -> float:
        """Time stands still."""
        return 1.0


class QuietTelemetry:
    """No alert, no data."""

    def alerts(self) -> Sequence[Any]:
        """None."""
        return ()


class StillEnvironment:
    """An environment that costs nothing."""

    virtual_time = True

    def __init__(self) -> None:
        self.cluster: Any = StillCluster()
        self.telemetry: Any = QuietTelemetry()

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Ready at once."""
        return Briefing([NAMESPACE])

    async def run(self, work: Callable[[], T]) -> T:
        """Nothing blocks."""
        return work()

    async def elapse(self, seconds: float) -> None:
        """Nothing happens meanwhile."""

    def now(self) -> float:
        """Time stands still."""
        return 1.0

    async def verdict(self) -> Verdict:
        """All is well."""
        return Verdict(symptom_cleared=True, cause_removed=True, collateral_damage=False)

    async def close(self) -> None:
        """Nothing is held."""


class ScriptedModel:
    """Reads logs `turns` times and submits; each answer takes `latency` seconds of real time."""

    simulated = True
    name = "scripted"

    def __init__(self, turns: int, latency: float = 0.0) -> None:
        self._turns = turns
        self._latency = latency

    def context_window(self) -> int | None:
        """Everything fits."""
        return None

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        """None."""
        return ()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The next step, which the number of messages tells."""
        await asyncio.sleep(self._latency)
        done = len(request.messages) // 2 - 1
        if done >= self._turns:
            return ModelReply("", [RequestedCall("x", "submit", json.dumps(ANSWER))], usage=USAGE)
        arguments = {"pod": POD, "namespace": NAMESPACE, "tail": 9 + done}
        return ModelReply(
            f"Step {done}.", [RequestedCall("x", "kubectl_logs", json.dumps(arguments))], usage=USAGE
        )

    async def close(self) -> None:
        """Nothing is held."""


def spec_of(number: int) -> TrialSpec:
    """The spec of one trial."""
    names = {"scenario": "still", "model": "scripted", "agent": "react", "arm": "baseline"}
    return TrialSpec(trial_id=f"t{number}", repeat=number, seed=number, **names)


def setting_of(
    scenario: Scenario, turns: int, latency: float = 0.0, journal: Journal | None = None
) -> Setting:
    """What each trial is made of."""
    return Setting(
        scenario=scenario,
        environment=StillEnvironment,
        model=ScriptedModel(turns, latency),
        agent=lambda: ReactAgent(ReactConfig()),
        guards=tuple,
        prompt_additions=(),
        budget=BudgetConfig(turns=turns + 2, tokens=None, seconds=None),
        journal=journal,
    )


def any_scenario() -> Scenario:
    """A scenario whose ground truth the answer is scored against."""
    return catalogue().get(16)
