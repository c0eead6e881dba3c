"""Each fault on the simulated cluster: it breaks what it says, can be undone, and knows when its cause is gone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness.cluster import Cluster, Manifest, ObjectRef, rollout_restart, rollout_undo, scale, wait_until
from harness.errors import InfrastructureError
from harness.scoring.collateral import damage, observe
from scenarios.faults import FAULTS, Injection, await_active, causes_left, fault_of, inject, undo
from scenarios.faults.base import Fault
from scenarios.faults.feature_flags import FLAGS_KEY
from tests.scenarios.stages import NAMESPACE, fault_in, healthy_world, patch_pods, scenario, workload

ONE_PER_FAULT = (2, 16, 20, 23, 30, 31, 33, 34, 39, 40, 42, 43, 44, 45, 46, 49, 51, 58, 59, 102, 105, 114)
IN_WORKLOADS = (16, 20, 23, 33, 34, 40, 42, 43, 44, 45, 46, 49, 59, 105)
AIMED_AT = {31: ("Deployment", "frontend"), 51: ("Namespace", NAMESPACE)}
"""What a fault needs that brings its objects along."""


def broken(scenario_id: int) -> tuple[Cluster, Fault, Injection]:
    """A cluster with the scenario's (first) fault confirmed active."""
    cluster = healthy_world().cluster
    injections = inject(cluster, scenario(scenario_id))
    await_active(cluster, injections)
    return cluster, fault_of(injections[0]), injections[0]


def node(manifest: Manifest) -> ObjectRef:
    return ObjectRef("Node", manifest["metadata"]["name"])


def removed_in_time(cluster: Cluster, injection: Injection) -> bool:
    return wait_until(cluster, lambda: not causes_left(cluster, [injection]), timeout=600)


def set_flag(cluster: Cluster, flag: str, variant: str) -> None:
    config_map = cluster.get("ConfigMap", "flagd-config", NAMESPACE)
    document = json.loads(config_map["data"][FLAGS_KEY])
    document["flags"][flag]["defaultVariant"] = variant
    cluster.patch("ConfigMap", "flagd-config", NAMESPACE, {"data": {FLAGS_KEY: json.dumps(document)}})


# --- what holds for every fault


@pytest.mark.parametrize("scenario_id", ONE_PER_FAULT)
def test_an_injected_fault_is_active_and_its_cause_stands(scenario_id: int) -> None:
    cluster, fault, injection = broken(scenario_id)
    assert fault.confirm_active(cluster, injection)
    assert not fault.cause_removed(cluster, injection)
    cluster.wait(1800)
    assert fault.confirm_active(cluster, injection)
    assert not fault.cause_removed(cluster, injection)


@pytest.mark.parametrize("scenario_id", ONE_PER_FAULT)
def test_undo_restores_every_object(scenario_id: int) -> None:
    cluster = healthy_world().cluster
    before = observe(cluster, [NAMESPACE])
    injections = inject(cluster, scenario(scenario_id))
    await_active(cluster, injections)
    undo(cluster, scenario(scenario_id), injections)
    cluster.wait(600)
    assert damage(cluster, before, ()) == []
    assert observe(cluster, [NAMESPACE]).objects.keys() == before.objects.keys()
    assert causes_left(cluster, injections) == []


@pytest.mark.parametrize("scenario_id", [12, 14])
def test_undo_restores_an_object_that_two_injections_changed(scenario_id: int) -> None:
    cluster = healthy_world().cluster
    before = cluster.get("ConfigMap", "flagd-config", NAMESPACE)["data"]
    undo(cluster, scenario(scenario_id), inject(cluster, scenario(scenario_id)))
    assert cluster.get("ConfigMap", "flagd-config", NAMESPACE)["data"] == before


@pytest.mark.parametrize("scenario_id", ONE_PER_FAULT)
def test_a_record_survives_json_and_names_what_was_touched(scenario_id: int) -> None:
    cluster, fault, injection = broken(scenario_id)
    copy = Injection.model_validate_json(injection.model_dump_json())
    assert copy == injection
    assert fault_of(copy) == fault
    assert {*copy.touched, *copy.created} - set(fault.objects()) <= {*map(node, cluster.list("Node"))}
    assert {*copy.touched, *copy.created} >= set(fault.objects())


@pytest.mark.parametrize("scenario_id", [one for one in ONE_PER_FAULT if one != 51])
def test_deleting_what_is_broken_does_not_remove_the_cause(scenario_id: int) -> None:
    cluster, fault, injection = broken(scenario_id)
    for target in injection.touched or (workload("frontend"),):
        if (target.kind != "Service" or scenario_id != 114) and target.kind != "Node":
            cluster.delete(*target)
    cluster.wait(120)
    assert not fault.cause_removed(cluster, injection)


@pytest.mark.parametrize("scenario_id", IN_WORKLOADS)
def test_scaling_to_zero_does_not_remove_the_cause(scenario_id: int) -> None:
    cluster, fault, injection = broken(scenario_id)
    scale(cluster, *fault.objects()[0], replicas=0)
    cluster.wait(120)
    assert not fault.cause_removed(cluster, injection)
    rollout_undo(cluster, fault.objects()[0].name, NAMESPACE)
    cluster.wait(120)
    assert not fault.cause_removed(cluster, injection)


@pytest.mark.parametrize("scenario_id", IN_WORKLOADS)
def test_a_roll_back_removes_the_cause(scenario_id: int) -> None:
    cluster, fault, injection = broken(scenario_id)
    rollout_undo(cluster, fault.objects()[0].name, NAMESPACE)
    assert removed_in_time(cluster, injection)


@pytest.mark.parametrize("scenario_id", ONE_PER_FAULT)
def test_a_fault_refuses_an_application_that_is_not_deployed(scenario_id: int) -> None:
    cluster = healthy_world().cluster
    fault = fault_in(scenario_id)
    kind, name = AIMED_AT.get(scenario_id, fault.objects()[0][:2])
    cluster.delete(kind, name, "" if kind == "Namespace" else NAMESPACE)
    cluster.wait(60)
    with pytest.raises(InfrastructureError, match="not found") as caught:
        fault.inject(cluster)
    assert caught.value.cause == "infra_inject_failed"


# --- what single faults do and accept


def pod_spec(cluster: Cluster, name: str) -> Manifest:
    spec: Manifest = cluster.get("Deployment", name, NAMESPACE)["spec"]["template"]["spec"]
    return spec


def container(cluster: Cluster, name: str) -> Manifest:
    found: Manifest = pod_spec(cluster, name)["containers"][0]
    return found


def test_mutations_are_those_of_the_fault_index() -> None:
    tiny = {"cpu": "5m", "memory": "5Mi"}
    assert container(broken(46)[0], "postgresql")["resources"] == {"limits": tiny, "requests": tiny}
    assert container(broken(105)[0], "product-catalog")["command"] == ["invalid-command"]
    assert (
        container(broken(20)[0], "product-catalog")["image"] == "quay.io/it-bench/hello-bench-invalid:1.0.0"
    )
    assert {"name": "QUOTE_ADDR", "value": "quote:0000"} in container(broken(16)[0], "shipping")["env"]
    (init,) = pod_spec(broken(45)[0], "email")["initContainers"]
    assert init["name"] == "worker"
    ports = broken(30)[0].get("Service", "ad", NAMESPACE)["spec"]["ports"]
    assert [port["targetPort"] for port in ports] == [9999]


def test_a_foreign_image_is_pinned_to_a_worker() -> None:
    cluster = broken(23)[0]
    assert container(cluster, "checkout")["image"] == "quay.io/it-bench/hello-bench-arm64:2.0.0"
    selector = pod_spec(cluster, "checkout")["nodeSelector"]
    labels = [node["metadata"]["labels"] for node in cluster.list("Node")]
    workers = [one for one in labels if "node-role.kubernetes.io/control-plane" not in one]
    assert selector in [{"kubernetes.io/hostname": one["kubernetes.io/hostname"]} for one in workers]


def test_a_fixed_template_is_not_enough_before_the_roll_out_is_complete() -> None:
    cluster, fault, injection = broken(16)
    variable = {"name": "QUOTE_ADDR", "value": "http://quote:8080"}
    patch_pods(cluster, "shipping", {"containers": [{"name": "shipping", "env": [variable]}]})
    assert not fault.cause_removed(cluster, injection)
    assert removed_in_time(cluster, injection)


@pytest.mark.parametrize(
    ("scenario_id", "name", "wrong"),
    [
        (20, "product-catalog", {"image": "ghcr.io/open-telemetry/demo:2.2.0-checkout"}),
        (46, "postgresql", {"resources": {"limits": {"cpu": None, "memory": "9Mi"}, "requests": None}}),
        (46, "postgresql", {"resources": {"limits": {"memory": "256Mi"}, "requests": None}}),
        (16, "shipping", {"env": [{"name": "QUOTE_ADDR", "value": "http://quote:8081"}]}),
        (16, "shipping", {"env": [{"name": "QUOTE_ADDR", "$patch": "delete"}]}),
    ],
)
def test_a_wrong_value_in_place_of_the_bad_one_does_not_remove_the_cause(
    scenario_id: int, name: str, wrong: dict[str, object]
) -> None:
    cluster, _, injection = broken(scenario_id)
    patch_pods(cluster, name, {"containers": [{"name": name, **wrong}]})
    assert not removed_in_time(cluster, injection)


def test_a_flag_needs_flagd_to_start_after_it_was_turned_off() -> None:
    cluster, fault, injection = broken(2)
    set_flag(cluster, "cartFailure", "off")
    cluster.wait(60)
    assert not fault.cause_removed(cluster, injection)
    rollout_restart(cluster, *workload("flagd"))
    assert not fault.cause_removed(cluster, injection)
    assert removed_in_time(cluster, injection)


def test_restarting_flagd_before_the_flag_is_off_does_not_count() -> None:
    cluster, _, injection = broken(2)
    rollout_restart(cluster, *workload("flagd"))
    cluster.wait(120)
    set_flag(cluster, "cartFailure", "off")
    assert not removed_in_time(cluster, injection)


@pytest.mark.parametrize("act", [
    lambda cluster: cluster.delete(*workload("flagd")),
    lambda cluster: scale(cluster, *workload("flagd"), replicas=0),
])  # fmt: skip
def test_a_flag_is_not_off_because_flagd_is_gone(act: Callable[[Cluster], object]) -> None:
    cluster, _, injection = broken(2)
    act(cluster)
    set_flag(cluster, "cartFailure", "off")
    assert not removed_in_time(cluster, injection)


def test_one_of_two_flags_is_not_enough() -> None:
    cluster = healthy_world().cluster
    injections = inject(cluster, scenario(13))
    await_active(cluster, injections)
    set_flag(cluster, "paymentFailure", "off")
    rollout_restart(cluster, *workload("flagd"))
    cluster.wait(300)
    assert causes_left(cluster, injections) == [injections[1]]


def test_without_the_daemon_set_the_anti_affinity_harms_nobody() -> None:
    cluster, _, injection = broken(44)
    cluster.delete("DaemonSet", "application-operator", NAMESPACE)
    assert removed_in_time(cluster, injection)


def test_an_init_container_may_stay_if_it_ends() -> None:
    cluster, _, injection = broken(45)
    patch_pods(
        cluster, "email", {"initContainers": [{"name": "worker", "command": ["/bin/sh", "-c", "true"]}]}
    )
    assert removed_in_time(cluster, injection)


@pytest.mark.parametrize("spec", [
    {"selector": {"app.kubernetes.io/component": "checkout"}},
    {"ports": [{"name": "tcp-service", "port": 8080, "targetPort": 8081}]},
    {"ports": [{"name": "tcp-service", "port": 80, "targetPort": 8080}]},
])  # fmt: skip
def test_a_recreated_service_must_be_the_same(spec: dict[str, object]) -> None:
    cluster, fault, injection = broken(114)
    service = injection.original(ObjectRef("Service", "product-catalog", NAMESPACE))
    cluster.apply({**service, "spec": {**service["spec"], **spec}})
    assert not removed_in_time(cluster, injection)
    cluster.apply(service)
    assert fault.cause_removed(cluster, injection)


def test_a_service_without_endpoints_is_not_repaired() -> None:
    cluster, fault, injection = broken(30)
    scale(cluster, *workload("ad"), replicas=0)
    cluster.patch("Service", "ad", NAMESPACE, {"spec": {"ports": [{"port": 8080, "targetPort": 8080}]}})
    cluster.wait(60)
    assert not fault.cause_removed(cluster, injection)


@pytest.mark.parametrize(
    ("scenario_id", "change", "says"),
    [
        (16, {"container": {"name": "sidecar", "env": {"name": "QUOTE_ADDR", "value": "x"}}}, "it has shipping"),
        (16, {"container": {"name": "shipping", "env": {"name": "QUOTE", "value": "x"}}}, "variable 'QUOTE'"),
        (2, {"flag": {"name": "cartFailed", "state": "on"}}, "cartFailure"),
        (2, {"flag": {"name": "cartFailure", "state": "100%"}}, "on"),
        (30, {"targetPort": 8081}, "it has 8080"),
    ],
)  # fmt: skip
def test_a_fault_that_does_not_fit_says_why(scenario_id: int, change: dict[str, object], says: str) -> None:
    planned = next(scenario(scenario_id).injections())
    fault = FAULTS[planned.fault].model_validate({**planned.args, **change})
    with pytest.raises(InfrastructureError, match=says):
        fault.inject(healthy_world().cluster)
