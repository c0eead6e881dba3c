"""Variance components: by hand, against planted truth, and the planning that rests on them."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics.components import variance_components
from harness.statistics.power import Spread, detectable, repeats_needed, scenarios_needed


def test_components_by_hand() -> None:
    # Scenario means 1 and 4; MS_run = 4 * 1 / 2 = 2, MS_scenario = 2 * 2 * 1.5^2 = 9, (9 - 2) / 2 = 3.5.
    found = variance_components([0, 2, 3, 5], ["a", "a", "b", "b"])
    assert (found.run, found.scenario) == (2, 3.5)
    assert found.variance_of_mean(2, 2) == pytest.approx((3.5 + 1) / 2)


def test_planted_components_are_found() -> None:
    rng = np.random.default_rng(2)
    scenario = np.repeat(np.arange(300), 12)
    run = np.repeat(np.arange(1200), 3)
    y = rng.normal(0, 3, 300)[scenario] + rng.normal(0, 2, 1200)[run] + rng.normal(0, 1, 3600)
    found = variance_components(y, scenario, run)
    assert found.scenario == pytest.approx(9, rel=0.2)
    assert found.run == pytest.approx(4, rel=0.15)
    assert found.judge == pytest.approx(1, rel=0.1)


def test_without_repeats_the_sources_cannot_be_told_apart() -> None:
    assert variance_components([1, 2, 3], ["a", "b", "c"]).scenario is None
    assert variance_components([], []).scenario is None


def test_detectable_difference_shrinks_with_runs_and_scenarios() -> None:
    spread = Spread(effect=0.1, run=0.4)
    assert detectable(spread, 35, 3) == pytest.approx(2.90 * np.sqrt(0.01 + 0.32 / 3) / np.sqrt(35), rel=0.01)
    assert detectable(spread, 35, 1) > detectable(spread, 35, 3) > detectable(spread, 70, 3)


def test_repeats_needed_are_the_fewest_that_suffice() -> None:
    spread = Spread(effect=0.1, run=0.4)
    needed = repeats_needed(0.15, spread, 35)
    assert needed is not None
    assert detectable(spread, 35, needed) <= 0.15 < detectable(spread, 35, needed - 1)
    assert repeats_needed(0.01, spread, 35) is None
    many = scenarios_needed(0.1, spread, 3)
    assert many is not None
    assert detectable(spread, many, 3) <= 0.1 < detectable(spread, many - 1, 3)


def test_stated_power_is_the_share_of_experiments_that_find_the_effect() -> None:
    rng = np.random.default_rng(8)
    effect = detectable(Spread(0.1, 0.4), 24, 3)
    d = rng.normal(effect, np.sqrt(0.01 + 0.32 / 3), (2000, 24))
    t = d.mean(axis=1) / d.std(axis=1, ddof=1) * np.sqrt(24)
    assert np.mean(np.abs(t) > 2.069) == pytest.approx(0.8, abs=0.04)
