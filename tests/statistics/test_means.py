"""Means of one arm: the scenario is the unit, intervals are honest where data are few or at a bound."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics import clustered_mean, clustered_share


def test_runs_are_averaged_within_a_scenario_before_anything_else() -> None:
    # Scenario a has four runs and b one: the mean of 0 and 1 is a half, not a fifth.
    estimate = clustered_mean([0, 0, 0, 0, 1], ["a", "a", "a", "a", "b"])
    assert estimate.mean == 0.5
    assert (estimate.n, estimate.scenarios) == (5, 2)


def test_interval_is_the_t_interval_over_scenario_means() -> None:
    # Scenario means 1, 2, 3: sd 1, SE 1/sqrt(3), t(.975; 2) = 4.302653.
    estimate = clustered_mean([1, 2, 2, 3], ["a", "b", "b", "c"])
    assert estimate.low == pytest.approx(2 - 4.302653 / np.sqrt(3), abs=1e-5)
    assert estimate.high == pytest.approx(2 + 4.302653 / np.sqrt(3), abs=1e-5)


def test_noise_floor_is_the_spread_of_repeats_of_one_scenario() -> None:
    # Squared deviations 0.25 * 4 over n - S = 2.
    assert clustered_mean([0, 1, 0, 1], ["a", "a", "b", "b"]).sd_within == pytest.approx(np.sqrt(0.5))
    assert clustered_mean([0, 1], ["a", "b"]).sd_within is None


def test_one_scenario_gives_a_mean_and_no_interval() -> None:
    estimate = clustered_mean([0, 1], ["a", "a"])
    assert (estimate.mean, estimate.low, estimate.high) == (0.5, None, None)


def test_no_values_give_no_mean() -> None:
    assert clustered_mean([np.nan], ["a"]).mean is None
    assert clustered_share([], []).mean is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_perfect_agreement_at_a_bound_is_not_certainty(value: float) -> None:
    estimate = clustered_mean([value] * 20, list(range(20)), bounds=(0, 1))
    assert estimate.low is not None
    assert estimate.high is not None
    # 1 - 0.025^(1/20), the Clopper-Pearson limit with twenty draws.
    assert estimate.high - estimate.low == pytest.approx(0.168433, abs=1e-6)
    assert value in (estimate.low, estimate.high)


def test_interval_stays_within_what_a_value_can_be() -> None:
    estimate = clustered_mean([1, 1, 1, 0], ["a", "b", "c", "d"], bounds=(0, 1))
    assert estimate.high == 1


def test_missing_values_are_left_out() -> None:
    with_gap = clustered_mean([1.0, np.nan, 0.0], ["a", "a", "b"])
    assert with_gap == clustered_mean([1.0, 0.0], ["a", "b"])


def test_share_weighs_decided_traces_equally() -> None:
    estimate = clustered_share([1, 0, 0, np.nan, 1], ["a", "a", "a", "a", "b"])
    assert estimate.mean == 0.5
    assert estimate.n == 4


def test_share_equals_mean_when_scenarios_have_equal_runs() -> None:
    values, scenarios = [1, 0, 0, 0, 1, 1], ["a", "a", "b", "b", "c", "c"]
    assert clustered_share(values, scenarios) == pytest.approx(
        clustered_mean(values, scenarios, bounds=(0, 1))
    )


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    values, scenarios = rng.random(60), np.repeat(np.arange(20), 3)
    shuffled = rng.permutation(60)
    assert clustered_mean(values, scenarios) == clustered_mean(values[shuffled], scenarios[shuffled])


def test_values_without_scenarios_are_refused() -> None:
    with pytest.raises(ValueError, match="2 values but 1 scenarios"):
        clustered_mean([1, 2], ["a"])


def test_interval_covers_the_truth_in_simulation() -> None:
    rng = np.random.default_rng(11)
    scenarios, covered, rounds = np.repeat(np.arange(24), 3), 0, 600
    for _ in range(rounds):
        ease = rng.beta(2, 2, size=24)
        runs = (rng.random((24, 3)) < ease[:, None]).astype(float)
        estimate = clustered_mean(runs.ravel(), scenarios, bounds=(0, 1))
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 0.5 <= estimate.high
    assert 0.92 <= covered / rounds <= 0.98
