"""What both ways of playing on a live cluster share.

Owns: wall time at the trial's pace, threads for requests that block, the order baseline -> injection -> confirmed ->
settled, and the verdict. Does not own: where the application comes from (`environment.py`, `attached.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from kubernetes import client

from harness.cluster import Cluster, ClusterError, Manifest
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.kubernetes.access import connect
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.environments.kubernetes.deployment import short_of_replicas
from harness.errors import ConfigurationError, InfrastructureError, Postponed, Problem
from harness.live_config import KubernetesConfig
from harness.records import Verdict
from harness.scoring.collateral import node_is_ready
from harness.scoring.verdict import Baseline, VerdictPolicy, decide
from harness.telemetry import Telemetry
from scenarios.faults import Injection, await_active, fault_of, inject, set_up
from scenarios.schema import Scenario

T = TypeVar("T")
POLL_S = 1.0
OUTAGE_S = 60.0
"""How long a cluster may be down before its trials are left owed."""
THREADS = ThreadPoolExecutor(64, thread_name_prefix="cluster")
"""Requests block; no trial may keep another's from being made."""


def harness_cluster(settings: KubernetesConfig) -> tuple[client.ApiClient, KubernetesCluster]:
    """The harness's own client, one per process and cluster, so that kinds are discovered once."""
    return _connected(settings.kubeconfig, settings.context, settings.in_cluster)


@lru_cache(maxsize=8)
def _connected(
    kubeconfig: str | None, context: str | None, in_cluster: bool
) -> tuple[client.ApiClient, KubernetesCluster]:
    api = connect(kubeconfig, context, in_cluster)
    return api, KubernetesCluster(api)


def settings_of(config: EnvironmentConfig) -> KubernetesConfig:
    """The cluster's settings. Raises ConfigurationError where there are none."""
    if config.kubernetes is None:
        hint = "choose environment=kubernetes"
        raise ConfigurationError(Problem("environment.kubernetes", "missing", hint))
    return config.kubernetes


class Bench:
    """What the verdict works on: the harness's own view of a trial, in wall time."""

    def __init__(self, cluster: Cluster, telemetry: Telemetry) -> None:
        self.cluster, self.telemetry = cluster, telemetry

    async def run(self, work: Callable[[], T]) -> T:
        """Requests block, so they run in a thread."""
        return await in_thread(work)

    async def elapse(self, seconds: float) -> None:
        """Let wall time pass."""
        await asyncio.sleep(seconds)

    def now(self) -> float:
        """Wall time."""
        return time.time()


def takes_pods(node: Manifest) -> bool:
    """Whether a node is ready and not cordoned."""
    return node_is_ready(node) and not node.get("spec", {}).get("unschedulable")


async def in_thread(work: Callable[[], T]) -> T:
    """Run what blocks without blocking the event loop."""
    return await asyncio.get_running_loop().run_in_executor(THREADS, work)


class LiveEnvironment:
    """Base of both environments. `bench` is set before the first step that needs it."""

    virtual_time = False
    cluster: Cluster
    telemetry: Telemetry
    bench: Bench
    baseline: Baseline
    injections: tuple[Injection, ...] = ()

    def __init__(self, config: EnvironmentConfig, verdict: VerdictConfig) -> None:
        self.config = config
        self.settings = settings_of(config)
        self._verdict = verdict

    @property
    def pace(self) -> float:
        """Wall seconds per second of the scenario's times."""
        return self.settings.time_scale

    async def run(self, work: Callable[[], T]) -> T:
        """Requests block, so they run in a thread."""
        return await in_thread(work)

    async def elapse(self, seconds: float) -> None:
        """Let wall time pass, at the trial's pace."""
        await asyncio.sleep(seconds * self.pace)

    def now(self) -> float:
        """Wall time."""
        return time.time()

    async def verdict(self) -> Verdict:
        """Decide the outcome under the harness's identity. Raises InfrastructureError, Postponed."""
        policy = VerdictPolicy(
            self._verdict.window_s * self.pace,
            max(self._verdict.interval_s * self.pace, self.settings.scrape_s),
            self._verdict.passes,
            self.pace,
        )
        try:
            found = await decide(self.bench, self.baseline, self.injections, policy)
        except ClusterError as error:
            raise await self.blame("infra_cluster_lost", str(error)) from error
        if not found.all_clear and (down := await self.run(self.outage)):
            raise await self.blame("infra_cluster_lost", down)
        return found

    async def blame(self, cause: str, why: str) -> InfrastructureError | Postponed:
        """What a failed step means. Where the cluster itself is down, and stays down for a minute, every other trial
        would fail alike: then they stay owed instead of being used up."""
        deadline = time.monotonic() + OUTAGE_S
        while down := await self.run(self.outage):
            if time.monotonic() > deadline:
                return Postponed(f"the cluster is down: {down}", everything=True)
            await asyncio.sleep(POLL_S)
        return InfrastructureError(cause, why)

    def outage(self) -> str:
        """Why no trial could run on the cluster now; empty where one could."""
        try:
            nodes = harness_cluster(self.settings)[1].list("Node")
        except ClusterError as error:
            return str(error)
        return "" if any(map(takes_pods, nodes)) else f"none of its {len(nodes)} nodes takes pods"

    # --- steps of a start

    async def await_available(self, namespace: str) -> None:
        """Wait until every Deployment has its replicas. Raises InfrastructureError, Postponed."""
        deadline = time.monotonic() + self.settings.deploy_s
        while short := await self.run(lambda: short_of_replicas(self.bench.cluster, namespace)):
            if time.monotonic() > deadline:
                detail = f"not available after {self.settings.deploy_s:.0f} s: {', '.join(short)}"
                raise await self.blame("infra_deploy_failed", detail)
            await asyncio.sleep(POLL_S)

    async def soak(self, scenario: Scenario, namespace: str) -> None:
        """From an available application to the baseline. Raises ClusterError, InfrastructureError, Postponed."""
        judge, telemetry = self.bench.cluster, self.bench.telemetry
        await self.run(lambda: set_up(judge, scenario))
        await self.elapse(self.config.soak_s)
        await self.await_available(namespace)
        self.baseline = await self.run(lambda: Baseline.capture(judge, telemetry, (namespace,), self.pace))

    async def break_it(self, scenario: Scenario) -> None:
        """From the baseline to an incident that is ready for an agent. Raises InfrastructureError, Postponed."""
        judge = self.bench.cluster
        try:
            self.injections = await self.run(lambda: inject(judge, scenario))
            await self.run(lambda: await_active(judge, self.injections))
        except ClusterError as error:
            raise await self.blame("infra_inject_failed", str(error)) from error
        await self.elapse(self.config.settle_s)

    def put_back(self, injections: list[Injection]) -> None:
        """Undo injections, last first; an object that an agent removed is gone already."""
        for injection in reversed(injections):
            try:
                fault_of(injection).undo(self.bench.cluster, injection)
            except ClusterError:
                continue
