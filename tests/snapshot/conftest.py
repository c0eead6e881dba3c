"""One small recording of scenario 16, shared by all tests of a session, and the world that it was made from."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments import environment_factory, select_scenarios
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.snapshot.environment import SnapshotEnvironment
from harness.environments.snapshot.recording import record
from harness.tools.toolbox import Toolbox
from scenarios.loader import catalogue

SCENARIO = 16


@dataclass(frozen=True)
class Recorded:
    """A recording, and what an agent on the live cluster would have read when it ended."""

    root: Path
    cache: Path
    monitoring: Monitoring
    live: Toolbox

    @property
    def directory(self) -> Path:
        return self.root / f"Scenario-{SCENARIO}"

    @property
    def now(self) -> float:
        """When the recording ended."""
        return self.monitoring.world.now

    @property
    def config(self) -> EnvironmentConfig:
        return EnvironmentConfig(kind="snapshot", root=str(self.root), cache_dir=str(self.cache))

    def start(self) -> tuple[SnapshotEnvironment, Toolbox]:
        return started(self.config)


def started(config: EnvironmentConfig, scenario: int = SCENARIO) -> tuple[SnapshotEnvironment, Toolbox]:
    """A trial's environment on a recording, and its tools."""
    (chosen,) = select_scenarios(config, scenario)
    environment: Any = environment_factory(config, VerdictConfig())()
    briefing = asyncio.run(environment.start(chosen, seed=1))
    can_act = briefing.can_act
    tools = Toolbox(environment.cluster, environment.telemetry, briefing.namespaces, allow_actions=can_act)
    return environment, tools


def ask(toolbox: Toolbox, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The answer of a tool."""
    outcome = toolbox.call(tool, arguments)
    assert outcome.ok, f"{tool}: {outcome.text}"
    found: dict[str, Any] = json.loads(outcome.text)
    return found


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    root = tmp_path_factory.mktemp("recording")
    target = root / f"Scenario-{SCENARIO}"
    target.mkdir()
    monitoring = record(catalogue().get(SCENARIO), target, minutes=20, scale=0.5, seed=3)
    world: Any = monitoring.world
    live = Toolbox(world.cluster, monitoring, ["otel-demo", "chaos-mesh"], allow_actions=False)
    return Recorded(root, tmp_path_factory.mktemp("indexes"), monitoring, live)
