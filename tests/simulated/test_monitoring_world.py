"""Monitoring of a whole world: which alerts incidents cause, and that they clear."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from functools import lru_cache

import pytest

from harness.cluster import Cluster, Manifest, ObjectRef, rollout_restart, rollout_undo, wait_rolled_out
from harness.environments.simulated.application_runtime import ApplicationRuntime, run_command
from harness.environments.simulated.checkpoint import Checkpoint
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.simulated.world import World
from scenarios.applications import load_application

NS = "otel-demo"
Key = tuple[str, str]
Change = Callable[[Cluster], None]


@lru_cache(maxsize=4)
def healthy(browser: bool = False) -> Checkpoint:
    application = load_application("otel-demo")
    monitoring = Monitoring(application, seed=5)
    world = World(5, monitoring.runtime)
    monitoring.attach(world)
    world.deploy(application.manifests({"loadGeneration": {"browserTraffic": browser}}))
    world.advance(300)
    return world.checkpoint()


def shop(browser: bool = False) -> tuple[World, Monitoring]:
    world = healthy(browser).restore()
    return world, Monitoring.of(world)


def firing(monitoring: Monitoring) -> set[Key]:
    background = {"Watchdog", "TargetDown", "NodeCPUHighUsage", "NodeSystemSaturation", "CPUThrottlingHigh"}
    background.add("KubeAPIErrorBudgetBurn")
    return {a.key for a in monitoring.alerts() if a.state == "firing" and a.name not in background}


def services(monitoring: Monitoring, alert: str) -> set[str]:
    return {entity for name, entity in firing(monitoring) if name == alert}


def restart(cluster: Cluster, *workloads: str) -> None:
    for name in workloads:
        rollout_restart(cluster, "Deployment", name, NS)
        assert wait_rolled_out(cluster, ObjectRef("Deployment", name, NS))


def set_flag(cluster: Cluster, name: str, state: str) -> None:
    document = json.loads(cluster.get("ConfigMap", "flagd-config", NS)["data"]["demo.flagd.json"])
    document["flags"][name]["defaultVariant"] = state
    cluster.patch("ConfigMap", "flagd-config", NS, {"data": {"demo.flagd.json": json.dumps(document)}})


def flag(name: str, state: str, workload: str) -> tuple[Change, Change]:
    def inject(cluster: Cluster) -> None:
        set_flag(cluster, name, state)
        restart(cluster, "flagd", workload)

    def undo(cluster: Cluster) -> None:
        set_flag(cluster, name, "off")
        for deployment in cluster.list("Deployment", NS):
            rollout_restart(cluster, "Deployment", deployment["metadata"]["name"], NS)

    return inject, undo


def container(workload: str, change: Manifest) -> tuple[Change, Change]:
    def inject(cluster: Cluster) -> None:
        spec = {"containers": [{"name": workload, **change}]}
        cluster.patch("Deployment", workload, NS, {"spec": {"template": {"spec": spec}}})

    return inject, lambda cluster: rollout_undo(cluster, workload, NS) and None


def hanging_init(cluster: Cluster) -> None:
    worker = {"name": "worker", "image": "busybox:latest", "command": ["sleep", "infinity"]}
    spec = {"template": {"spec": {"initContainers": [worker]}}}
    cluster.patch("Deployment", "email", NS, {"spec": spec})


USERS = {"frontend", "frontend-proxy"}
BAD_IMAGE = "quay.io/it-bench/hello-bench-invalid:1.0.0"
TINY = {"limits": {"cpu": "5m", "memory": "5Mi"}, "requests": {"cpu": "5m", "memory": "5Mi"}}
INCIDENTS: dict[str, tuple[tuple[Change, Change], dict[str, set[str]], set[str]]] = {
    "cart flag": (
        flag("cartFailure", "on", "cart"),
        {"HighRequestErrorRate": {"cart", "checkout"} | USERS},
        set(),
    ),
    "busy ad": (
        flag("adHighCpu", "on", "ad"),
        {"HighRequestErrorRate": USERS, "HighRequestLatency": {"ad"} | USERS},
        set(),
    ),
    "payment flag": (
        flag("paymentFailure", "100%", "payment"),
        {
            "HighRequestErrorRate": {"payment", "checkout"} | USERS,
            "NoRequestsReceived": {"accounting", "email", "fraud-detection"},
            "NoDatabaseOperations": {"accounting"},
        },
        set(),
    ),
    "queue": (
        flag("kafkaQueueProblems", "on", "kafka"),
        {"HighRequestErrorRate": {"accounting"}, "HighKafkaConsumerLag": {"fraud-detection"}},
        set(),
    ),
    "slow images": (flag("imageSlowLoad", "10sec", "frontend"), {"HighRequestLatency": USERS}, set()),
    "bad image": (
        container("product-catalog", {"image": BAD_IMAGE}),
        {},
        {"KubePodNotReady", "KubeContainerWaiting"},
    ),
    "hanging init": (
        (hanging_init, lambda cluster: rollout_undo(cluster, "email", NS) and None),
        {},
        {"KubePodNotReady", "KubeContainerWaiting"},
    ),
    "bad command": (container("product-catalog", {"command": ["invalid-command"]}), {}, {"KubePodCrashLooping"}),
    "kafka address": (
        container("checkout", {"env": [{"name": "KAFKA_ADDR", "value": "kafka:9999"}]}),
        {
            "HighRequestErrorRate": USERS,
            "NoRequestsReceived": {
                "accounting", "checkout", "currency", "email", "fraud-detection", "payment", "quote", "shipping",
            },
            "NoDatabaseOperations": {"accounting"},
        },
        {"KubePodCrashLooping"},
    ),
    "tiny database": (
        container("postgresql", {"resources": TINY}),
        {
            "HighRequestErrorRate": {"product-catalog", "checkout", "recommendation", "product-reviews"} | USERS,
            "NoRequestsReceived": {
                "product-catalog", "payment", "shipping", "email", "currency", "accounting", "fraud-detection",
                "quote",
            },
            "NoDatabaseOperations": {"accounting"},
        },
        {"KubePodCrashLooping"},
    ),
}  # fmt: skip


def test_a_deployed_shop_is_healthy_within_five_minutes_and_stays_so() -> None:
    world, monitoring = shop()
    pods = world.store.list("Pod", NS)
    assert len(pods) == len(load_application("otel-demo").workloads)
    assert all(
        any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"]["conditions"]) for p in pods
    )
    assert firing(monitoring) == set()
    for _ in range(30):
        world.advance(60)
        assert firing(monitoring) == set()


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_fires_its_alerts_and_they_clear_after_the_remedy(name: str) -> None:
    (inject, undo), by_service, by_pod = INCIDENTS[name]
    world, monitoring = shop(browser=name == "slow images")
    inject(world.cluster)
    world.advance(120)
    assert firing(monitoring) == set()
    world.advance(780)
    found = {alert for alert, _ in firing(monitoring)}
    assert found == by_service.keys() | by_pod
    for alert, entities in by_service.items():
        assert services(monitoring, alert) == entities
    undo(world.cluster)
    world.advance(900)
    assert firing(monitoring) == set()


def test_restarting_everything_does_not_clear_a_flag() -> None:
    world, monitoring = shop()
    flag("adFailure", "on", "ad")[0](world.cluster)
    world.advance(600)
    before = firing(monitoring)
    for deployment in world.cluster.list("Deployment", NS):
        rollout_restart(world.cluster, "Deployment", deployment["metadata"]["name"], NS)
    world.advance(900)
    assert ("HighRequestErrorRate", "ad") in before & firing(monitoring)


def test_a_deleted_workload_has_no_series_that_could_be_zero() -> None:
    world, monitoring = shop()
    world.cluster.patch("Deployment", "quote", NS, {"spec": {"replicas": 0}})
    world.advance(900)
    assert ("NoRequestsReceived", "quote") in firing(monitoring)
    world.cluster.delete("Deployment", "quote", NS)
    world.advance(60)
    assert ("NoRequestsReceived", "quote") not in firing(monitoring)
    assert ("HighRequestErrorRate", "shipping") in firing(monitoring)


def test_pending_alerts_name_when_their_expression_began_to_hold() -> None:
    world, monitoring = shop()
    began = world.now
    world.cluster.delete("Service", "ad", NS)
    world.advance(60)
    (alert,) = [a for a in monitoring.alerts() if a.key == ("HighRequestErrorRate", "frontend")]
    assert (alert.state, alert.active_at) == ("pending", began)
    assert alert.labels["severity"] == "critical"
    world.advance(120)
    assert ("HighRequestErrorRate", "frontend") in firing(monitoring)
    minutes = [t for t, a in monitoring.alert_history(began) if a.key == ("HighRequestErrorRate", "frontend")]
    assert len(minutes) in (0, 1)
    world.advance(600)
    minutes = [t for t, a in monitoring.alert_history(began) if a.key == ("HighRequestErrorRate", "frontend")]
    assert len(minutes) in (10, 11)
    assert all(time % 60 == 0 and time >= began + 180 for time in minutes)


def test_logs_metrics_and_paths_show_the_same_failure() -> None:
    world, monitoring = shop()
    began = world.now
    world.cluster.delete("Service", "ad", NS)
    world.advance(600)
    records = monitoring.logs("frontend", start=began, contains="failed to get ads")
    assert records
    assert all("no such host" in record.body and record.severity == "ERROR" for record in records)
    assert records == sorted(records, key=lambda record: record.time)
    assert len(monitoring.logs(limit=7)) == 7
    (rate,) = monitoring.metrics("frontend", ["error_rate"])
    assert {value for time, value in rate.points if began - 200 < time < began} == {0.0}
    assert all(value > 0.2 for time, value in rate.points if time > began)
    (path,) = [p for p in monitoring.call_paths(began) if p.path[-1] == "ad"]
    assert path.errors == path.count > 100
    assert "no such host" in path.sample_error
    assert monitoring.call_paths(end=began) != monitoring.call_paths(began)


def test_pods_have_metrics_and_observations_show_what_changed() -> None:
    world, monitoring = shop()
    began = world.now
    pod = next(
        p["metadata"]["name"] for p in world.store.list("Pod", NS) if p["metadata"]["name"].startswith("ad-")
    )
    world.advance(300)
    cpu, memory = monitoring.metrics(
        pod, ["container_cpu_usage_millicores", "container_memory_working_set_bytes"]
    )
    assert all(0 < value <= 150 for _, value in cpu.points[2:])
    assert 150 * 2**20 < memory.points[-1][1] < 512 * 2**20
    assert "kafka_consumer_group_lag" in monitoring.metric_names("fraud-detection")
    assert monitoring.metric_names("nobody") == ()
    set_flag(world.cluster, "adFailure", "on")
    versions = monitoring.observations("ConfigMap", "flagd-config", NS)
    assert [version.time >= began for version in versions] == [False, True]
    assert versions[0].manifest["data"] != versions[1].manifest["data"]


def test_the_topology_has_the_edges_that_the_architecture_file_lacks() -> None:
    topology = shop()[1].topology()
    assert {("frontend-proxy", "frontend"), ("payment", "flagd"), ("accounting", "kafka")} <= set(
        topology.calls
    )


def test_a_restored_world_goes_on_as_the_original_would() -> None:
    world, monitoring = shop()
    flag("paymentFailure", "100%", "payment")[0](world.cluster)
    copy, copied = pickle.loads(pickle.dumps((world, monitoring)))
    for each in (world, copy):
        each.advance(700)
    assert monitoring.alerts() == copied.alerts()
    assert monitoring.logs("payment") == copied.logs("payment")
    assert monitoring.alert_history() == copied.alert_history()


# --- the runtime


@pytest.fixture
def runtime() -> ApplicationRuntime:
    return ApplicationRuntime(load_application("otel-demo"), seed=1)


def test_images_exist_for_their_architecture_only(runtime: ApplicationRuntime) -> None:
    assert runtime.image_exists("postgres:17.6") is True
    assert "not found" in str(runtime.image_exists(BAD_IMAGE))
    assert "no match for platform in manifest" in str(
        runtime.image_exists("quay.io/it-bench/hello-bench-arm64:2.0.0")
    )


@pytest.mark.parametrize(
    ("words", "outcome", "code"),
    [
        (["invalid-command"], "start_error", 128),
        (["sleep", "infinity"], "runs", 0),
        (["sh", "-c", "sleep infinity"], "runs", 0),
        (["sleep", "5"], "exits", 0),
        (["false"], "exits", 1),
    ],
)
def test_what_a_command_does(words: list[str], outcome: str, code: int) -> None:
    process = run_command(words)
    assert (process.outcome, process.exit_code) == (outcome, code)


def test_a_probe_on_a_port_where_nobody_listens_fails(runtime: ApplicationRuntime) -> None:
    world, _ = shop()
    (pod,) = world.cluster.list("Pod", NS, {"app.kubernetes.io/component": "ad"})
    main = pod["spec"]["containers"][0]
    for port, passes in ((8080, True), ("tcp-service", True), (40, False)):
        probed = {**pod, "spec": {"containers": [{**main, "readinessProbe": {"httpGet": {"port": port}}}]}}
        assert runtime.pod_ready(probed, world.store, world.now) is passes


def test_crashed_programs_say_why() -> None:
    world, monitoring = shop()
    container("checkout", {"env": [{"name": "KAFKA_ADDR", "value": "kafka:9999"}]})[0](world.cluster)
    world.advance(120)
    records = [r for r in monitoring.logs("checkout") if r.severity == "FATAL"]
    assert records
    assert "dial tcp kafka:9999: connect: connection refused" in records[0].body
