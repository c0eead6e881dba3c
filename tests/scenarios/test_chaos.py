"""Chaos Schedules as a fault: what removes the cause, what only looks like it, and what an agent can do about it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from harness.cluster import Cluster, Manifest, rollout_restart, wait_until
from harness.environments.simulated.monitoring import Monitoring
from harness.errors import InfrastructureError
from harness.records import Diagnosis, Entity
from harness.scoring.collateral import damage, observe
from harness.scoring.diagnosis import score_diagnosis
from harness.scoring.matcher import root_groups
from harness.tools.toolbox import Toolbox
from scenarios.faults import Fault, Injection, causes_left, fault_of, inject, injected_objects, undo
from scenarios.faults.chaos import ScheduledChaosExperiment
from scenarios.loader import catalogue
from scenarios.schema import Scenario
from tests.scenarios.stages import NAMESPACE, fault_in, healthy_world, scenario

SPACES = (NAMESPACE, "chaos-mesh")
FORCED = {"metadata": {"annotations": {"chaos-mesh.chaos-mesh.org/cleanFinalizer": "forced"}}}
PAUSED = {"metadata": {"annotations": {"experiment.chaos-mesh.org/pause": "true"}}}


def uses_chaos(played: Scenario) -> bool:
    return any(isinstance(fault_of(one), ScheduledChaosExperiment) for one in played.injections())


CHAOS = [one.id for one in catalogue().all() if uses_chaos(one)]


def broken(scenario_id: int) -> tuple[Cluster, Fault, Injection]:
    cluster = healthy_world().cluster
    (injection,) = inject(cluster, scenario(scenario_id))
    return cluster, fault_of(injection), injection


def schedule(cluster: Cluster) -> Manifest:
    (found,) = cluster.list("Schedule", "chaos-mesh")
    return found


def children(cluster: Cluster) -> list[str]:
    kind = schedule(cluster)["spec"]["type"]
    return [child["metadata"]["name"] for child in cluster.list(kind, "chaos-mesh")]


def test_the_schedule_is_that_of_the_fault_index() -> None:
    cluster, _, _ = broken(61)
    spec = schedule(cluster)["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"], spec["historyLimit"]) == ("* * * * *", "Forbid", 1)
    assert spec["networkChaos"]["loss"] == {"correlation": "0", "loss": "100"}
    (child,) = children(cluster)
    assert child.startswith("checkout-payment-network-loss-")


def test_every_chaos_scenario_of_the_index_is_there() -> None:
    assert CHAOS == [17, 18, 19, 21, 22, 25, 26, 27, 29, 35, 41, 54, 55, 61, 62, 80, 81, 83, 91]


@pytest.mark.parametrize("scenario_id", [17, 18, 62, 55])
def test_undo_leaves_nothing_behind(scenario_id: int) -> None:
    cluster = healthy_world().cluster
    before = observe(cluster, SPACES)
    injections = inject(cluster, scenario(scenario_id))
    cluster.wait(200)
    undo(cluster, scenario(scenario_id), injections)
    cluster.wait(600)
    assert causes_left(cluster, injections) == []
    assert damage(cluster, before, ()) == []
    assert observe(cluster, SPACES).objects.keys() == before.objects.keys()
    assert all(not cluster.list(kind) for kind in ("StressChaos", "NetworkChaos", "PodChaos", "IOChaos"))


def test_deleting_only_the_child_is_undone_by_the_schedule() -> None:
    cluster, fault, injection = broken(61)
    (first,) = children(cluster)
    cluster.delete("NetworkChaos", first, "chaos-mesh")
    cluster.wait(5)
    assert children(cluster) == []
    assert not fault.cause_removed(cluster, injection)
    cluster.wait(70)
    assert first not in children(cluster)
    assert children(cluster)


def test_a_paused_schedule_does_not_fire_but_is_still_the_cause() -> None:
    cluster, fault, injection = broken(61)
    cluster.patch("Schedule", "checkout-payment-network-loss", "chaos-mesh", PAUSED)
    cluster.wait(300)
    assert not fault.confirm_active(cluster, injection)
    assert not fault.cause_removed(cluster, injection)


def test_the_same_experiment_under_another_name_is_still_the_cause() -> None:
    cluster, fault, injection = broken(17)
    copy = schedule(cluster)
    cluster.delete("Schedule", "product-catalog-network-delay", "chaos-mesh")
    cluster.apply({**copy, "metadata": {"name": "nightly", "namespace": "chaos-mesh"}})
    cluster.wait(30)
    assert not fault.cause_removed(cluster, injection)


def test_the_cause_is_not_gone_while_the_pods_are() -> None:
    cluster, fault, injection = broken(17)
    cluster.patch("Deployment", "product-catalog", NAMESPACE, {"spec": {"replicas": 0}})
    cluster.delete("Schedule", "product-catalog-network-delay", "chaos-mesh")
    cluster.wait(60)
    assert not fault.cause_removed(cluster, injection)
    cluster.patch("Deployment", "product-catalog", NAMESPACE, {"spec": {"replicas": 1}})
    assert wait_until(cluster, lambda: fault.cause_removed(cluster, injection))


def test_a_restart_escapes_an_experiment_that_never_ends_but_not_the_verdict() -> None:
    cluster, fault, injection = broken(18)
    rollout_restart(cluster, "Deployment", "checkout", NAMESPACE)
    cluster.wait(120)
    (pod,) = cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "checkout"})
    assert "checkout" in pod["spec"]["containers"][0]["image"]
    assert not fault.cause_removed(cluster, injection)


def test_an_experiment_in_a_crash_looping_container_hangs_until_it_is_forced() -> None:
    cluster, fault, injection = broken(21)
    cluster.wait(900)
    cluster.delete("Schedule", "valkey-memory-stress", "chaos-mesh")
    cluster.wait(10)
    hanging = cluster.list("StressChaos", "chaos-mesh")
    assert [one["metadata"].get("deletionTimestamp") is not None for one in hanging] == [True]
    assert not fault.cause_removed(cluster, injection)
    cluster.patch("StressChaos", hanging[0]["metadata"]["name"], "chaos-mesh", FORCED)
    assert cluster.list("StressChaos", "chaos-mesh") == []


def test_a_fault_refuses_a_selector_that_matches_nothing() -> None:
    cluster = healthy_world().cluster
    cluster.delete("Deployment", "product-catalog", NAMESPACE)
    cluster.wait(60)
    with pytest.raises(InfrastructureError, match="matches no pod"):
        fault_in(17).inject(cluster)


@pytest.mark.parametrize("scenario_id", CHAOS)
@pytest.mark.parametrize("name_of", ["schedule", "child"])
def test_naming_the_schedule_or_its_child_finds_the_root(scenario_id: int, name_of: str) -> None:
    played = scenario(scenario_id)
    names = []
    for planned in played.injections():
        fault = fault_of(planned)
        if isinstance(fault, ScheduledChaosExperiment) and name_of == "child":
            names.append(f"chaos-mesh/{fault.kind}/{fault.target.name}-bcd2f")
        else:
            names.append(str(fault.objects()[0]))
    entities = tuple(Entity(name=name, contributing_factor=True) for name in names)
    truth = played.scored_ground_truth()
    roots = root_groups(truth.groups, truth.aliases)
    score = score_diagnosis(Diagnosis(entities=entities), roots, injected_objects(played))
    assert (score.recall, score.precision) == (1.0, 1.0)


def ask(tools: Toolbox, tool: str, /, **args: Any) -> Any:
    answer = tools.call(tool, args)
    assert answer.ok, answer.text
    return json.loads(answer.text)


def test_an_agent_can_see_and_remove_an_experiment() -> None:
    world = healthy_world()
    inject(world.cluster, scenario(61))
    tools = Toolbox(world.cluster, Monitoring.of(world), SPACES)
    (row,) = ask(tools, "kubectl_get", kind="schedules", namespace="chaos-mesh")["data"]
    assert row["type"] == "NetworkChaos"
    (child,) = ask(tools, "kubectl_get", kind="networkchaos", namespace="chaos-mesh")["data"]
    assert "AllInjected" in child["conditions"]
    told = ask(tools, "kubectl_describe", kind="NetworkChaos", name=child["name"], namespace="chaos-mesh")
    assert told["owners"] == ["Schedule/checkout-payment-network-loss"]
    assert any("Successfully apply chaos" in event["message"] for event in told["events"])
    ask(tools, "delete_object", kind="Schedule", name=row["name"], namespace="chaos-mesh")
    assert ask(tools, "kubectl_get", kind="NetworkChaos", namespace="chaos-mesh")["data"] == []


def test_a_schedule_that_fires_every_minute_costs_next_to_nothing() -> None:
    world = healthy_world()
    inject(world.cluster, scenario(61))
    world.advance(180)
    begun = time.process_time()
    world.advance(45 * 60)
    assert time.process_time() - begun < 0.25
