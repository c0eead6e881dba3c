"""The live environment, own-application mode: each trial deploys the application into a namespace of its own.

Owns: deploying, removing, and which share of a cluster a trial claims. Does not own: the steps in between
(`live.py`), identities (`access.py`), what is deployed (`deployment.py`), monitoring (`monitor.py`), what a trial
sees (`view.py`), leftovers (`janitor.py`).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from math import floor

from kubernetes import client

from harness.cluster import ClusterError
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.kubernetes import janitor
from harness.environments.kubernetes.access import agent_client, agent_objects
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.environments.kubernetes.deployment import frame, workload_objects
from harness.environments.kubernetes.images import Images
from harness.environments.kubernetes.live import POLL_S, Bench, LiveEnvironment, harness_cluster, settings_of
from harness.environments.kubernetes.marks import Marks
from harness.environments.kubernetes.monitor import Monitor
from harness.environments.kubernetes.scrape import fetch
from harness.environments.kubernetes.telemetry import LiveTelemetry
from harness.environments.kubernetes.view import Names, TrialView
from harness.environments.masks import CLUSTER_SCOPED
from harness.protocols import Briefing
from scenarios.applications import load_application
from scenarios.applications.schema import Application
from scenarios.faults import fault_of
from scenarios.schema import Scenario

REMOVED_S = 90.0
"""How long a finished trial waits for its namespace to go before the janitor has to see to it."""


class KubernetesEnvironment(LiveEnvironment):
    """Environment of one trial in its own namespace."""

    def __init__(self, config: EnvironmentConfig, verdict: VerdictConfig) -> None:
        super().__init__(config, verdict)
        trial = uuid.uuid4().hex[:10]
        self.namespace = f"app-{trial}"
        """Its name on the cluster."""
        self._marks = Marks(self.settings.run_name, trial, time.time() + self.settings.ttl_s)
        self._monitor: Monitor | None = None
        self._own: KubernetesCluster | None = None

    @staticmethod
    def claims(config: EnvironmentConfig) -> Mapping[str, float]:
        """A share of the cluster: Ray keeps fractions of 1/10000."""
        settings = settings_of(config)
        return {settings.resource: floor(10_000 / settings.max_trials) / 10_000}

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Deploy, soak, capture the baseline, inject, confirm, let alerts fire. Raises InfrastructureError, and
        Postponed where the cluster itself is down."""
        application = load_application(scenario.application)
        self._marks = Marks(self._marks.run, self._marks.trial, time.time() + self.settings.ttl_s)
        try:
            await self.run(lambda: self._deploy(application, scenario))
            await self.await_available(application.namespace)
            if self._monitor is not None:
                self._monitor.start()
            await self.soak(scenario, application.namespace)
        except ClusterError as error:
            raise await self.blame("infra_deploy_failed", str(error)) from error
        await self.break_it(scenario)
        return Briefing((application.namespace,))

    async def close(self) -> None:
        """Undo what reached beyond the namespace, and remove the trial from the cluster. What cannot be removed now
        is marked, and the janitor's to find."""
        if self._monitor is not None:
            await self.run(self._monitor.stop)
        if self._own is not None:
            with suppress(ClusterError):
                await self._remove(self._own)

    def _deploy(self, application: Application, scenario: Scenario) -> None:
        """Put everything there, and make the views of the harness and of the agent."""
        settings, marks, namespace = self.settings, self._marks, self.namespace
        api, own = harness_cluster(settings)
        self._own = own
        names = Names(application.namespace, namespace)
        named = (workload.image for workload in application.workloads.values())
        images = Images(named, settings.image, settings.pulled)
        judge = TrialView(own, names, images, marks, self.pace)
        for manifest in frame(namespace, {}, marks, settings.pods):
            own.apply(manifest)
        for manifest in agent_objects(namespace, self.config.permissions, marks):
            own.apply(manifest)
        for manifest in workload_objects(application, scenario.application_options, settings):
            judge.apply(manifest)
        agent = KubernetesCluster(agent_client(api, namespace), own)
        self.cluster = TrialView(agent, names, images, marks, self.pace)
        scrape = partial(fetch, client.CoreV1Api(api), namespace)
        self._monitor = monitor = Monitor(judge, scrape, application, self.pace, settings.scrape_s)
        self.telemetry = LiveTelemetry(monitor, self.cluster, application, self.pace)
        self.bench = Bench(judge, LiveTelemetry(monitor, judge, application, self.pace))

    async def _remove(self, own: KubernetesCluster) -> None:
        beyond = [
            one
            for one in self.injections
            if any(target.kind in CLUSTER_SCOPED for target in fault_of(one).objects())
        ]
        await self.run(lambda: self.put_back(beyond))
        await self.run(lambda: janitor.remove_trial(own, self._marks.trial))
        deadline = time.monotonic() + REMOVED_S
        while await self.run(lambda: janitor.exists(own, self.namespace)):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(POLL_S)
