"""Attached mode on a real API server: the lease, the snapshot, and a whole trial with a real Prometheus.

The trial needs the program `prometheus` (Debian has a package of that name) and pods that can be reached from here.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cluster import Manifest, NotFound, wait_until
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.kubernetes import janitor
from harness.environments.kubernetes.access import ACCOUNT, connect
from harness.environments.kubernetes.attached import AttachedEnvironment
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.environments.kubernetes.deployment import short_of_replicas, workload_objects
from harness.environments.kubernetes.images import Images
from harness.environments.kubernetes.lease import Lease
from harness.environments.kubernetes.marks import Marks
from harness.environments.kubernetes.restoring import Snapshot
from harness.environments.kubernetes.view import Names, TrialView
from harness.errors import InfrastructureError
from harness.live_config import AttachedConfig, KubernetesConfig
from harness.tools.toolbox import Toolbox
from scenarios.applications import load_application
from scenarios.loader import catalogue

pytestmark = pytest.mark.kubernetes
APPLICATION = load_application("otel-demo")
PACE = 0.1


def marks() -> Marks:
    return Marks("tests", uuid.uuid4().hex[:10], time.time() + 600)


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(place: str, name: str, text: str) -> Manifest:
    metadata = {"name": name, "namespace": place}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}


@pytest.fixture
def own(kubeconfig: str) -> KubernetesCluster:
    return KubernetesCluster(connect(kubeconfig, None, False))


@pytest.fixture
def place(own: KubernetesCluster) -> Iterator[str]:
    """A namespace of its own."""
    name = f"attached-{uuid.uuid4().hex[:8]}"
    own.apply(namespace(name))
    yield name
    own.delete("Namespace", name)


class TestLease:
    def test_one_holder_at_a_time(self, own: KubernetesCluster, place: str) -> None:
        first, second = (Lease(own, place, marks(), 60) for _ in range(2))
        assert first.take()
        assert first.take()
        assert not second.take()
        second.release()
        assert not second.take()
        first.release()
        assert second.take()

    def test_a_dead_holder_loses_it(self, own: KubernetesCluster, place: str) -> None:
        assert Lease(own, place, marks(), 1).take()
        heir = Lease(own, place, marks(), 60)
        assert wait_until(own, heir.take, timeout=10, interval=0.5)


class TestSnapshot:
    def test_changed_deleted_and_made_objects_are_put_back(self, own: KubernetesCluster, place: str) -> None:
        for name in ("changed", "deleted"):
            own.apply(config_map(place, name, "before"))
        snapshot = Snapshot.take(own, (place,))
        own.apply(config_map(place, "changed", "after"))
        own.apply(config_map(place, "made", "after"))
        own.delete("ConfigMap", "deleted", place)
        assert snapshot.restore(own) == []
        for name in ("changed", "deleted"):
            assert own.get("ConfigMap", name, place)["data"] == {"text": "before"}
        with pytest.raises(NotFound):
            own.get("ConfigMap", "made", place)

    def test_it_survives_the_run_that_took_it(self, own: KubernetesCluster, place: str) -> None:
        own.apply(config_map(place, "changed", "before"))
        Snapshot.take(own, (place,)).keep(own, place, marks())
        own.apply(config_map(place, "changed", "after"))
        kept = Snapshot.kept(own, place)
        assert kept is not None
        Snapshot.forget(own, place)
        assert kept.restore(own) == []
        assert own.get("ConfigMap", "changed", place)["data"] == {"text": "before"}
        assert Snapshot.kept(own, place) is None


# --- a whole trial ----------------------------------------------------------------------------------

ERRORS = 'traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}'
RULES = {
    "groups": [
        {
            "name": "application",
            "rules": [
                {
                    "alert": "HighRequestErrorRate",
                    "expr": f"sum by (service_name) (rate({ERRORS}[12s])) > 0",
                    "for": "15s",
                    "labels": {"severity": "critical"},
                }
            ],
        }
    ]
}


@pytest.fixture
def shop(own: KubernetesCluster, shop_image: str) -> Iterator[TrialView]:
    """The application, as somebody else deployed it."""
    images = Images((one.image for one in APPLICATION.workloads.values()), shop_image, {})
    view = TrialView(own, Names(APPLICATION.namespace, APPLICATION.namespace), images, marks(), 1.0)
    own.apply(namespace(APPLICATION.namespace))
    try:
        yield deployed(view)
    finally:
        own.delete("Namespace", APPLICATION.namespace)
        wait_until(own, lambda: not janitor.exists(own, APPLICATION.namespace), timeout=120, interval=1)


def deployed(view: TrialView) -> TrialView:
    for manifest in workload_objects(APPLICATION, {}, KubernetesConfig(time_scale=PACE)):
        view.apply(manifest)
    assert wait_until(
        view, lambda: not short_of_replicas(view, APPLICATION.namespace), timeout=300, interval=2
    )
    return view


@pytest.fixture
def prometheus(own: KubernetesCluster, tmp_path: Path) -> Iterator[str]:
    """A Prometheus that scrapes the application's pods."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("the program `prometheus` is not there: install the package prometheus")
    targets = tmp_path / "targets.json"
    settings = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": [str(tmp_path / "rules.yml")],
        "scrape_configs": [
            {"job_name": "shop", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "2s"}]}
        ],
    }
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(RULES))
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        program, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}", "--log.level=error",
    ]  # fmt: skip
    over = threading.Event()
    finder = threading.Thread(target=find_pods, args=(own, targets, over))
    with subprocess.Popen(command, cwd=tmp_path) as process:
        try:
            finder.start()
            await_ready(f"http://{address}/-/ready")
            yield f"http://{address}"
        finally:
            over.set()
            finder.join()
            process.terminate()


def find_pods(own: KubernetesCluster, targets: Path, over: threading.Event) -> None:
    """Tell Prometheus where the application's pods are: Debian's has no discovery of Kubernetes."""
    while not over.wait(1):
        addresses = [
            f"{pod['status']['podIP']}:9464"
            for pod in own.list("Pod", APPLICATION.namespace)
            if pod["status"].get("phase") == "Running" and pod["status"].get("podIP")
        ]
        fresh = targets.with_suffix(".new")
        fresh.write_text(json.dumps([{"targets": addresses}]))
        fresh.replace(targets)


def await_ready(url: str) -> None:
    for _ in range(60):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


class TestTrial:
    def test_from_lease_to_lease(
        self, own: KubernetesCluster, kubeconfig: str, prometheus: str, shop: TrialView
    ) -> None:
        attached = AttachedConfig(prometheus=prometheus, lease_wait_s=2, health_s=120, rate_window_s=12)
        cluster = KubernetesConfig(kubeconfig=kubeconfig, time_scale=PACE, max_trials=1, attached=attached)
        config = EnvironmentConfig(kind="attached", kubernetes=cluster, soak_s=300, settle_s=600)
        asyncio.run(self.play(config, own, shop))

    async def play(self, config: EnvironmentConfig, own: KubernetesCluster, shop: TrialView) -> None:
        environment, other = (AttachedEnvironment(config, VerdictConfig()) for _ in range(2))
        flags = shop.get("ConfigMap", "flagd-config", "otel-demo")["data"]
        try:
            briefing = await environment.start(catalogue().get(30), seed=1)
            with pytest.raises(InfrastructureError, match="in use"):
                await other.start(catalogue().get(30), seed=1)
            await other.close()
            tools = Toolbox(environment.cluster, environment.telemetry, briefing.namespaces)
            await environment.run(lambda: self.work(tools))
            verdict = await environment.verdict()
            assert verdict.symptom_cleared, verdict
            assert verdict.cause_removed, verdict
            assert verdict.damage, verdict
        finally:
            await environment.close()
        assert environment.failed == []
        assert shop.get("ConfigMap", "flagd-config", "otel-demo")["data"] == flags
        assert shop.get("Service", "ad", "otel-demo")["spec"]["ports"][0]["targetPort"] == 8080
        for kind, name, place in (
            ("ConfigMap", "made", "otel-demo"),
            ("ServiceAccount", ACCOUNT, "otel-demo"),
            ("Lease", "sre-harness", "default"),
            ("Secret", "sre-harness-snapshot", "default"),
        ):
            with pytest.raises(NotFound):
                own.get(kind, name, place)

    def work(self, tools: Toolbox) -> None:
        """Repair the incident, and do harm beside it."""
        assert "HighRequestErrorRate" in tools.call("alert_summary", {}).text
        assert tools.call("metric_analysis", {"metric_names": ["error_rate"], "k8_object_name": "frontend"})
        patches: list[tuple[str, str, Any]] = [
            ("Service", "ad", {"spec": {"ports": [{"port": 8080, "targetPort": 8080}]}}),
            ("ConfigMap", "flagd-config", {"data": {"more": "text"}}),
        ]
        for kind, name, patch in patches:
            answer = tools.call(
                "patch_object", {"kind": kind, "name": name, "namespace": "otel-demo", "patch": patch}
            )
            assert answer.ok, answer.text
        made = tools.call("apply_manifest", {"manifest": config_map("otel-demo", "made", "x")})
        assert made.ok, made.text
