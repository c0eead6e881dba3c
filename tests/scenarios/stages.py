"""Worlds for the tests of faults and scenarios: the healthy one is deployed once per process and copied."""

from __future__ import annotations

from functools import cache

from harness.cluster import Cluster, ObjectRef
from harness.environments.simulated.checkpoint import Checkpoint
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.simulated.world import World
from scenarios.applications import load_application
from scenarios.faults import FAULTS, Fault
from scenarios.loader import catalogue
from scenarios.schema import Scenario

NAMESPACE = "otel-demo"
SEED = 7


@cache
def _healthy() -> Checkpoint:
    application = load_application(NAMESPACE)
    monitoring = Monitoring(application, SEED)
    world = World(SEED, monitoring.runtime)
    monitoring.attach(world)
    world.deploy(application.manifests({}))
    world.advance(600)
    return world.checkpoint()


def healthy_world() -> World:
    """The application, available and soaked."""
    return _healthy().restore()


def scenario(scenario_id: int) -> Scenario:
    """A scenario of the catalogue."""
    return catalogue().get(scenario_id)


def fault_in(scenario_id: int) -> Fault:
    """The first fault of a scenario."""
    planned = next(scenario(scenario_id).injections())
    return FAULTS[planned.fault].model_validate(planned.args)


def workload(name: str) -> ObjectRef:
    """A Deployment of the application."""
    return ObjectRef("Deployment", name, NAMESPACE)


def patch_pods(cluster: Cluster, name: str, pod_spec: dict[str, object]) -> None:
    """Change the pod template of a Deployment."""
    cluster.patch("Deployment", name, NAMESPACE, {"spec": {"template": {"spec": pod_spec}}})
