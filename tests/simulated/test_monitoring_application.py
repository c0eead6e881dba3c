"""The application file: what it renders, and how mistakes in it are reported."""

from __future__ import annotations

import json
import pickle

import pytest

from harness.errors import ConfigurationError
from scenarios.applications import application_names, load_application, read_application

WORKLOADS = {
    "accounting", "ad", "cart", "checkout", "currency", "email", "flagd", "fraud-detection", "frontend",
    "frontend-proxy", "image-provider", "kafka", "load-generator", "payment", "postgresql", "product-catalog",
    "product-reviews", "quote", "recommendation", "shipping", "valkey-cart",
}  # fmt: skip


def objects(kind: str, options: dict[str, object] | None = None) -> dict[str, dict[str, object]]:
    manifests = load_application("otel-demo").manifests(options)
    return {m["metadata"]["name"]: m for m in manifests if m["kind"] == kind}


def test_all_workloads_of_the_demo_are_deployed() -> None:
    assert set(objects("Deployment")) >= WORKLOADS
    assert "otel-demo" in objects("Namespace")


def test_a_service_selects_the_pods_of_its_deployment() -> None:
    deployments = objects("Deployment")
    for name, service in objects("Service").items():
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]  # type: ignore[index]
        assert service["spec"]["selector"].items() <= labels.items()  # type: ignore[index]


def test_resources_are_those_that_itbench_sets() -> None:
    container = objects("Deployment")["ad"]["spec"]["template"]["spec"]["containers"][0]  # type: ignore[index]
    assert container["resources"] == {
        "requests": {"cpu": "50m", "memory": "256Mi"},
        "limits": {"cpu": "150m", "memory": "512Mi"},
    }


def test_flags_are_off_in_the_flag_config() -> None:
    document = json.loads(objects("ConfigMap")["flagd-config"]["data"]["demo.flagd.json"])  # type: ignore[index]
    assert {flag["defaultVariant"] for flag in document["flags"].values()} == {"off"}
    assert document["flags"]["paymentFailure"]["variants"]["100%"] == 1
    assert set(document["flags"]["imageSlowLoad"]["variants"]) == {"10sec", "5sec", "off"}


def test_an_option_sets_the_environment_of_its_workload() -> None:
    def browser(options: dict[str, object] | None) -> str:
        container = objects("Deployment", options)["load-generator"]["spec"]["template"]["spec"][
            "containers"
        ][0]  # type: ignore[index]
        return next(e["value"] for e in container["env"] if e["name"] == "LOCUST_BROWSER_TRAFFIC_ENABLED")

    assert browser(None) == "false"
    assert browser({"loadGeneration": {"browserTraffic": True}}) == "true"


def test_unknown_options_are_all_reported() -> None:
    with pytest.raises(ConfigurationError) as caught:
        objects("Service", {"loadGeneration": {"browserTraffic": "perhaps"}, "colour": "red"})
    assert [p.where for p in caught.value.problems] == [
        "application option colour",
        "application option loadGeneration.browserTraffic",
    ]


def test_an_application_pickles_as_its_name() -> None:
    application = load_application("otel-demo")
    data = pickle.dumps(application)
    assert len(data) < 200
    assert pickle.loads(data) is application


def test_an_unknown_application_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="otel-demo"):
        load_application("petstore")
    assert "otel-demo" in application_names()


def test_all_mistakes_of_a_file_are_reported_together() -> None:
    text = """
    name: shop
    namespace: shop
    collector: nobody
    workloads:
      web:
        image: web:1
        env: {DB: "db:1"}
        flags: [{flag: noSuchFlag}]
        operations:
          get:
            calls:
              - {to: db/query, address: DB}
              - {to: web/nothing, address: NOWHERE}
    """
    with pytest.raises(ConfigurationError) as caught:
        read_application(text, "shop.yaml")
    found = [problem.where for problem in caught.value.problems]
    assert found == [
        "shop.yaml: workloads.web.operations.get.calls[0].to",
        "shop.yaml: workloads.web.operations.get.calls[1].to",
        "shop.yaml: workloads.web.operations.get.calls[1].address",
        "shop.yaml: workloads.web.flags[0].flag",
        "shop.yaml: collector",
    ]


def test_schema_mistakes_are_reported_with_their_fields() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_application("{name: a, namespace: b, workloads: {w: {image: 3, imagge: x}}}", "a.yaml")
    assert {problem.where for problem in caught.value.problems} == {
        "a.yaml: workloads.w.image",
        "a.yaml: workloads.w.imagge",
    }


def test_operations_that_call_themselves_are_refused() -> None:
    text = "{name: a, namespace: b, workloads: {w: {image: i, operations: {o: {calls: [{to: w/o}]}}}}}"
    with pytest.raises(ConfigurationError, match="calls itself"):
        read_application(text, "a.yaml")
