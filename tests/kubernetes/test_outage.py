"""A cluster that is down uses up no trials: they stay owed. Played on the simulated cluster, and on a closed port."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cluster import ClusterError, Manifest
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.kubernetes import live
from harness.environments.kubernetes.environment import KubernetesEnvironment
from harness.environments.kubernetes.restoring import Snapshot
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.environments.simulated.world import World
from harness.errors import InfrastructureError, Postponed
from harness.experiment import build_plan, run_owed
from harness.live_config import KubernetesConfig
from harness.store import RunDirectory
from scenarios.loader import catalogue
from tests.experiment.composed import composed
from tests.simulated.cluster_fixtures import FakeRuntime


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "OUTAGE_S", 0.0)


def environment(**cluster: str) -> KubernetesEnvironment:
    settings = KubernetesConfig.model_validate(cluster)
    return KubernetesEnvironment(EnvironmentConfig(kind="kubernetes", kubernetes=settings), VerdictConfig())


@pytest.fixture
def closed(tmp_path: Path) -> str:
    """A kubeconfig of an API server that does not listen."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{free.getsockname()[1]}"
    named = {"name": "closed"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "closed",
        "clusters": [named | {"cluster": {"server": server}}],
        "users": [named | {"user": {}}],
        "contexts": [named | {"context": {"cluster": "closed", "user": "closed"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_an_api_server_that_is_gone_postpones_everything(closed: str) -> None:
    one = environment(kubeconfig=closed)

    async def play() -> None:
        try:
            await one.start(catalogue().get(30), seed=1)
        finally:
            await one.close()

    with pytest.raises(Postponed, match="the cluster is down") as left:
        asyncio.run(play())
    assert left.value.everything


def test_only_a_cluster_without_a_ready_node_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1, FakeRuntime())
    monkeypatch.setattr(live, "harness_cluster", lambda settings: (None, world.cluster))
    one = environment()
    first, *others = world.store.list("Node")
    assert others

    def say(node: Manifest, ready: str) -> None:
        status = {**node["status"], "conditions": [{"type": "Ready", "status": ready}]}
        world.store.put_status(node, status)

    for node in others:
        say(node, "Unknown")
    blamed = asyncio.run(one.blame("infra_deploy_failed", "not available after 240 s"))
    assert isinstance(blamed, InfrastructureError)
    assert blamed.cause == "infra_deploy_failed"
    say(first, "False")
    assert isinstance(asyncio.run(one.blame("infra_deploy_failed", "not available after 240 s")), Postponed)


def test_a_list_that_fails_is_not_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = World(1, FakeRuntime()).cluster
    snapshot = Snapshot.take(cluster, ("default",))
    listed = cluster.list

    def unanswered(kind: str, *where: Any) -> list[Manifest]:
        if kind == "ConfigMap":
            raise ClusterError("the API server did not answer")
        return listed(kind, *where)

    monkeypatch.setattr(cluster, "list", unanswered)
    for attempt in (lambda: Snapshot.take(cluster, ("default",)), lambda: snapshot.restore(cluster)):
        with pytest.raises(ClusterError):
            attempt()


def test_what_is_postponed_at_its_start_stays_owed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    async def down(*_: object) -> None:
        raise Postponed("the cluster is down", everything=True)

    async def close(*_: object) -> None:
        closed.append(1)

    monkeypatch.setattr(SimulatedEnvironment, "start", down)
    monkeypatch.setattr(SimulatedEnvironment, "close", close)
    config = composed(
        "+experiment=smoke", "executor=local", "executor.in_flight=1", f"run_dir={tmp_path}/run"
    )
    plan, run = build_plan(config), RunDirectory(Path(config.directory))
    run.open_for_writing(plan)
    try:
        assert run_owed(config, plan, run) == ["the cluster is down"]
        assert run.records() == []
        assert len(closed) == 1 < len(plan.trials), "no other trial was begun"
    finally:
        run.close()
