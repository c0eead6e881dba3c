"""Adjustment, cost, time, balance of exclusions, interaction, pooling, lethality."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics import trials_frame
from harness.statistics.adjustment import cuped, other_models_baseline
from harness.statistics.balance import exclusion_balance
from harness.statistics.economics import cost_per_success, kaplan_meier, restricted_mean, time_to_conclusion
from harness.statistics.interaction import arm_by_model, pooled_contrast
from harness.statistics.lethality import lethality
from tests.report.factory import experiment, record, spec


def test_adjustment_shrinks_the_interval_as_far_as_the_covariate_explains() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=20_000)
    d = 0.2 + 0.8 * x[:400] + 0.6 * rng.normal(size=400)
    paired = {str(i): float(v) for i, v in enumerate(d)}
    found = cuped(paired, {str(i): float(v) for i, v in enumerate(x)})
    assert found.variance_ratio == pytest.approx(0.37, abs=0.06)
    assert found.low < 0.2 < found.high  # type: ignore[operator]
    # Known on the same scenarios only, the covariate tells nothing about their mean.
    alone = cuped(paired, {str(i): float(v) for i, v in enumerate(x[:400])})
    assert alone.estimate == pytest.approx(d.mean())
    assert alone.variance_ratio == pytest.approx(1, abs=0.01)


def test_no_trial_of_the_model_itself_enters_its_covariate() -> None:
    _, records = experiment(models=["a", "b"], scenarios=6)
    frame = trials_frame(records)
    before = other_models_baseline(frame, "a", "baseline", "recall")
    frame.loc[frame["model"] == "a", "recall"] = 0.123
    assert other_models_baseline(frame, "a", "baseline", "recall") == before
    frame.loc[frame["arm"] != "baseline", "recall"] = 0.123
    assert other_models_baseline(frame, "a", "baseline", "recall") == before
    assert other_models_baseline(frame.loc[frame["model"] == "a"], "a", "baseline", "recall") == {}


def test_cost_per_success_counts_what_failures_cost() -> None:
    found = cost_per_success([1, 3, 2, 2], [True, False, True, False], ["a", "a", "b", "b"])
    assert found.value == 4
    assert found.low <= 4 <= found.high  # type: ignore[operator]
    assert cost_per_success([1, 1], [False, False], ["a", "b"]).value is None
    assert cost_per_success([1, 1, 1], [True, False, False], ["a", "b", "c"]).high is None


def test_kaplan_meier_by_hand() -> None:
    # At 2 one of four, at 5 one of two (one left at 3).
    at, survival = kaplan_meier([2, 3, 5, 9], [True, False, True, False])
    assert at.tolist() == [2, 5]
    assert survival.tolist() == pytest.approx([0.75, 0.375])
    assert restricted_mean([2, 3, 5, 9], [True, False, True, False], 10) == pytest.approx(
        2 + 0.75 * 3 + 0.375 * 5
    )


def test_giving_up_early_is_not_fast() -> None:
    quick = time_to_conclusion([10, 10], [False, False], ["a", "b"], horizon=100)
    assert quick.value == 100
    seconds, correct = [20.0, 60, 30, 50], [True, False, True, True]
    found = time_to_conclusion(seconds, correct, ["a", "a", "b", "b"], horizon=100)
    censored = [t if won else 100 for t, won in zip(seconds, correct, strict=True)]
    assert found.value == pytest.approx(restricted_mean(censored, correct, 100))


def test_exclusions_that_fall_on_one_arm_are_noticed() -> None:
    arms = ["a", "b", "c"] * 20
    blocks = [place // 3 for place in range(60)]
    lopsided = exclusion_balance([arm == "b" and place < 30 for place, arm in enumerate(arms)], arms, blocks)
    assert lopsided.excluded == {"a": 0, "b": 10, "c": 0}
    assert lopsided.p_value is not None
    assert lopsided.p_value < 0.001
    even = exclusion_balance([place < 9 for place in range(60)], arms, blocks)
    assert even.p_value == 1
    assert exclusion_balance([False] * 60, arms, blocks).p_value is None


def test_balance_holds_its_level() -> None:
    rng = np.random.default_rng(2)
    arms, blocks = ["a", "b"] * 40, [place // 2 for place in range(80)]
    found = [exclusion_balance((rng.random(80) < 0.15).tolist(), arms, blocks).p_value for _ in range(150)]
    assert np.mean([p is not None and p < 0.05 for p in found]) <= 0.08


def test_an_effect_that_differs_between_models_is_an_interaction() -> None:
    rng = np.random.default_rng(3)
    scenario = [str(s) for s in range(24)]
    same = {m: dict(zip(scenario, rng.normal(0.2, 0.3, 24), strict=True)) for m in "ab"}
    other = {"a": same["a"], "b": {s: d - 0.5 for s, d in same["b"].items()}}
    assert arm_by_model(same).p_value > 0.05  # type: ignore[operator]
    assert arm_by_model(other).p_value < 0.01  # type: ignore[operator]
    assert arm_by_model({"a": same["a"]}).p_value is None


def test_pooling_averages_pairs_and_models_within_the_scenario() -> None:
    records = []
    for scenario in range(1, 9):
        for place, model in enumerate(("a", "b")):
            for arm, recall in (("guard", 1.0), ("twin", 0.5 * place), ("none", 0.0)):
                records.append(record(spec(scenario, model, arm), recall=recall))
    found = pooled_contrast(trials_frame(records), [("guard", "twin"), ("guard", "none")], "recall")
    assert found.estimate == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert (found.scenarios, found.pairs) == (8, 32)


def test_a_deadly_mode_is_told_from_a_common_one() -> None:
    rng = np.random.default_rng(4)
    strata = np.repeat(np.arange(40), 12)
    hard = rng.random(40)[strata]
    deadly, common = rng.random(480) < 0.3, rng.random(480) < 0.9
    failed = rng.random(480) < np.where(deadly, 0.9, 0.6 * hard)
    bad, plain = lethality(failed, deadly, strata), lethality(failed, common, strata)
    assert bad.log_or_low > 0  # type: ignore[operator]
    assert bad.burden_low > 0  # type: ignore[operator]
    assert bad.risk_difference == pytest.approx(0.9 - 0.6 * hard.mean(), abs=0.1)
    assert plain.burden_low < 0 < plain.burden_high  # type: ignore[operator]


def test_difficulty_of_scenarios_is_not_taken_for_lethality() -> None:
    # The mode is frequent where scenarios are hard, and changes nothing within any of them.
    rng = np.random.default_rng(5)
    strata = np.repeat(np.arange(60), 12)
    hard = (strata % 2).astype(float)
    present = rng.random(720) < 0.2 + 0.6 * hard
    failed = rng.random(720) < 0.2 + 0.6 * hard
    found = lethality(failed, present, strata)
    assert failed[present].mean() - failed[~present].mean() > 0.2
    assert found.burden_low < 0 < found.burden_high  # type: ignore[operator]


def test_a_mode_that_is_always_or_never_there_has_no_lethality() -> None:
    assert lethality([True, False], [1.0, 1.0], ["a", "a"]).burden is None
    assert lethality([], [], []).prevalence == 0
