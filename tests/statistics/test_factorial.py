"""Fractional factorial designs: structure, aliasing, and recovery of planted effects."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from harness.factorial import Design
from harness.statistics.factorial import factorial_effects

SEVEN = Design(factors=tuple("ABCDEFG"), runs=16)


def test_main_effects_are_balanced_and_free_of_two_way_interactions() -> None:
    rows = np.array(list(SEVEN.rows()))

    assert rows.shape == (16, 7)
    assert SEVEN.reached == 4
    assert not rows.sum(axis=0).any()
    for one, other in combinations(range(7), 2):
        assert rows[:, one] @ rows[:, other] == 0
        for main in set(range(7)) - {one, other}:
            assert rows[:, main] @ (rows[:, one] * rows[:, other]) == 0


def test_aliases_are_exactly_the_interactions_with_equal_columns() -> None:
    rows = {
        factor: np.array(column)
        for factor, column in zip(SEVEN.factors, zip(*SEVEN.rows(), strict=True), strict=True)
    }
    for group in SEVEN.aliases():
        columns = [np.prod([rows[factor] for factor in effect], axis=0) for effect in group]
        assert all((column == columns[0]).all() for column in columns)
    assert len(SEVEN.aliases()) == 14


def test_arms_are_named_by_levels_and_the_baseline_is_one_of_them() -> None:
    arms = SEVEN.arms()

    assert arms["baseline"] == ()
    assert arms["f1111111"] == SEVEN.factors
    assert len(arms) == 16


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"factors": ("A", "B", "C"), "runs": 6}, "power of two"),
        ({"factors": tuple("ABCDE"), "runs": 8}, "cannot have resolution 4"),
        ({"factors": ("A", "A"), "runs": 4}, "appears twice"),
    ],
)
def test_an_impossible_design_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Design.model_validate(fields)


def trials(noise: float = 0.02, scenarios: int = 12) -> pd.DataFrame:
    """A raises the outcome by 0.2, D lowers it by 0.1, B x C adds 0.05 where both or neither are on."""
    rng = np.random.default_rng(3)
    rows = []
    for (arm, levels), scenario in product(SEVEN.levels().items(), range(scenarios)):
        on = dict(zip(SEVEN.factors, levels, strict=True))
        value = 0.1 * on["A"] - 0.05 * on["D"] + 0.025 * on["B"] * on["C"] + 0.03 * scenario
        rows.append({"arm": arm, "scenario": f"s{scenario:02}", "recall": value + noise * rng.normal()})
    return pd.DataFrame(rows)


def test_planted_effects_are_found() -> None:
    effects = {one.effect: one for one in factorial_effects(trials(), SEVEN, "recall")}

    assert effects["A",].estimate == pytest.approx(0.2, abs=0.01)
    assert effects["D",].estimate == pytest.approx(-0.1, abs=0.01)
    group = next(one for one in effects.values() if ("B", "C") in (one.effect, *one.aliased))
    assert group.estimate == pytest.approx(0.05, abs=0.01)
    assert len(group.aliased) == 2
    for name in ("A", "D"):
        found = effects[(name,)]
        assert found.low is not None
        assert found.high is not None
        assert found.p_value is not None
        assert found.low < found.high
        assert found.p_value < 0.001


def test_scenarios_that_lack_an_arm_are_left_out() -> None:
    frame = trials()
    missing = frame[~((frame["arm"] == "f1111111") & (frame["scenario"] == "s00"))]

    assert {one.scenarios for one in factorial_effects(missing, SEVEN, "recall")} == {11}


def test_without_any_difference_effects_are_zero() -> None:
    found = factorial_effects(trials().assign(recall=1.0), SEVEN, "recall")

    assert {(one.estimate, one.p_value) for one in found} == {(0.0, 1.0)}
