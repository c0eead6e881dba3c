"""BCa intervals and the sign-flip test: small cases by hand, symmetry, coverage and level in simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import bca_interval, resampling, sign_flip_p

thirds = st.integers(-6, 6).map(lambda n: n / 3)


def test_all_differences_the_same_way_is_the_rarest_pattern() -> None:
    # Of the 2^5 sign patterns only all plus and all minus reach the sum.
    assert sign_flip_p([0.1, 0.2, 0.3, 0.4, 0.5]) == 2 / 32


def test_small_case_by_hand() -> None:
    # Sums of +-1 +-1 +-2: |sum| >= 2 in 4 + 2 of 8 patterns (4 twice, 2 four times), observed 1 + 1 + 0 = 2.
    assert sign_flip_p([1, -1, 2]) == 6 / 8


@given(st.lists(thirds, min_size=0, max_size=9))
@settings(max_examples=60, deadline=None)
def test_exact_test_equals_full_enumeration(d: list[float]) -> None:
    reached = abs(sum(d)) - 1e-9
    hits = sum(
        abs(sum(s * x for s, x in zip(p, d, strict=True))) >= reached for p in product((-1, 1), repeat=len(d))
    )
    assert sign_flip_p(d) == pytest.approx(hits / 2 ** len(d))


@given(st.lists(thirds, min_size=2, max_size=30))
@settings(max_examples=40, deadline=None)
def test_swapping_the_arms_changes_the_sign_and_nothing_else(d: list[float]) -> None:
    swapped = [-x for x in d]
    assert sign_flip_p(d) == pytest.approx(sign_flip_p(swapped))
    there, back = bca_interval(d), bca_interval(swapped)
    assert there.method == back.method
    assert there.low is not None
    assert back.high is not None
    # Resamples are drawn by place, so the mirrored sample is another draw: equal up to resampling noise.
    assert there.low == pytest.approx(-back.high, abs=0.15)


def test_order_of_scenarios_does_not_matter() -> None:
    d = np.random.default_rng(3).normal(size=24)
    shuffled = np.random.default_rng(4).permutation(d)
    assert bca_interval(d) == bca_interval(shuffled)
    assert sign_flip_p(d) == sign_flip_p(shuffled)


def test_no_difference_anywhere() -> None:
    assert sign_flip_p([0.0] * 24) == 1
    assert bca_interval([0.0] * 24) == (0, 0, "degenerate")


def test_the_same_difference_everywhere_leaves_nothing_to_resample() -> None:
    low, high, method = bca_interval([0.1 + 0.2] * 12)
    assert low == high == pytest.approx(0.3)
    assert method == "degenerate"
    assert sign_flip_p([1 / 3] * 12) == 2 / 2**12


@pytest.mark.parametrize("d", [[], [0.4]])
def test_fewer_than_two_scenarios_give_no_interval_and_no_evidence(d: list[float]) -> None:
    assert bca_interval(d) == (None, None, "none")
    assert sign_flip_p(d) == 1


def test_few_scenarios_use_the_paired_t_interval() -> None:
    # Mean 0.5, sd 0.7071, SE 0.5, t(.975; 1) = 12.7062.
    low, high, method = bca_interval([0, 1])
    assert (low, high) == pytest.approx((0.5 - 12.7062 * 0.5, 0.5 + 12.7062 * 0.5), abs=1e-3)
    assert method == "t"


def test_zero_differences_do_not_change_p() -> None:
    assert sign_flip_p([0.2, 0.5, -0.1]) == sign_flip_p([0, 0.2, 0, 0.5, -0.1, 0])


def test_many_scenarios_are_sampled_close_to_the_exact_value() -> None:
    d = np.random.default_rng(8).normal(0.3, 1, size=resampling.EXACT_UP_TO)
    exact = sign_flip_p(d)
    sampled = resampling._sampled(np.sort(d), abs(d.sum()), resampling.DRAWS, seed=1)
    assert sampled == pytest.approx(exact, abs=0.006)


def test_a_sampled_p_is_never_zero() -> None:
    assert sign_flip_p([1.0 + i / 100 for i in range(60)], draws=999) == 1 / 1000


def test_interval_covers_the_truth_in_simulation() -> None:
    rng = np.random.default_rng(21)
    rounds, shift, covered = 1000, 0.15, 0
    for _ in range(rounds):
        base = rng.beta(2, 3, size=30) * (1 - shift)
        reference = rng.binomial(3, base) / 3
        treated = rng.binomial(3, base + shift) / 3
        low, high, _ = bca_interval(treated - reference, resamples=1999)
        assert low is not None
        assert high is not None
        covered += low <= shift <= high
    assert 0.92 <= covered / rounds <= 0.98


def test_sign_flip_holds_its_level_in_simulation() -> None:
    rng = np.random.default_rng(31)
    rounds = 1000
    p = []
    for _ in range(rounds):
        ease = rng.beta(2, 3, size=24)
        p.append(sign_flip_p((rng.binomial(3, ease) - rng.binomial(3, ease)) / 3))
    rejected = np.mean(np.array(p) < 0.05)
    assert 0.03 <= rejected <= 0.065
