"""What users experience follows from the objects."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from harness.cluster import Manifest
from harness.environments.simulated.addresses import parse_address
from harness.environments.simulated.application_runtime import ApplicationRuntime
from harness.environments.simulated.flow import Flow, flow_of
from harness.environments.simulated.store import ObjectStore
from scenarios.applications import load_application
from tests.simulated.monitoring_fakes import deployed, refresh_endpoints, replace_pod

APPLICATION = load_application("otel-demo")
BROWSER = {"loadGeneration": {"browserTraffic": True}}


class Shop:
    """A deployed shop whose objects a test changes."""

    def __init__(self, options: dict[str, object] | None = None) -> None:
        self.runtime = ApplicationRuntime(APPLICATION, seed=3)
        self.store: ObjectStore = deployed(APPLICATION, options, self.runtime)

    def object(self, kind: str, name: str) -> Manifest:
        found = self.store.get(kind, name, "otel-demo")
        assert found is not None
        return deepcopy(found)

    def set_flag(self, name: str, state: str) -> None:
        config = self.object("ConfigMap", "flagd-config")
        document = json.loads(config["data"]["demo.flagd.json"])
        document["flags"][name]["defaultVariant"] = state
        config["data"]["demo.flagd.json"] = json.dumps(document)
        self.store.put(config)

    def restart(self, *workloads: str) -> None:
        for workload in workloads:
            replace_pod(self.store, workload, self.runtime)

    def set_env(self, workload: str, name: str, value: str) -> None:
        deployment = self.object("Deployment", workload)
        env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        next(entry for entry in env if entry["name"] == name)["value"] = value
        self.store.put(deployment)
        self.restart(workload)

    @property
    def flow(self) -> Flow:
        view = self.runtime.view
        return flow_of(APPLICATION, view.signature(self.store, view.pods(self.store)))

    def failing(self) -> set[str]:
        services = self.flow.services
        return {n for n, s in services.items() if s.error_spans > 1e-3 and APPLICATION.workloads[n].traced}

    def idle(self) -> set[str]:
        services = self.flow.services
        return {n for n, s in services.items() if s.ok_spans < 1e-3 and APPLICATION.workloads[n].traced} - {
            "image-provider"
        }

    def slow(self) -> set[str]:
        return {n for n, s in self.flow.services.items() if s.slow_share(1500) > 0.05} - {"load-generator"}


USERS = {"frontend", "frontend-proxy"}
AFTER_PAYMENT = {"accounting", "email", "fraud-detection"}


def test_a_healthy_shop_fails_nobody() -> None:
    shop = Shop()
    assert shop.failing() == set()
    assert shop.idle() == set()
    assert shop.slow() == set()
    assert shop.flow.services["frontend"].percentile(0.95) < 200


@pytest.mark.parametrize(
    ("flag", "state", "restarted", "failing", "idle"),
    [
        ("cartFailure", "on", "cart", {"cart", "checkout"} | USERS, set()),
        ("productCatalogFailure", "on", "product-catalog", {"product-catalog", "checkout"} | USERS, set()),
        ("adFailure", "on", "ad", {"ad"} | USERS, set()),
        ("adHighCpu", "on", "ad", USERS, set()),
        ("adManualGc", "on", "ad", USERS, set()),
        ("paymentFailure", "100%", "payment", {"payment", "checkout"} | USERS, AFTER_PAYMENT),
        ("paymentFailure", "25%", "payment", {"payment", "checkout"} | USERS, set()),
        ("paymentUnreachable", "on", "payment", {"checkout"} | USERS, AFTER_PAYMENT | {"payment"}),
        ("kafkaQueueProblems", "on", "kafka", {"accounting"}, set()),
    ],
)
def test_a_flag_does_what_the_demo_does(
    flag: str, state: str, restarted: str, failing: set[str], idle: set[str]
) -> None:
    shop = Shop()
    shop.set_flag(flag, state)
    shop.restart("flagd", restarted)
    assert shop.failing() == failing
    assert shop.idle() == idle


def test_a_flag_needs_both_restarts() -> None:
    shop = Shop()
    shop.set_flag("cartFailure", "on")
    assert shop.failing() == set()
    shop.restart("cart")
    assert shop.failing() == set()
    shop.restart("flagd")
    assert shop.failing() == set()
    shop.restart("cart")
    assert "cart" in shop.failing()


def test_a_saturated_processor_makes_ads_slow_until_it_gets_more() -> None:
    shop = Shop()
    shop.set_flag("adHighCpu", "on")
    shop.restart("flagd", "ad")
    assert shop.slow() == {"ad"} | USERS
    deployment = shop.object("Deployment", "ad")
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "2"
    shop.store.put(deployment)
    shop.restart("ad")
    assert shop.slow() == set()


def test_slow_images_need_browsers() -> None:
    for options, slow in ((None, set()), (BROWSER, USERS)):
        shop = Shop(options)
        shop.set_flag("imageSlowLoad", "10sec")
        shop.restart("flagd", "frontend")
        assert shop.slow() == slow


def test_a_port_where_nobody_listens_refuses_and_the_callee_sees_nothing() -> None:
    shop = Shop()
    service = shop.object("Service", "ad")
    service["spec"]["ports"][0]["targetPort"] = 9999
    shop.store.put(service)
    refresh_endpoints(shop.store)
    assert shop.failing() == USERS
    assert shop.idle() == {"ad"}
    (edge,) = [edge for edge in shop.flow.edges if edge.callee == "ad/GetAds"]
    assert edge.message == "failed to get ads: Unavailable: dial tcp ad:8080: connect: connection refused"


def test_a_deleted_service_cannot_be_resolved() -> None:
    shop = Shop()
    shop.store.remove("Service", "product-catalog", "otel-demo")
    assert shop.failing() == {"checkout", "recommendation"} | USERS
    assert {"product-catalog", "payment", "shipping", "quote"} <= shop.idle()
    assert any("no such host" in edge.message for edge in shop.flow.edges if edge.caller == "recommendation")


def test_a_service_without_endpoints_is_unavailable() -> None:
    shop = Shop()
    for pod in shop.store.list("Pod", "otel-demo", {"app.kubernetes.io/component": "email"}):
        shop.store.remove("Pod", pod["metadata"]["name"], "otel-demo")
    refresh_endpoints(shop.store)
    assert shop.failing() == {"checkout"}
    assert shop.idle() == {"email"}


def test_a_wrong_dependency_address_fails_its_user_and_starves_the_rest() -> None:
    shop = Shop()
    shop.set_env("shipping", "QUOTE_ADDR", "quote:0000")
    assert shop.failing() == {"shipping", "checkout"} | USERS
    assert shop.idle() == {"quote", "payment"} | AFTER_PAYMENT


def test_an_overloaded_queue_leaves_its_slow_consumer_behind() -> None:
    shop = Shop()
    shop.set_flag("kafkaQueueProblems", "on")
    shop.restart("flagd")
    consumer = shop.flow.consumers["fraud-detection"]
    assert consumer.produced > 10 * consumer.capacity
    assert shop.flow.consumers["accounting"].capacity > consumer.produced


def test_paths_end_where_requests_fail() -> None:
    shop = Shop()
    shop.set_env("shipping", "QUOTE_ADDR", "quote:0000")
    broken = [path for path in shop.flow.paths if path.errors]
    deepest = max(broken, key=lambda path: len(path.path))
    assert deepest.path == ("frontend-proxy", "frontend", "checkout", "shipping", "quote")
    assert deepest.errors == pytest.approx(deepest.rate)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kafka:9092", ("kafka", 9092)),
        ("http://quote:8080", ("quote", 8080)),
        ("quote:0000", ("quote", 0)),
        ("http://email", ("email", 80)),
        ("postgres://u:p@postgresql/otel?sslmode=disable", ("postgresql", 80)),
        ("Host=postgresql;Username=u;Password=p;Port=5433", ("postgresql", 5433)),
        ("cart:http", ("cart", 0)),
    ],
)
def test_addresses_are_read_in_the_forms_that_services_use(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text, 80) == found
