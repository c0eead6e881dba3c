"""The live environment, own-application mode: each trial deploys the application into a namespace of its own.

Owns: the order deployed -> soak -> baseline -> injection -> confirmed -> settled -> undone, on wall time at the
trial's pace, and which share of a cluster a trial claims. Does not own: identities (`access.py`), what
is deployed (`deployment.py`), monitoring (`monitor.py`), what a trial sees (`view.py`), leftovers (`janitor.py`).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from math import floor
from typing import TypeVar

from kubernetes import client

from harness.cluster import Cluster, ClusterError
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.kubernetes import janitor
from harness.environments.kubernetes.access import agent_client, agent_objects, connect
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.environments.kubernetes.deployment import frame, short_of_replicas, workload_objects
from harness.environments.kubernetes.images import Images
from harness.environments.kubernetes.marks import Marks
from harness.environments.kubernetes.monitor import Monitor
from harness.environments.kubernetes.scrape import fetch
from harness.environments.kubernetes.telemetry import LiveTelemetry
from harness.environments.kubernetes.view import Names, TrialView
from harness.environments.masks import CLUSTER_SCOPED
from harness.errors import ConfigurationError, InfrastructureError, Problem
from harness.live_config import KubernetesConfig
from harness.protocols import Briefing
from harness.records import Verdict
from harness.scoring.verdict import Baseline, VerdictPolicy, decide
from harness.telemetry import Telemetry
from scenarios.applications import load_application
from scenarios.faults import Injection, await_active, fault_of, inject, set_up
from scenarios.schema import Scenario

T = TypeVar("T")
POLL_S = 1.0
REMOVED_S = 90.0
"""How long a finished trial waits for its namespace to go before the janitor has to see to it."""
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
    """What the verdict works on: the harness's own view of a trial, at the trial's pace."""

    virtual_time = False

    def __init__(self, cluster: Cluster, telemetry: Telemetry) -> None:
        self.cluster, self.telemetry = cluster, telemetry

    async def run(self, work: Callable[[], T]) -> T:
        """Requests block, so they run in a thread."""
        return await asyncio.get_running_loop().run_in_executor(THREADS, work)

    async def elapse(self, seconds: float) -> None:
        """Let wall time pass."""
        await asyncio.sleep(seconds)

    def now(self) -> float:
        """Wall time."""
        return time.time()


class KubernetesEnvironment:
    """Environment of one trial on a live cluster."""

    virtual_time = False
    cluster: Cluster
    telemetry: Telemetry
    baseline: Baseline
    injections: tuple[Injection, ...] = ()

    def __init__(self, config: EnvironmentConfig, verdict: VerdictConfig) -> None:
        self._config = config
        self._settings = settings_of(config)
        self._verdict = verdict
        self._monitor: Monitor | None = None
        self._marks: Marks | None = None
        self._own: KubernetesCluster | None = None

    @staticmethod
    def claims(config: EnvironmentConfig) -> Mapping[str, float]:
        """A share of the cluster: Ray keeps fractions of 1/10000."""
        settings = settings_of(config)
        return {settings.resource: floor(10_000 / settings.max_trials) / 10_000}

    @property
    def pace(self) -> float:
        """Wall seconds per second of the scenario's times."""
        return self._settings.time_scale

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Deploy, soak, capture the baseline, inject, confirm, let alerts fire. Raises InfrastructureError."""
        application = load_application(scenario.application)
        trial = uuid.uuid4().hex[:10]
        self._marks = marks = Marks(self._settings.run_name, trial, time.time() + self._settings.ttl_s)
        self._namespace = namespace = f"app-{trial}"
        names = Names(application.namespace, namespace)
        images = Images(
            (workload.image for workload in application.workloads.values()),
            self._settings.image,
            self._settings.pulled,
        )
        try:
            api, own = await self.run(lambda: harness_cluster(self._settings))
            self._own = own
            judge = TrialView(own, names, images, marks, self.pace)

            def deploy() -> KubernetesCluster:
                for manifest in frame(namespace, {}, marks, self._settings.pods):
                    own.apply(manifest)
                for manifest in agent_objects(namespace, self._config.permissions, marks):
                    own.apply(manifest)
                for manifest in workload_objects(application, scenario.application_options, self._settings):
                    judge.apply(manifest)
                return KubernetesCluster(agent_client(api, namespace), own)

            agent = await self.run(deploy)
            self.cluster = TrialView(agent, names, images, marks, self.pace)
            await self._await_available(judge, application.namespace)
            fetcher = partial(fetch, client.CoreV1Api(api), namespace)
            self._monitor = Monitor(judge, fetcher, application, self.pace, self._settings.scrape_s)
            self._monitor.start()
            self.telemetry = LiveTelemetry(self._monitor, self.cluster, application, self.pace)
            self._bench = Bench(judge, LiveTelemetry(self._monitor, judge, application, self.pace))
            await self.run(lambda: set_up(judge, scenario))
            await self.elapse(self._config.soak_s)
            await self._await_available(judge, application.namespace)
            self.baseline = await self.run(
                lambda: Baseline.capture(judge, self._bench.telemetry, (application.namespace,), self.pace)
            )
        except ClusterError as error:
            raise InfrastructureError("infra_deploy_failed", str(error)) from error
        try:
            self.injections = await self.run(lambda: inject(judge, scenario))
            await self.run(lambda: await_active(judge, self.injections))
        except ClusterError as error:
            raise InfrastructureError("infra_inject_failed", str(error)) from error
        await self.elapse(self._config.settle_s)
        return Briefing((application.namespace,))

    async def run(self, work: Callable[[], T]) -> T:
        """Requests block, so they run in a thread."""
        return await asyncio.get_running_loop().run_in_executor(THREADS, work)

    async def elapse(self, seconds: float) -> None:
        """Let wall time pass, at the trial's pace."""
        await asyncio.sleep(seconds * self.pace)

    def now(self) -> float:
        """Wall time."""
        return time.time()

    async def verdict(self) -> Verdict:
        """Decide the outcome under the harness's identity."""
        policy = VerdictPolicy(
            self._verdict.window_s * self.pace,
            max(self._verdict.interval_s * self.pace, self._settings.scrape_s),
            self._verdict.passes,
            self.pace,
        )
        return await decide(self._bench, self.baseline, self.injections, policy)

    async def close(self) -> None:
        """Undo what reached beyond the namespace, and remove the trial from the cluster. What cannot be removed now
        is marked, and the janitor's to find."""
        if self._monitor is not None:
            await self.run(self._monitor.stop)
        if self._marks is not None and self._own is not None:
            await self._remove(self._own, self._marks)

    async def _remove(self, cluster: KubernetesCluster, marks: Marks) -> None:
        for injection in reversed(self.injections):
            fault = fault_of(injection)
            if any(target.kind in CLUSTER_SCOPED for target in fault.objects()):
                await self.run(partial(_quietly, fault.undo, self._bench.cluster, injection))
        await self.run(lambda: janitor.remove_trial(cluster, marks.trial))
        deadline = time.monotonic() + REMOVED_S
        while await self.run(lambda: janitor.exists(cluster, self._namespace)):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(POLL_S)

    async def _await_available(self, judge: Cluster, namespace: str) -> None:
        deadline = time.monotonic() + self._settings.deploy_s
        while short := await self.run(lambda: short_of_replicas(judge, namespace)):
            if time.monotonic() > deadline:
                detail = f"not available after {self._settings.deploy_s:.0f} s: {', '.join(short)}"
                raise InfrastructureError("infra_deploy_failed", detail)
            await asyncio.sleep(POLL_S)


def _quietly(undo: Callable[..., None], cluster: Cluster, injection: Injection) -> None:
    """Undo what can be undone; an object that an agent removed is gone already."""
    try:
        undo(cluster, injection)
    except ClusterError:
        return
