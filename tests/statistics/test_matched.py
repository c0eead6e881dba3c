"""McNemar and TOST, by hand and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.matched import mcnemar_exact, tost

runs = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


def test_six_one_way_discordances_are_the_least_that_reach_five_percent() -> None:
    assert mcnemar_exact([True] * 5, [False] * 5).p_value == pytest.approx(0.0625)
    assert mcnemar_exact([True] * 6, [False] * 6).p_value == pytest.approx(0.03125)


@given(runs)
def test_swapping_the_arms_swaps_the_counts_and_keeps_p(pairs: list[tuple[bool, bool]]) -> None:
    there = mcnemar_exact([a for a, _ in pairs], [b for _, b in pairs])
    back = mcnemar_exact([b for _, b in pairs], [a for a, _ in pairs])
    assert (there.gained, there.lost, there.p_value) == (back.lost, back.gained, back.p_value)
    assert 0 < there.p_value <= 1


def test_no_difference_with_little_noise_is_equivalent_within_a_wide_margin_only() -> None:
    d = np.tile([-0.05, 0.05], 12)
    assert tost(d, 0.05).p_equivalent < 0.001  # type: ignore[operator]
    assert tost(d, 0.005).p_equivalent > 0.2  # type: ignore[operator]


def test_a_gain_is_no_harm_but_not_equivalent() -> None:
    found = tost(np.tile([0.2, 0.3], 12), 0.05)
    assert found.p_not_worse < 0.001  # type: ignore[operator]
    assert found.p_equivalent > 0.99  # type: ignore[operator]
    assert tost(np.tile([0.2, 0.3], 12), 0.05, better="lower").p_not_worse > 0.99  # type: ignore[operator]


def test_three_scenarios_without_any_difference_prove_nothing() -> None:
    assert tost([0.0] * 3, 0.05).p_equivalent == 1
    assert tost([0.0] * 24, 0.05).p_equivalent == 0
    assert tost([0.0], 0.05).p_equivalent is None


def test_a_margin_must_be_positive() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        tost([0.0, 0.1], 0)


def test_harm_as_large_as_the_margin_is_called_harmless_in_one_of_twenty() -> None:
    rng = np.random.default_rng(3)
    harmless = [tost(rng.normal(-0.05, 0.2, 30), 0.05).p_not_worse < 0.05 for _ in range(800)]  # type: ignore[operator]
    assert 0.03 <= np.mean(harmless) <= 0.075
