"""Book Info and the faults of its service mesh."""

from __future__ import annotations

from functools import cache

import pytest

from harness.cluster import Cluster, ObjectRef, rollout_undo, wait_until
from harness.environments.simulated.checkpoint import Checkpoint
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.simulated.world import World
from harness.scoring.collateral import damage, observe
from scenarios.applications import load_application
from scenarios.faults import Fault, Injection, await_active, causes_left, fault_of, inject, undo
from tests.scenarios.stages import SEED, scenario

NAMESPACE = "book-info"
POLICY = ObjectRef("AuthorizationPolicy", "bookinfo-gateway-deny", NAMESPACE)
WORLDWIDE = {"spec": {"mtls": {"mode": "STRICT"}}}


@cache
def _healthy() -> Checkpoint:
    application = load_application(NAMESPACE)
    monitoring = Monitoring(application, SEED)
    world = World(SEED, monitoring.runtime)
    monitoring.attach(world)
    world.deploy(application.manifests({}))
    world.advance(900)
    return world.checkpoint()


def healthy() -> World:
    return _healthy().restore()


def broken(scenario_id: int) -> tuple[World, Fault, Injection]:
    world = healthy()
    injections = inject(world.cluster, scenario(scenario_id))
    await_active(world.cluster, injections)
    return world, fault_of(injections[0]), injections[0]


def firing(world: World) -> set[tuple[str, str]]:
    alerts = Monitoring.of(world).alerts()
    background = ("Watchdog", "NodeCPUHighUsage")
    return {alert.key for alert in alerts if alert.state == "firing" and alert.name not in background}


def rates(world: World, seconds: float = 300) -> dict[tuple[str, ...], float]:
    paths = Monitoring.of(world).call_paths(world.now - seconds, world.now)
    return {path.path: round((path.count - path.errors) / seconds, 2) for path in paths}


def test_requests_take_the_way_of_the_samples() -> None:
    world = healthy()
    front = ("bookinfo-gateway-istio", "productpage-v1")
    assert rates(world) == {
        front[:1]: 0.6,
        front: 0.6,
        (*front, "details-v1"): 0.6,
        (*front, "reviews"): 0.6,
        (*front, "reviews", "ratings-v1"): 0.4,
    }
    assert firing(world) == set()
    assert load_application(NAMESPACE).behind("reviews") == ("reviews-v1", "reviews-v2", "reviews-v3")


def test_a_version_that_is_gone_leaves_its_service_to_the_others() -> None:
    world = healthy()
    world.cluster.patch("Deployment", "reviews-v1", NAMESPACE, {"spec": {"replicas": 0}})
    world.advance(600)
    front = ("bookinfo-gateway-istio", "productpage-v1", "reviews")
    assert rates(world)[front] == 0.6
    assert rates(world)[(*front, "ratings-v1")] == 0.6


def test_the_span_rules_of_the_other_application_do_not_apply() -> None:
    world = healthy()
    world.cluster.delete("Service", "reviews", NAMESPACE)
    world.advance(900)
    names = {name for name, _ in firing(world)}
    assert names == {"HighRequestErrorRate", "NoRequestsOpened"}


@pytest.mark.parametrize("scenario_id", [36, 47, 48, 50, 53])
def test_undo_restores_every_object(scenario_id: int) -> None:
    world = healthy()
    cluster = world.cluster
    before = observe(cluster, [NAMESPACE])
    injections = inject(cluster, scenario(scenario_id))
    await_active(cluster, injections)
    undo(cluster, scenario(scenario_id), injections)
    cluster.wait(600)
    assert damage(cluster, before, ()) == []
    assert observe(cluster, [NAMESPACE]).objects.keys() == before.objects.keys()
    assert causes_left(cluster, injections) == []


def test_outside_ambient_mode_requests_succeed_unseen() -> None:
    world, fault, injection = broken(48)
    world.advance(900)
    assert rates(world)["bookinfo-gateway-istio", "productpage-v1"] == 0.6
    assert ("NoRequestsOpened", "reviews-v2") in firing(world)
    world.cluster.patch(
        "Namespace", NAMESPACE, "", {"metadata": {"labels": {"istio.io/dataplane-mode": "on"}}}
    )
    assert not fault.cause_removed(world.cluster, injection)
    world.cluster.patch(
        "Namespace", NAMESPACE, "", {"metadata": {"labels": {"istio.io/dataplane-mode": "ambient"}}}
    )
    assert fault.cause_removed(world.cluster, injection)


def strict_elsewhere(cluster: Cluster) -> None:
    metadata = {"name": "security-baseline", "namespace": NAMESPACE}
    manifest = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": metadata}
    cluster.apply({**manifest, **WORLDWIDE})


def test_a_workload_outside_the_mesh_is_refused_inside_it() -> None:
    world, fault, injection = broken(50)
    world.advance(900)
    assert rates(world)[("bookinfo-gateway-istio", "productpage-v1")] == 0.6
    assert rates(world)[("bookinfo-gateway-istio", "productpage-v1", "details-v1")] == 0
    strict_elsewhere(world.cluster)
    world.cluster.delete("PeerAuthentication", "mtls-strict", NAMESPACE)
    assert not fault.cause_removed(world.cluster, injection)
    rollout_undo(world.cluster, "productpage-v1", NAMESPACE)
    assert not fault.cause_removed(world.cluster, injection)
    assert wait_until(world.cluster, lambda: fault.cause_removed(world.cluster, injection))
    world.advance(900)
    assert firing(world) == set()


def test_a_policy_without_strict_mode_removes_the_cause_too() -> None:
    world, fault, injection = broken(50)
    patch = {"spec": {"mtls": {"mode": "PERMISSIVE"}}}
    world.cluster.patch("PeerAuthentication", "mtls-strict", NAMESPACE, patch)
    assert fault.cause_removed(world.cluster, injection)


def test_a_denied_method_is_answered_by_the_gateway() -> None:
    world, fault, injection = broken(47)
    world.advance(400)
    paths = Monitoring.of(world).call_paths(world.now - 60, world.now)
    assert [path.path for path in paths] == [("bookinfo-gateway-istio",)]
    assert "RBAC: access denied" in paths[0].sample_error
    for methods, denied in ((["POST"], False), (["GET", "POST"], True), ([], True)):
        rule = {"to": [{"operation": {"methods": methods}}]}
        world.cluster.patch(*POLICY, {"spec": {"rules": [rule]}}, "merge")
        assert fault.cause_removed(world.cluster, injection) is not denied
        world.advance(60)
        served = rates(world, 30).get(("bookinfo-gateway-istio",), 0)
        assert served == (0 if denied else 0.6)
    world.cluster.delete("Gateway", "bookinfo-gateway", NAMESPACE)
    world.cluster.delete(*POLICY)
    assert not fault.cause_removed(world.cluster, injection)
