"""Least privilege, one whole trial, and what a killed run leaves: on a real API server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import Cluster, Forbidden, Manifest, NotFound, wait_until
from harness.config import EnvironmentConfig, Permissions, VerdictConfig
from harness.environments.kubernetes import janitor
from harness.environments.kubernetes.access import agent_client, agent_objects, allowed, connect
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.environments.kubernetes.deployment import frame
from harness.environments.kubernetes.environment import KubernetesEnvironment
from harness.environments.kubernetes.images import Images
from harness.environments.kubernetes.marks import RUN, TRIAL, Marks, unmarked
from harness.environments.kubernetes.view import Names, TrialView
from harness.tools.toolbox import Toolbox
from scenarios.loader import catalogue

pytestmark = pytest.mark.kubernetes
ROOT = Path(__file__).resolve().parents[2]
RESTORE = {"spec": {"ports": [{"port": 8080, "targetPort": 8080}]}}


@pytest.fixture
def own(kubeconfig: str) -> KubernetesCluster:
    """The cluster under the harness's identity."""
    return KubernetesCluster(connect(kubeconfig, None, False))


class Tenant:
    """A trial's namespace without an application."""

    def __init__(self, own: KubernetesCluster, kubeconfig: str, permissions: Permissions) -> None:
        self.marks = Marks("tests", uuid.uuid4().hex[:10], time.time() + 600)
        self.namespace = f"app-{self.marks.trial}"
        for manifest in (*frame(self.namespace, {}, self.marks, 60), *self._objects(permissions)):
            own.apply(manifest)
        self.api = agent_client(connect(kubeconfig, None, False), self.namespace)
        self.agent = KubernetesCluster(self.api, own)

    def _objects(self, permissions: Permissions) -> list[Manifest]:
        place = {"name": "mine", "namespace": self.namespace}
        return [
            *agent_objects(self.namespace, permissions, self.marks),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {"a": "1"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": place, "stringData": {"a": "1"}},
        ]


@pytest.fixture
def tenants(own: KubernetesCluster, kubeconfig: str) -> Iterator[tuple[Tenant, Tenant]]:
    """A trial without access to Secrets, and another one beside it with it."""
    pair = (Tenant(own, kubeconfig, "no_secrets"), Tenant(own, kubeconfig, "full"))
    yield pair
    for tenant in pair:
        janitor.remove_trial(own, tenant.marks.trial)


class TestAgentAccount:
    def test_it_works_inside_its_namespace(self, tenants: tuple[Tenant, Tenant]) -> None:
        mine, _ = tenants
        mine.agent.patch("ConfigMap", "mine", mine.namespace, {"data": {"a": "2"}})
        assert mine.agent.get("ConfigMap", "mine", mine.namespace)["data"] == {"a": "2"}
        assert mine.agent.list("Node")

    def test_it_is_refused_everything_outside(self, tenants: tuple[Tenant, Tenant]) -> None:
        mine, other = tenants
        for namespace in (other.namespace, "kube-system", "default", None):
            for kind in ("ConfigMap", "Secret", "Pod", "Deployment", "Event"):
                with pytest.raises(Forbidden):
                    mine.agent.list(kind, namespace)
        with pytest.raises(Forbidden):
            mine.agent.get("ConfigMap", "mine", other.namespace)
        with pytest.raises(Forbidden):
            mine.agent.patch("ConfigMap", "mine", other.namespace, {"data": {"a": "2"}})
        with pytest.raises(Forbidden):
            mine.agent.list("Namespace")
        with pytest.raises(Forbidden):
            mine.agent.delete("Namespace", mine.namespace)

    def test_secrets_only_with_the_permission(self, tenants: tuple[Tenant, Tenant]) -> None:
        without, with_it = tenants
        with pytest.raises(Forbidden):
            without.agent.get("Secret", "mine", without.namespace)
        assert with_it.agent.get("Secret", "mine", with_it.namespace)["kind"] == "Secret"

    @pytest.mark.parametrize(
        ("verb", "group", "resource"),
        [
            ("create", "chaos-mesh.org", "schedules"),
            ("delete", "chaos-mesh.org", "networkchaos"),
            ("create", "rbac.authorization.k8s.io", "roles"),
            ("create", "rbac.authorization.k8s.io", "rolebindings"),
            ("patch", "rbac.authorization.k8s.io", "clusterroles"),
            ("create", "", "serviceaccounts/token"),
            ("create", "", "pods/exec"),
            ("get", "", "pods/proxy"),
            ("patch", "", "nodes"),
            ("create", "", "namespaces"),
        ],
    )
    def test_what_no_remediation_needs(
        self, tenants: tuple[Tenant, Tenant], verb: str, group: str, resource: str
    ) -> None:
        for tenant in tenants:
            assert not allowed(tenant.api, verb, group, resource, tenant.namespace)


def test_a_cordoned_node_takes_pods_again(own: KubernetesCluster) -> None:
    marks = Marks("tests", uuid.uuid4().hex[:10], time.time() + 600)
    view = TrialView(own, Names("otel-demo", f"app-{marks.trial}"), Images((), "", {}), marks, 1.0)
    name = own.list("Node")[0]["metadata"]["name"]
    try:
        view.patch("Node", name, "", {"spec": {"unschedulable": True}})
        cordoned = own.get("Node", name)
        assert cordoned["spec"]["unschedulable"]
        assert cordoned["metadata"]["labels"][TRIAL] == marks.trial
    finally:
        janitor.remove_trial(own, marks.trial)
    after = own.get("Node", name)
    assert not after["spec"].get("unschedulable")
    assert after == {**after, "metadata": unmarked(after)["metadata"]}


def quick(live: EnvironmentConfig) -> EnvironmentConfig:
    return live.model_copy(update={"soak_s": 150.0, "settle_s": 450.0})


class TestTrial:
    def test_from_deployment_to_nothing_left(self, live: EnvironmentConfig, own: KubernetesCluster) -> None:
        asyncio.run(self.play(quick(live), own))

    async def play(self, config: EnvironmentConfig, own: KubernetesCluster) -> None:
        environment = KubernetesEnvironment(config, VerdictConfig())
        try:
            briefing = await environment.start(catalogue().get(30), seed=1)
            tools = Toolbox(environment.cluster, environment.telemetry, briefing.namespaces)
            await environment.run(lambda: self.look(tools, environment.cluster))
            await environment.run(lambda: self.dry_run(tools, environment.cluster))
            await environment.run(lambda: self.act(tools))
            verdict = await environment.verdict()
            assert verdict.all_clear, verdict
            namespace = environment.namespace
            assert namespace.startswith("app-")
        finally:
            await environment.close()
        assert wait_until(own, lambda: not janitor.exists(own, namespace), timeout=300, interval=1)

    def look(self, tools: Toolbox, cluster: Cluster) -> None:
        """The incident is there, and nothing of the harness or of other trials."""
        summary = tools.call("alert_summary", {}).text
        assert "HighRequestErrorRate" in summary
        assert "frontend" in summary
        assert [one["metadata"]["name"] for one in cluster.list("Namespace")] == ["otel-demo"]
        assert "sre-harness" not in str(cluster.list("Deployment", "otel-demo"))
        assert cluster.list("ResourceQuota", "otel-demo") == []
        with pytest.raises(NotFound):
            cluster.get("ConfigMap", "kube-root-ca.crt", "kube-system")
        assert "connection refused" in tools.call("log_analysis", {"limit": 500}).text
        assert "frontend" in tools.call("get_trace_error_tree", {}).text

    def dry_run(self, tools: Toolbox, cluster: Cluster) -> None:
        before = cluster.get("Service", "ad", "otel-demo")["metadata"]["resourceVersion"]
        answer = tools.call("patch_object", {**self.repair(), "dry_run": True})
        assert answer.ok, answer.text
        assert cluster.get("Service", "ad", "otel-demo")["metadata"]["resourceVersion"] == before
        assert not tools.audit

    def act(self, tools: Toolbox) -> None:
        """The repair is audited with what was before and after."""
        answer = tools.call("patch_object", self.repair())
        assert answer.ok, answer.text
        (record,) = tools.audit
        (change,) = record.changes
        assert change.before is not None
        assert change.after is not None
        assert change.before["spec"]["ports"][0]["targetPort"] != 8080
        assert change.after["spec"]["ports"][0]["targetPort"] == 8080

    def repair(self) -> dict[str, Any]:
        return {"kind": "Service", "name": "ad", "namespace": "otel-demo", "patch": RESTORE}


class TestKilledRun:
    def test_the_janitor_removes_what_kill_left(
        self, own: KubernetesCluster, kubeconfig: str, shop_image: str, tmp_path: Path
    ) -> None:
        command = [
            sys.executable, "-m", "harness", "+experiment=live_kubernetes", "scenario=[30]", "agent=[control]",
            f"environment.kubernetes.image={shop_image}", f"run_dir={tmp_path / 'run'}", "executor.in_flight=2",
        ]  # fmt: skip
        environment = {**os.environ, "KUBECONFIG": kubeconfig}
        before = {one["metadata"]["name"] for one in janitor.owned(own)}

        def new() -> list[Manifest]:
            return [one for one in janitor.owned(own) if one["metadata"]["name"] not in before]

        run = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
        try:
            assert wait_until(own, lambda: len(new()) >= 6, timeout=90, interval=1)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        left = new()
        assert {"Namespace", "ClusterRole", "ClusterRoleBinding"} <= {one["kind"] for one in left}
        name = left[0]["metadata"]["labels"][RUN]
        done = subprocess.run(
            [sys.executable, "-m", "harness", "janitor", "--run", name],
            cwd=ROOT, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert sum("cluster/" in line for line in done.stdout.splitlines()) == len(left)
        assert new() == []
