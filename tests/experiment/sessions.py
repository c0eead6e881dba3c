"""Real sessions on the simulated cluster, driven by a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.agents import create_agent
from harness.budget import BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.protocols import Guard, Model
from harness.records import TrialRecord, TrialSpec
from harness.trace import Event, decode
from harness.trial import Setting, run_trial
from scenarios.loader import catalogue

SHIPPING = "otel-demo/Deployment/shipping"
ALERTS = ("alert_summary", {})
CHANGES = ("k8s_spec_change_analysis", {"k8_object_name": SHIPPING})
UNDO = ("rollout_undo", {"name": "shipping", "namespace": "otel-demo"})
WAIT = ("wait", {"seconds": 900})


def play(
    model: Model,
    guards: Callable[[], Sequence[Guard]] = tuple,
    additions: Sequence[str] = (),
    scenario: int = 16,
    budget: BudgetConfig | None = None,
    agent: Mapping[str, Any] | None = None,
) -> tuple[TrialRecord, list[Event]]:
    """Run one trial for real, with the react agent unless fields of another are given; record and events."""
    found = catalogue().get(scenario)
    setting = Setting(
        scenario=found,
        environment=lambda: SimulatedEnvironment(EnvironmentConfig(), VerdictConfig()),
        model=model,
        agent=lambda: create_agent("a", agent or {"kind": "react"}),
        guards=guards,
        prompt_additions=additions,
        budget=budget or BudgetConfig(),
    )
    spec = TrialSpec(
        trial_id="t", scenario=found.key, model=model.name, agent="react", arm="a", repeat=0, seed=7
    )
    output = asyncio.run(run_trial(spec, setting))
    return output.record, decode(output.trace)
