"""Diagnosis metrics: known answers, and the laws that must hold for every answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cluster import ObjectRef
from harness.records import Diagnosis, Entity
from harness.scoring.diagnosis import score_diagnosis
from harness.scoring.matcher import GroupPattern, RootGroup

NS = "otel-demo"
ROOTS = [
    RootGroup("flags", (GroupPattern("ConfigMap", NS, ("flagd-config",)),)),
    RootGroup("cart", (GroupPattern("Deployment", NS, (r"cart\b",)), GroupPattern("Service", NS, ("cart",)))),
]
MUTATED = [ObjectRef("ConfigMap", "flagd-config", NS), ObjectRef("Secret", "valkey", NS)]
RIGHT = [f"{NS}/ConfigMap/flagd-config", f"{NS}/Deployment/cart", f"{NS}/Pod/cart-6f9c8d7b5d-x2x4z"]
WRONG = [f"{NS}/Deployment/frontend", f"{NS}/Deployment/cart-db", f"{NS}/Service/flagd", "nonsense", ""]


def diagnosis(names: list[str]) -> Diagnosis:
    return Diagnosis(entities=tuple(Entity(name=name, contributing_factor=True) for name in names))


@pytest.mark.parametrize(
    ("names", "recall", "precision", "f1", "strict", "mutation"),
    [
        ([], 0, 0, 0, 0, 0),
        (WRONG[:1], 0, 0, 0, 0, 0),
        (RIGHT[:1], 1 / 2, 1, 2 / 3, 1 / 2, 1 / 2),
        (RIGHT[:2], 1, 1, 1, 1, 1 / 2),
        (RIGHT, 1, 1, 1, 1, 1 / 2),
        (RIGHT[1:], 1 / 2, 1, 2 / 3, 1 / 2, 0),
        (RIGHT[2:], 1 / 2, 1, 2 / 3, 0, 0),
        ([RIGHT[0], WRONG[0]], 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2),
        ([RIGHT[0], *WRONG[:3]], 1 / 2, 1 / 4, 1 / 3, 1 / 2, 1 / 2),
        ([f"{NS}/Secret/valkey"], 0, 0, 0, 0, 1 / 2),
    ],
)
def test_known_answers(
    names: list[str], recall: float, precision: float, f1: float, strict: float, mutation: float
) -> None:
    score = score_diagnosis(diagnosis(names), ROOTS, MUTATED)
    found = (score.recall, score.precision, score.f1, score.recall_strict, score.mutation_recall)
    assert found == pytest.approx((recall, precision, f1, strict, mutation))


def test_only_contributing_factors_are_predictions() -> None:
    entities = tuple(Entity(name=name, contributing_factor=False) for name in RIGHT)
    assert score_diagnosis(Diagnosis(entities=entities), ROOTS, MUTATED).recall == 0


def test_every_prediction_records_how_it_was_matched() -> None:
    matches = score_diagnosis(diagnosis([RIGHT[2], WRONG[1]]), ROOTS, MUTATED).matches
    assert [(found.group, found.rule) for found in matches] == [
        ("cart", "workload-exact/family"),
        (None, "no-match"),
    ]


def test_without_ground_truth_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="no root group"):
        score_diagnosis(diagnosis(RIGHT), [], MUTATED)


@pytest.mark.parametrize(("names", "right"), [([], 1), (RIGHT[:1], 0)])
def test_in_a_false_alarm_the_right_answer_blames_nothing(names: list[str], right: int) -> None:
    score = score_diagnosis(diagnosis(names), [], [])
    assert (score.recall, score.precision, score.f1, score.mutation_recall) == (right,) * 4


def test_nothing_mutated_means_nothing_to_name() -> None:
    assert score_diagnosis(diagnosis(RIGHT), ROOTS, []).mutation_recall == 0


answers = st.lists(st.sampled_from(RIGHT + WRONG) | st.text(max_size=30), max_size=8)


@given(answers)
def test_ratios_stay_between_zero_and_one(names: list[str]) -> None:
    score = score_diagnosis(diagnosis(names), ROOTS, MUTATED)
    for value in (score.recall, score.precision, score.f1, score.recall_strict, score.mutation_recall):
        assert 0 <= value <= 1
    assert score.recall_strict <= score.recall


@given(answers, st.randoms(use_true_random=False))
def test_order_and_exact_repetition_change_nothing(names: list[str], random: object) -> None:
    shuffled = names + names[:3]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (score_diagnosis(diagnosis(n), ROOTS, MUTATED) for n in (names, shuffled))
    assert one.model_copy(update={"matches": ()}) == other.model_copy(update={"matches": ()})


@given(answers, st.sampled_from(RIGHT))
def test_adding_a_correct_entity_never_lowers_a_ratio(names: list[str], right: str) -> None:
    before, after = (score_diagnosis(diagnosis(n), ROOTS, MUTATED) for n in (names, [*names, right]))
    assert after.recall >= before.recall
    assert after.precision >= before.precision
    assert after.f1 >= before.f1
    assert after.mutation_recall >= before.mutation_recall


@given(answers, st.sampled_from(WRONG))
def test_adding_a_wrong_entity_never_raises_precision(names: list[str], wrong: str) -> None:
    before, after = (score_diagnosis(diagnosis(n), ROOTS, MUTATED) for n in (names, [*names, wrong]))
    assert after.precision <= before.precision
    assert after.recall == before.recall
