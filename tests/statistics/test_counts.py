"""Modes adjusted for length, and the two multiplicity corrections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import benjamini_hochberg, holm
from harness.statistics.counts import rate_ratio

shares = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def drawn(ratio: float, seed: int = 4, scenarios: int = 60) -> tuple[list[float], ...]:
    rng = np.random.default_rng(seed)
    scenario = np.repeat(np.arange(scenarios), 6)
    arm = np.tile([0, 1], scenarios * 3)
    steps = rng.integers(8, 30, len(scenario))
    rate = 0.1 * np.exp(rng.normal(0, 0.3, scenarios))[scenario] * np.where(arm, ratio, 1.0)
    return rng.poisson(rate * steps).tolist(), steps.tolist(), (arm == 1).tolist(), scenario.tolist()


def test_a_planted_ratio_is_within_its_interval() -> None:
    found = rate_ratio(*drawn(0.6))
    assert found.low < 0.6 < found.high  # type: ignore[operator]
    assert found.p_value < 0.001  # type: ignore[operator]


def test_shorter_traces_alone_are_no_improvement() -> None:
    modes, steps, arm, scenario = drawn(1.0)
    rng = np.random.default_rng(5)
    halved = [s // 2 if a else s for s, a in zip(steps, arm, strict=True)]
    fewer = [rng.binomial(int(m), 0.5) if a else m for m, a in zip(modes, arm, strict=True)]
    found = rate_ratio(fewer, halved, arm, scenario)
    assert np.mean([m for m, a in zip(fewer, arm, strict=True) if a]) < 0.7 * np.mean(modes)
    assert found.low < 1 < found.high  # type: ignore[operator]


def test_traces_without_a_count_or_a_step_are_left_out_and_too_little_gives_nothing() -> None:
    modes, steps, arm, scenario = drawn(1.0)
    extended = rate_ratio([*modes, np.nan, 3], [*steps, 5, 0], [*arm, True, True], [*scenario, 1, 2])
    assert extended == rate_ratio(modes, steps, arm, scenario)
    assert rate_ratio([1, 1], [5, 5], [True, False], ["a", "b"]).ratio is None


@given(shares)
@settings(max_examples=30, deadline=None)
def test_corrected_p_is_never_smaller_and_bh_never_stricter_than_holm(p: list[float]) -> None:
    for raw, strict, mild in zip(p, holm(p), benjamini_hochberg(p), strict=True):
        assert raw - 1e-12 <= mild <= strict + 1e-12 <= 1 + 2e-12


def test_benjamini_hochberg_by_hand() -> None:
    # Sorted .01 .02 .04: times 3/1, 3/2, 3/3, never rising from the right.
    assert benjamini_hochberg([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.03])
