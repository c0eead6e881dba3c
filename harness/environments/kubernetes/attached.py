"""The live environment, attached mode: incidents on an application that is there already, such as ITBench's own.

Owns: the order lease -> restored -> healthy -> snapshot -> baseline -> injection -> ... -> undone -> restored ->
chaos removed -> lease given back. One trial at a time has the application; a run that was killed leaves its snapshot
on the cluster, and the next one restores from it before anything else. Does not own: lease (`lease.py`), snapshot
(`restoring.py`), metrics (`prometheus.py`), logs and traces (`sources`), the steps of an incident (`live.py`).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping

from harness.cluster import ClusterError, ObjectRef
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.kubernetes.access import ACCOUNT, agent_client, agent_objects
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.environments.kubernetes.images import Images
from harness.environments.kubernetes.janitor import remove_trial
from harness.environments.kubernetes.lease import Lease
from harness.environments.kubernetes.live import POLL_S, Bench, LiveEnvironment, harness_cluster, settings_of
from harness.environments.kubernetes.logs import ContainerLogs
from harness.environments.kubernetes.marks import Marks
from harness.environments.kubernetes.monitor import Monitor
from harness.environments.kubernetes.prometheus import Prometheus, PrometheusTelemetry
from harness.environments.kubernetes.restoring import Snapshot, clean_chaos
from harness.environments.kubernetes.sources.choice import examine, log_source, path_source
from harness.environments.kubernetes.view import Names, TrialView
from harness.errors import ConfigurationError, InfrastructureError, Problem
from harness.live_config import AttachedConfig
from harness.protocols import Briefing
from scenarios.applications import load_application
from scenarios.applications.schema import Application
from scenarios.faults.base import delete_if_exists
from scenarios.schema import Scenario


class AttachedEnvironment(LiveEnvironment):
    """Environment of one trial on an existing application."""

    def __init__(self, config: EnvironmentConfig, verdict: VerdictConfig) -> None:
        super().__init__(config, verdict)
        self._attached = attached_of(self.settings.attached)
        self._marks = Marks(self.settings.run_name, uuid.uuid4().hex[:10], time.time() + self.settings.ttl_s)
        self._lease: Lease | None = None
        self._own: KubernetesCluster | None = None
        self._monitor: Monitor | None = None
        self._snapshot: Snapshot | None = None
        self._namespace = ""
        self.failed: list[str] = []
        """What could not be put back."""

    @staticmethod
    def claims(config: EnvironmentConfig) -> Mapping[str, float]:
        """The whole cluster: the application is there once."""
        return {settings_of(config).resource: 1.0}

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Have the application alone and healthy, capture the baseline, inject, confirm, let alerts fire.

        Raises InfrastructureError, and Postponed where the cluster itself is down."""
        application = load_application(scenario.application)
        self._namespace = application.namespace
        try:
            api, own = await self.run(lambda: harness_cluster(self.settings))
            self._own = own
            await self._take_lease(own)
            judge = self._view(own, application)
            await self.run(lambda: self._restore_what_was_left(own, judge))
            agent = await self.run(lambda: self._give_account(own, api, application))
            self.cluster = self._view(agent, application)
            self._monitor = Monitor(judge, lambda _: None, application, self.pace, self.settings.scrape_s)
            self._monitor.start()
            self.telemetry = self._telemetry(self._monitor, self.cluster, application)
            self.bench = Bench(judge, self._telemetry(self._monitor, judge, application))
            await self._await_health(application.namespace)
            await self.run(lambda: examine(self._attached, application, time.time()))
            self._snapshot = snapshot = await self.run(lambda: Snapshot.take(judge, (application.namespace,)))
            await self.run(lambda: snapshot.keep(own, self._attached.lease_namespace, self._marks))
            await self.soak(scenario, application.namespace)
        except ClusterError as error:
            raise await self.blame("infra_deploy_failed", str(error)) from error
        except InfrastructureError as error:  # its monitoring goes down with the cluster
            raise await self.blame(error.cause, error.detail) from error
        await self.break_it(scenario)
        return Briefing((application.namespace,))

    async def close(self) -> None:
        """Undo, restore, remove chaos and the agent's account, give the lease back. What fails keeps the snapshot on
        the cluster for the next trial, whose health gate also decides whether the application is well again."""
        if self._monitor is not None:
            await self.run(self._monitor.stop)
        if self._own is not None and self._lease is not None:
            own, lease = self._own, self._lease
            await self.run(lambda: self._give_back(own, lease))

    # --- inside

    def _view(self, cluster: KubernetesCluster, application: Application) -> TrialView:
        """The application under its own name: nothing is translated, only the harness's objects are hidden."""
        name = application.namespace
        return TrialView(cluster, Names(name, name), Images((), "", {}), self._marks, self.pace)

    def _telemetry(
        self, monitor: Monitor, cluster: TrialView, application: Application
    ) -> PrometheusTelemetry:
        settings = self._attached
        return PrometheusTelemetry(
            Prometheus(settings.prometheus),
            monitor,
            cluster,
            application,
            settings.rate_window_s,
            log_source(settings, application) or ContainerLogs(cluster, application),
            path_source(settings, application),
            time.time(),
        )

    async def _take_lease(self, own: KubernetesCluster) -> None:
        """Wait, without blocking anybody, until nobody else has the application. Raises InfrastructureError."""
        lease = Lease(own, self._attached.lease_namespace, self._marks, self.settings.ttl_s)
        deadline = time.monotonic() + self._attached.lease_wait_s
        while not await self.run(lease.take):
            if time.monotonic() > deadline:
                current = await self.run(lease.current)
                holder = lease.holder(current) if current is not None else "nobody"
                detail = (
                    f"the application is in use by trial {holder}; waited {self._attached.lease_wait_s:.0f} s"
                )
                raise InfrastructureError("infra_deploy_failed", detail)
            await asyncio.sleep(POLL_S)
        self._lease = lease

    def _restore_what_was_left(self, own: KubernetesCluster, judge: TrialView) -> None:
        left = Snapshot.kept(own, self._attached.lease_namespace)
        if left is not None:
            failed = left.restore(judge)
            if failed:
                raise InfrastructureError("infra_deploy_failed", f"not restored: {'; '.join(failed)}")
            Snapshot.forget(own, self._attached.lease_namespace)

    def _give_account(
        self, own: KubernetesCluster, api: object, application: Application
    ) -> KubernetesCluster:
        for manifest in agent_objects(application.namespace, self.config.permissions, self._marks):
            own.apply(manifest)
        return KubernetesCluster(agent_client(api, application.namespace), own)

    async def _await_health(self, namespace: str) -> None:
        """The gate before an incident: all replicas, and no alert that fires beyond what is configured as normal."""
        await self.await_available(namespace)
        deadline = time.monotonic() + self._attached.health_s
        while True:
            alerts = await self.run(self.bench.telemetry.alerts)
            firing = sorted(
                f"{one.name} {one.entity}"
                for one in alerts
                if one.state == "firing" and one.name not in self._attached.normal_alerts
            )
            if not firing:
                return
            if time.monotonic() > deadline:
                raise InfrastructureError("baseline_unhealthy", f"alerts fire: {', '.join(firing)}")
            await asyncio.sleep(POLL_S)

    def _give_back(self, own: KubernetesCluster, lease: Lease) -> None:
        place = self._attached.lease_namespace
        if down := self.outage():  # each of hundreds of requests would wait for its answer
            self.failed.append(f"nothing could be put back: {down}")
            return
        try:
            if self._snapshot is not None:
                self.put_back(list(self.injections))
                self.failed += self._snapshot.restore(self.bench.cluster)
                self.failed += clean_chaos(
                    own, (*self._snapshot.namespaces, *self._attached.chaos_namespaces)
                )
            remove_trial(own, self._marks.trial)
            for kind in ("RoleBinding", "Role", "ServiceAccount"):
                delete_if_exists(own, ObjectRef(kind, ACCOUNT, self._namespace))
            if not self.failed:
                Snapshot.forget(own, place)
            lease.release()
        except ClusterError as error:
            self.failed.append(str(error))


def attached_of(settings: AttachedConfig | None) -> AttachedConfig:
    """The settings of attached mode. Raises ConfigurationError where there are none."""
    if settings is None:
        hint = "choose environment=attached and set environment.kubernetes.attached.prometheus"
        raise ConfigurationError(Problem("environment.kubernetes.attached", "missing", hint))
    return settings
