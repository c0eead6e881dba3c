"""The entity matcher on hand-made cases with known answers (docs/sources I5)."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from harness.scoring.matcher import GroupPattern, Policy, RootGroup, hits, match, parse_entity, root_groups


class Group(NamedTuple):
    id: str
    kind: str
    namespace: str
    filter: tuple[str, ...]
    root_cause: bool


def root(kind: str, *patterns: str, namespace: str = "otel-demo") -> RootGroup:
    return RootGroup("root", (GroupPattern(kind, namespace, patterns),))


@pytest.mark.parametrize(
    ("entity", "kind", "pattern", "rule"),
    [
        ("otel-demo/Deployment/shipping", "Deployment", r"shipping\b", "exact/strict"),
        ("otel-demo/deploy/shipping", "Deployment", r"shipping\b", "exact/strict"),
        ("Deployment/shipping", "Deployment", r"shipping\b", "exact/strict"),
        (" otel-demo / Deployment / Shipping ", "Deployment", "shipping", "exact/strict"),
        ("otel-demo/Service/shipping", "Deployment", r"shipping\b", "exact/family"),
        ("otel-demo/ConfigMap/flagd-config", "ConfigMap", "flagd-config", "exact/strict"),
        ("otel-demo/cm/flagd-config", "ConfigMap", r"flagd-config\b", "exact/strict"),
        ("otel-demo/Deployment/product-catalog", "Deployment", "product-catalog-.*", "dash/strict"),
        ("otel-demo/Deployment/load-generator", "Pod", "load-generator-.*", "dash/family"),
        ("otel-demo/Pod/checkout-6f9c8d7b5d-x2x4z", "Pod", "checkout-.*", "workload-dash/strict"),
        ("otel-demo/Pod/checkout-6f9c8d7b5d-x2x4z", "Deployment", r"checkout\b", "workload-exact/family"),
        ("otel-demo/ReplicaSet/checkout-6f9c8d7b5d", "Deployment", r"checkout\b", "workload-exact/family"),
        ("otel-demo/Pod/postgresql-0", "StatefulSet", "postgresql", "workload-exact/family"),
        ("otel-demo/Pod/checkout-*", "Deployment", r"checkout\b", "workload-exact/family"),
        ("otel-demo/Pod/checkout-<hash>-<id>", "Deployment", r"checkout\b", "workload-exact/family"),
        ("otel-demo/Pod/checkout-xxxxx", "Deployment", r"checkout\b", "workload-exact/family"),
        ("chaos-mesh/Schedule/product-catalog-delay", "NetworkChaos", ".*-delay", "fullmatch/family"),
        ("chaos-mesh/NetworkChaos/cart-loss-x7k2p", "Schedule", "cart-loss", "workload-exact/family"),
        ("chaos-mesh/Schedule/quote-abort", "Schedule", r"otel-demo-quote-abort\b", "chaos-exact/strict"),
        ("chaos-mesh/Schedule/otel-demo-quote-abort", "Schedule", "quote-abort", "chaos-exact/strict"),
        ("chaos-mesh/StressChaos/ad-cpu-x7k2p", "Schedule", "otel-demo-ad-cpu", "chaos-exact/family"),
        ("otel-demo/HPA/accounting.hpa", "HorizontalPodAutoscaler", "*.*", "glob/strict"),
        ("cluster/Node/worker-1", "Node", "worker-1", "exact/strict"),
        ("otel-demo/Namespace/otel-demo", "Namespace", "otel-demo", "exact/strict"),
        ("_/Deployment/shipping", "Deployment", r"shipping\b", "exact/strict"),
    ],
)
def test_right_answers_match(entity: str, kind: str, pattern: str, rule: str) -> None:
    namespace = "chaos-mesh" if entity.startswith("chaos-mesh") else "otel-demo"
    found = match(entity, [root(kind, pattern, namespace=namespace)])
    assert (found.group, found.rule, found.strict) == ("root", rule, rule.endswith("/strict"))


@pytest.mark.parametrize(
    ("entity", "kind", "pattern"),
    [
        ("otel-demo/Deployment/frontend-proxy", "Deployment", r"frontend\b"),
        ("otel-demo/Service/frontend-proxy", "Service", "frontend"),
        ("otel-demo/Pod/frontend-proxy-6f9c8d7b5d-x2x4z", "Pod", "frontend-.*"),
        ("otel-demo/Pod/frontend-proxy", "Pod", "frontend-.*"),
        ("otel-demo/Deployment/load-generator", "Deployment", r"load\b"),
        ("otel-demo/Deployment/ad", "Deployment", r"load\b"),
        ("otel-demo/Deployment/shipping", "ConfigMap", "shipping"),
        ("chaos-mesh/Schedule/shipping", "Deployment", r"shipping\b"),
        ("book-info/Deployment/shipping", "Deployment", r"shipping\b"),
        ("otel-demo/ConfigMap/otel-demo-flagd-config", "ConfigMap", "flagd-config"),
        ("shipping", "Deployment", r"shipping\b"),
        ("", "Deployment", r"shipping\b"),
        ("a/b/c/d", "Deployment", ".*"),
        ("otel-demo//shipping", "Deployment", r"shipping\b"),
    ],
)
def test_wrong_answers_do_not_match(entity: str, kind: str, pattern: str) -> None:
    assert match(entity, [root(kind, pattern)]).group is None


def test_an_unmatched_entity_says_why() -> None:
    assert match("shipping", [root("Deployment", "shipping")]).rule == "not-an-entity"
    assert match("otel-demo/Deployment/ad", [root("Deployment", "shipping")]).rule == "no-match"


def test_a_versioned_workload_belongs_to_its_prefix_filter() -> None:
    reviews = [root("Pod", "reviews-.*", namespace="book-info")]
    assert match("book-info/Deployment/reviews-v1", reviews).rule == "version/family"
    assert match("book-info/Deployment/reviews-gateway", reviews).group is None


@pytest.mark.parametrize(
    ("policy", "entities"),
    [
        ("strict", {"otel-demo/Deployment/ad"}),
        ("family", {"otel-demo/Deployment/ad", "otel-demo/Service/ad"}),
        ("any", {"otel-demo/Deployment/ad", "otel-demo/Service/ad", "otel-demo/ConfigMap/ad"}),
    ],
)
def test_each_kind_policy_accepts_what_the_stricter_one_does(policy: Policy, entities: set[str]) -> None:
    candidates = {"otel-demo/Deployment/ad", "otel-demo/Service/ad", "otel-demo/ConfigMap/ad"}
    ad = [root("Deployment", r"ad\b")]
    assert {name for name in candidates if match(name, ad, policy).group} == entities


def test_every_alias_of_a_root_is_accepted_as_that_root() -> None:
    groups = [
        Group("ship-deploy", "Deployment", "otel-demo", (r"shipping\b",), True),
        Group("ship-svc", "Service", "otel-demo", (r"shipping\b",), False),
        Group("quote-svc", "Service", "otel-demo", (r"quote\b",), False),
        Group("other", "ConfigMap", "otel-demo", ("other",), False),
    ]
    roots = root_groups(groups, [["ship-svc", "ship-deploy"], ["ship-svc", "quote-svc", "dangling"]])
    assert [group.id for group in roots] == ["ship-deploy"]
    assert match("otel-demo/Service/shipping", roots).strict
    assert match("otel-demo/Service/quote", roots).group == "ship-deploy"
    assert match("otel-demo/ConfigMap/other", roots).group is None


def test_roots_that_are_aliases_of_each_other_count_as_one() -> None:
    groups = [Group(name, "Deployment", "otel-demo", (name,), True) for name in ("cart", "ad", "email")]
    assert [group.id for group in root_groups(groups, [["ad", "cart"]])] == ["cart", "email"]


def test_groups_that_share_an_id_are_members_of_one_root() -> None:
    groups = [
        Group("x", "Schedule", "chaos-mesh", ("delay",), True),
        Group("x", "Service", "otel-demo", ("checkout",), False),
    ]
    assert len(root_groups(groups, [])[0].members) == 2


def test_equal_kinds_win_over_the_family_when_two_roots_fit() -> None:
    roots = [
        RootGroup("service", (GroupPattern("Service", "otel-demo", ("ad",)),)),
        RootGroup("deployment", (GroupPattern("Deployment", "otel-demo", ("ad",)),)),
    ]
    assert match("otel-demo/Deployment/ad", roots).group == "deployment"
    predicted = parse_entity("otel-demo/Deployment/ad")
    assert predicted is not None
    assert [hit.group for hit in hits(predicted, roots)] == ["deployment", "service"]


def test_a_group_without_namespace_accepts_any() -> None:
    assert match("otel-demo/Deployment/ad", [root("Deployment", "ad", namespace="")]).group == "root"
