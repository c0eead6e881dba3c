"""The official metrics on hand-made diagnoses with known answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.records import Diagnosis, Entity, Propagation
from harness.scoring.official import EMPTY, score
from harness.scoring.propagation import (
    common_chain,
    contract,
    descendants,
    hops,
    listed_path,
    longest_common_subsequence,
)
from scenarios.schema import Edge, GroundTruth, Group


def group(group_id: str, root: bool = False) -> Group:
    """`shipping-service` is a Service, `shipping-pod` a Pod, ... with ITBench's usual filters."""
    name, _, kind = group_id.rpartition("-")
    pattern = rf"{name}-.*" if kind == "pod" else rf"{name}\b"
    kinds = {"service": "Service", "pod": "Pod", "deployment": "Deployment", "config": "ConfigMap"}
    return Group(id=group_id, kind=kinds[kind], namespace="otel-demo", filter=(pattern,), root_cause=root)


def truth(roots: Sequence[str], *edges: tuple[str, str], effects: Sequence[str] = ()) -> GroundTruth:
    ids = dict.fromkeys([*roots, *(end for edge in edges for end in edge)])
    told = [*effects, *[""] * len(edges)]
    return GroundTruth(
        groups=tuple(group(name, name in roots) for name in ids),
        propagations=tuple(
            Edge(source=source, target=target, effect=effect)
            for (source, target), effect in zip(edges, told, strict=False)
        ),
    )


def diagnosis(entities: Sequence[str], *edges: tuple[str, str]) -> Diagnosis:
    return Diagnosis(
        entities=tuple(Entity(name=f"otel-demo/{name}", contributing_factor=True) for name in entities),
        propagations=tuple(
            Propagation(source=f"otel-demo/{source}", target=f"otel-demo/{target}")
            for source, target in edges
        ),
    )


CHAIN = truth(
    ["shipping-deployment"],
    ("shipping-deployment", "shipping-pod"),
    ("shipping-pod", "checkout-service"),
    ("checkout-service", "frontend-service"),
    ("frontend-service", "frontend-proxy-service"),
)


# --- entities


def test_entity_at_k_looks_at_the_first_k_and_counts_a_root_once() -> None:
    named = ["Service/cart", "Deployment/shipping", "Pod/shipping-6f9c8d7b5d-x2x4z", "Service/ad"]
    card = score(diagnosis(named), CHAIN)
    assert (card.root_cause_entity.precision, card.root_cause_entity.recall) == (2 / 4, 1.0)
    at = card.root_cause_entity_at
    assert [at[k].precision for k in (1, 2, 3, 4, 5)] == [0, 1 / 2, 2 / 3, 2 / 4, 2 / 4]
    assert [at[k].recall for k in (1, 2, 3, 4, 5)] == [0, 1, 1, 1, 1]
    assert at[2].f1 == pytest.approx(2 / 3)


def test_precision_at_full_recall_is_zero_until_every_root_is_named() -> None:
    two = truth(["ad-deployment", "cart-deployment"])
    assert score(diagnosis(["Deployment/ad"]), two).precision_at_full_recall == 0
    both = ["Deployment/ad", "Deployment/cart", "Service/quote", "Service/email"]
    assert score(diagnosis(both), two).precision_at_full_recall == 1 / 2


def test_an_empty_answer_scores_zero_everywhere_and_an_undefined_metric_stays_undefined() -> None:
    card = score(EMPTY, CHAIN)
    assert set(card.flat().values()) == {0.0}
    without_chain = score(diagnosis(["Deployment/ad"]), truth(["ad-deployment"]))
    undefined = [name for name, value in without_chain.flat().items() if value is None]
    assert {name.rpartition("_")[0] for name in undefined} == {
        *("propagation_chain", "propagation_chain_listed", "fault_localization_component")
    }


def test_a_ground_truth_without_root_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="no root group"):
        score(EMPTY, GroundTruth(groups=(group("ad-service"),)))


# --- contraction


def test_the_forms_of_one_workload_are_one_component_and_its_neighbours_are_not() -> None:
    components = contract(CHAIN)
    assert components.of_group["shipping-deployment"] == components.of_group["shipping-pod"]
    assert components.of_group["frontend-service"] != components.of_group["frontend-proxy-service"]
    assert components.of_entity("otel-demo/ReplicaSet/shipping-6f9c8d7b5d") == "otel-demo/shipping"
    assert components.of_entity("otel-demo/Service/frontend-proxy") == "otel-demo/frontend-proxy"
    assert components.of_entity("otel-demo/Service/cart") == "otel-demo/cart"
    assert components.of_entity("nonsense") == "?:nonsense"


def test_a_schedule_and_its_experiment_are_one_component_and_never_merge_with_the_victim() -> None:
    chaos = GroundTruth(
        groups=(
            Group(
                id="schedule", kind="Schedule", namespace="chaos-mesh", filter=("checkout",), root_cause=True
            ),
            Group(id="child", kind="NetworkChaos", namespace="chaos-mesh", filter=(".*checkout.*",)),
            group("checkout-pod"),
        ),
        aliases=(("schedule", "child", "checkout-pod"),),
    )
    components = contract(chaos)
    assert components.of_group["schedule"] == components.of_group["child"]
    assert components.of_group["checkout-pod"] != components.of_group["child"]
    assert components.of_entity("chaos-mesh/NetworkChaos/checkout-x7k2p") == components.of_group["schedule"]


# --- chains


def test_listed_paths_and_their_longest_common_subsequence() -> None:
    assert listed_path([("a", "b"), ("b", "c"), ("b", "d")]) == ["a", "b", "c", "b", "d"]
    assert longest_common_subsequence("abcbd", "axbd") == 3
    assert longest_common_subsequence("", "abc") == 0


def test_the_common_chain_does_not_depend_on_the_order_of_edges() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("b", "x")]
    claimed = descendants([("a", "b"), ("b", "d")])
    assert {common_chain(descendants(order), claimed) for order in (edges, edges[::-1])} == {3}
    assert common_chain(descendants(edges), descendants([("d", "a")])) == 1


def test_an_edge_that_closes_a_circle_is_left_out() -> None:
    order = descendants([("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")])
    assert order == {"a": {"b", "c"}, "b": {"c"}, "c": set()}


def test_hops_count_from_the_nearest_source_both_ways() -> None:
    assert hops([("a", "b"), ("b", "c"), ("x", "c"), ("y", "z")], ["a"]) == {"a": 0, "b": 1, "c": 2, "x": 3}


def test_a_chain_with_a_gap_keeps_precision_and_loses_recall() -> None:
    claimed = [("Deployment/shipping", "Service/frontend"), ("Service/frontend", "Service/frontend-proxy")]
    chain = score(diagnosis(["Deployment/shipping"], *claimed), CHAIN).propagation_chain
    assert chain is not None
    assert (chain.precision, chain.recall) == (1, 3 / 4)


def test_a_reversed_chain_shares_one_component_only() -> None:
    claimed = [
        ("Service/frontend", "Service/checkout"),
        ("Service/checkout", "Pod/shipping-6f9c8d7b5d-x2x4z"),
    ]
    chain = score(diagnosis([], *claimed), CHAIN).propagation_chain
    assert chain is not None
    assert (chain.precision, chain.recall) == (1 / 3, 1 / 4)


# --- first impacted component


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        (["pods restart with the flag", "checkout has a high error rate"], "otel-demo/checkout"),
        (["", "latency of shipping rises"], "otel-demo/shipping"),
        (["", "requests fail"], "otel-demo/checkout"),
        (["adFailure was switched on", "", "frontend is unavailable"], "otel-demo/frontend"),
        ([], "otel-demo/checkout"),
    ],
)
def test_the_first_impacted_component_is_where_the_first_failure_shows(
    effects: list[str], expected: str
) -> None:
    edges = [(edge.source, edge.target) for edge in CHAIN.propagations]
    told = truth(["shipping-deployment"], *edges, effects=effects)
    card = score(diagnosis([], ("Service/checkout", "Service/cart")), told)
    assert card.first_impacted == expected
    assert card.fault_localization == float(expected == "otel-demo/checkout")


# --- proximity


def test_proximity_falls_with_hops_and_is_zero_off_the_chain() -> None:
    card = score(diagnosis(["Service/frontend", "Service/cart"]), CHAIN)
    assert card.proximity_no_fp.precision == pytest.approx((1 / 3 + 0) / 2)
    assert card.proximity_no_fp.recall == pytest.approx(1 / 3)
    assert card.proximity_with_fp.recall == pytest.approx(1 / (1 + 2 / 4))


def test_a_named_root_has_proximity_one_even_without_a_chain() -> None:
    card = score(diagnosis(["Deployment/ad"]), truth(["ad-deployment", "cart-deployment"]))
    assert (card.proximity_no_fp.precision, card.proximity_no_fp.recall) == (1, 1 / 2)
