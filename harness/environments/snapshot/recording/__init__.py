"""Writes a simulated incident in the layout of ITBench-Lite: `export`.

Owns: playing an incident minute by minute and handing each minute to the recorders. Does not own: the files
(`files.py`), spans (`spans.py`), the simulation. Nothing is kept in memory for longer than a minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import yaml

from harness.cluster import ClusterError
from harness.environments.simulated.environment import DEPLOY_S, require_available
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.simulated.world import World
from harness.environments.snapshot.recording.files import POLL_S, Recording
from harness.errors import ConfigurationError, InfrastructureError, Problem
from scenarios.applications import load_application
from scenarios.faults import await_active, inject, set_up
from scenarios.ground_truth import version_1
from scenarios.schema import Scenario

INCIDENT_S = 720.0
"""Recorded seconds after the injection, at least: the slowest alert needs ten minutes."""
HEALTHY_MINUTES = 8
"""Shortest recording of the healthy application: rate windows must be filled."""
MINUTE = 60.0


def export(scenario: Scenario, to: Path, minutes: int = 30, scale: float = 1.0, seed: int = 0) -> Path:
    """Play a scenario and write `to/Scenario-<id>`; that directory.

    `minutes` is the length of the recording, of which the last twelve or more show the incident; `scale` multiplies
    the recorded requests and log lines. Raises ConfigurationError for a directory that is not empty or a window
    that is too short, InfrastructureError when the incident cannot be played."""
    shortest = HEALTHY_MINUTES + math.ceil(INCIDENT_S / MINUTE)
    if minutes < shortest:
        raise ConfigurationError(Problem("--minutes", f"found {minutes}; expected at least {shortest}"))
    target = to / f"Scenario-{scenario.id}"
    if target.exists() and any(target.iterdir()):
        raise ConfigurationError(Problem(str(target), "is not empty", "name another directory"))
    target.mkdir(parents=True, exist_ok=True)
    record(scenario, target, minutes, scale, seed)
    return target


def record(scenario: Scenario, target: Path, minutes: int, scale: float, seed: int) -> Monitoring:
    """Write a scenario's files into an empty directory; the monitoring of the world as it was at the end."""
    truth = {"id": target.name, **version_1(scenario.scored_ground_truth())}
    (target / "ground_truth.yaml").write_text(yaml.safe_dump(truth, sort_keys=False), encoding="utf-8")
    application = load_application(scenario.application)
    monitoring = Monitoring(application, seed)
    world = World(seed, monitoring.runtime)
    monitoring.attach(world)
    with Recording(target, world, monitoring, scale) as recording:
        try:
            _play(scenario, world, minutes * MINUTE - INCIDENT_S, recording.catch_up)
        except ClusterError as error:
            raise InfrastructureError("infra_inject_failed", str(error)) from error
    return monitoring


def _play(scenario: Scenario, world: World, healthy_s: float, record: Callable[[], None]) -> None:
    """Healthy, then injected, then long enough for alerts; `record` is called at least every minute."""
    application = load_application(scenario.application)
    world.deploy(application.manifests(scenario.application_options))
    world.advance(DEPLOY_S)
    require_available(world, (application.namespace,))
    set_up(world.cluster, scenario)
    world.advance(-world.now % MINUTE)
    begin = world.now
    record()
    _advance(world, healthy_s, record)
    injections = inject(world.cluster, scenario)
    await_active(world.cluster, injections)
    end = begin + math.ceil((world.now + INCIDENT_S - begin) / POLL_S) * POLL_S
    _advance(world, -world.now % MINUTE, record)
    _advance(world, end - world.now, record)


def _advance(world: World, seconds: float, record: Callable[[], None]) -> None:
    until = world.now + seconds
    while world.now < until:
        world.advance(min(MINUTE, until - world.now))
        record()
