"""The simulated environment: an incident on the embedded cluster, in virtual time.

Owns: the order healthy -> soak -> baseline -> injection -> confirmed -> settled, and the cache of prepared
incidents: all trials of one scenario and seed start from the same checkpoint, restored in milliseconds. Does not
own: the cluster (`world.py`), what monitoring sees (`monitoring.py`), the verdict (`harness.scoring.verdict`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, TypeVar

from harness.cluster import Cluster, ClusterError
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.checkpoint import Checkpoint
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.simulated.nodes import CHAOS_NAMESPACE
from harness.environments.simulated.world import World
from harness.errors import InfrastructureError
from harness.protocols import Briefing
from harness.records import Verdict
from harness.scoring.verdict import Baseline, VerdictPolicy, decide
from harness.telemetry import Telemetry
from scenarios.applications import load_application
from scenarios.faults import Injection, await_active, inject, set_up
from scenarios.schema import Scenario

T = TypeVar("T")

DEPLOY_S = 300.0
"""The application must be available this long after it was deployed."""
CACHED_INCIDENTS = 64


class Prepared(NamedTuple):
    """A checkpoint of an incident that is ready for an agent."""

    world: Checkpoint
    baseline: Baseline
    injections: tuple[Injection, ...]
    namespaces: tuple[str, ...]


class SimulatedEnvironment:
    """Environment of one trial on its own simulated cluster."""

    virtual_time = True
    cluster: Cluster
    telemetry: Telemetry
    _prepared: ClassVar[OrderedDict[tuple[str, int, EnvironmentConfig], Prepared]] = OrderedDict()

    def __init__(self, config: EnvironmentConfig, verdict: VerdictConfig) -> None:
        self._config = config
        self._policy = VerdictPolicy(verdict.window_s, verdict.interval_s, verdict.passes)

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Restore the prepared incident, preparing it first where this process has not yet done so."""
        key = (scenario.digest, seed, self._config)
        cache = self._prepared
        if key not in cache:
            cache[key] = prepare(scenario, seed, self._config)
            while len(cache) > CACHED_INCIDENTS:
                cache.popitem(last=False)
        prepared = cache[key]
        self._world = prepared.world.restore()
        self.cluster = self._world.cluster
        self.telemetry = Monitoring.of(self._world)
        self.baseline = prepared.baseline
        self.injections = prepared.injections
        return Briefing(prepared.namespaces)

    async def run(self, work: Callable[[], T]) -> T:
        """Nothing blocks here."""
        return work()

    async def elapse(self, seconds: float) -> None:
        """Move the virtual clock."""
        self._world.advance(seconds)

    def now(self) -> float:
        """Seconds since the epoch on the virtual clock."""
        return self._world.now

    async def verdict(self) -> Verdict:
        """Decide the outcome."""
        return await decide(self, self.baseline, self.injections, self._policy)

    async def close(self) -> None:
        """The world goes with this object."""


def prepare(scenario: Scenario, seed: int, config: EnvironmentConfig) -> Prepared:
    """Deploy, soak, capture the baseline, inject, confirm, let alerts fire. Raises InfrastructureError."""
    application = load_application(scenario.application)
    monitoring = Monitoring(application, seed)
    world = World(seed, monitoring.runtime)
    monitoring.attach(world)
    namespaces = (application.namespace, CHAOS_NAMESPACE)
    try:
        world.deploy(application.manifests(scenario.application_options))
    except ClusterError as error:
        raise InfrastructureError("infra_deploy_failed", str(error)) from error
    world.advance(DEPLOY_S)
    require_available(world, namespaces)
    set_up(world.cluster, scenario)
    world.advance(config.soak_s)
    baseline = Baseline.capture(world.cluster, monitoring, namespaces)
    try:
        injections = inject(world.cluster, scenario)
        await_active(world.cluster, injections)
    except ClusterError as error:
        raise InfrastructureError("infra_inject_failed", str(error)) from error
    world.advance(config.settle_s)
    return Prepared(world.checkpoint(), baseline, injections, namespaces)


def require_available(world: World, namespaces: Sequence[str]) -> None:
    """Raise InfrastructureError unless every Deployment has its replicas."""
    short = [
        deployment["metadata"]["name"]
        for namespace in namespaces
        for deployment in world.store.list("Deployment", namespace)
        if deployment.get("status", {}).get("availableReplicas", 0) < deployment["spec"].get("replicas", 1)
    ]
    if short:
        raise InfrastructureError(
            "infra_deploy_failed", f"not available after deployment: {', '.join(short)}"
        )
