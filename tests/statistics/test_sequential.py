"""The e-process holds its level at any time, the confidence sequence covers, futility gives up in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.sequential import (
    chance_to_decide,
    confidence_sequence,
    log_e_process,
    symmetric_sequence,
)

thirds = st.lists(st.integers(-3, 3).map(lambda n: n / 3), min_size=1, max_size=8)


def test_no_scenario_may_be_worth_more_than_a_fair_bet() -> None:
    # Over all sign patterns of given sizes the e-process has mean one at every time.
    sizes = np.array([1, 1 / 3, 2 / 3, 1])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    values = np.exp([log_e_process(row * sizes) for row in signs])
    assert values.mean(axis=0) == pytest.approx(np.ones(4))


@given(thirds)
@settings(max_examples=40, deadline=None)
def test_evidence_does_not_depend_on_direction_and_ignores_ties(d: list[float]) -> None:
    assert log_e_process(d) == pytest.approx(log_e_process([-x for x in d]))
    assert log_e_process([*d, 0.0])[-1] == pytest.approx(log_e_process(d)[-1])


def test_level_under_continuous_peeking() -> None:
    rng = np.random.default_rng(7)
    d = rng.choice([-1, -2 / 3, -1 / 3, 0, 1 / 3, 2 / 3, 1], size=(1500, 60))
    crossed = [log_e_process(row).max() >= np.log(20) for row in d]
    assert np.mean(crossed) <= 0.05


def test_a_clear_effect_is_found() -> None:
    rng = np.random.default_rng(7)
    found = [log_e_process(rng.choice([0, 1 / 3, 2 / 3], size=24)).max() >= np.log(20) for _ in range(200)]
    assert np.mean(found) > 0.9


def test_confidence_sequence_covers_at_all_times_at_once() -> None:
    rng = np.random.default_rng(9)
    missed = 0
    for _ in range(150):
        d = rng.choice([-1, 0, 1], size=40, p=[0.1, 0.6, 0.3])
        low, high = confidence_sequence(d)
        missed += not low <= 0.2 <= high
        assert low <= d.mean() <= high or missed
    assert missed / 150 <= 0.05
    assert confidence_sequence([]) == (-1, 1)


def test_futility_knows_hope_from_none() -> None:
    rng = np.random.default_rng(3)
    hopeful = chance_to_decide(rng.normal(0.2, 0.25, 12), 25, 0.2)
    hopeless = chance_to_decide(rng.normal(0.0, 0.25, 30), 5, 0.2)
    assert hopeful > 0.5
    assert hopeless < 0.1
    assert chance_to_decide([0.1], 0, 0.2) == 0


@given(
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.0, 0.5, 1.0]), min_size=1, max_size=25),
    st.sampled_from([1.0, 14.0]),
)
@settings(max_examples=60, deadline=None)
def test_the_symmetric_interval_excludes_zero_only_when_the_e_process_has_decided(
    d: list[float], width: float
) -> None:
    low, high = symmetric_sequence(d, 0.05, width)
    assert low <= high
    if log_e_process(d).max() < np.log(20):
        assert low <= 0 <= high


def test_the_symmetric_interval_tells_the_direction_of_a_clear_effect() -> None:
    low, high = symmetric_sequence([0.5, 0.0, 1.0, 0.5] * 6)
    assert 0 < low < 0.5 < high
    assert symmetric_sequence([]) == (-1, 1)


def test_the_symmetric_interval_covers_at_every_look() -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(150):
        d = 0.2 + rng.choice([-1, 1], 30) * rng.choice([0.0, 0.1, 0.3], 30)
        low, high = symmetric_sequence(d, 0.05)
        missed += not low <= 0.2 <= high
    assert missed <= 0.05 * 150
