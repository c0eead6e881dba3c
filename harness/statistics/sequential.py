"""Anytime-valid inference on scenario differences: an e-process, a confidence sequence, futility.

Owns: the three procedures for one contrast, on differences in the order in which they came. Does not own: the
order, the stopping rule or which runs come next (`harness/sequential.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.statistics.means import Floats
from harness.statistics.resampling import SEED

RATE = 0.5
"""Betting rate in units of 1 / root mean square of the differences so far. About the standardised effect that
it is best for; 0.5 is a shift of 0.2 in recall at 35 scenarios x 3 runs."""
WAGERS = tuple(float(w) for w in np.linspace(0.05, 0.95, 10))
"""Shares of the capital that the confidence sequence bets, mixed evenly."""
GRID = 401
FINE = 2001
"""Points of the grid of `symmetric_sequence`; odd, so that zero is one of them."""
FUTURES = 400


def log_e_process(differences: Sequence[float] | Floats, rate: float = RATE) -> Floats:
    """log of the e-process after each scenario, against "no difference in any scenario". Along the last axis.

    E_t = mean over both signs of  prod_i exp(+-b_i d_i) / cosh(b_i d_i),  b_i = rate / rms(d_1 ... d_i).

    Given all |d_i|, the sign of a scenario's difference is a coin toss under the null, so each factor has mean 1
    and E_t is a nonnegative martingale: P(some E_t >= 1/a) <= a at any peeking (Ville 1939; de la Pena 1999, Ann
    Probab 27:537; Ramdas et al. 2023, Stat Sci 38:576). The same null as the sign-flip test, and like it free of
    the metric's scale: b_i depends on sizes, never on signs. A bet of the form 1 + b d with b <= 1/2
    (docs/sources S9) is valid too but cannot bet enough: it needed about twice the scenarios.
    """
    d = np.asarray(differences, dtype=np.float64)
    size = np.sqrt(np.cumsum(d**2, axis=-1) / np.arange(1, d.shape[-1] + 1))
    staked = rate * np.divide(d, size, out=np.zeros_like(d), where=size > 0)
    paths = np.cumsum(np.log(2.0) - np.logaddexp(0.0, -2 * np.stack([staked, -staked])), axis=-1)
    return np.asarray(np.logaddexp.reduce(paths, axis=0) - np.log(2.0), dtype=np.float64)


def symmetric_sequence(
    differences: Sequence[float] | Floats, alpha: float = 0.05, width: float = 1.0
) -> tuple[float, float]:
    """Limits for the mean difference that hold at every time at once, given that differences are symmetric.

    All m in [-width, width] that no e-process of d - m has refuted: the e-process turned into an interval, so that
    it never excludes zero before the e-process reached 1/alpha. `confidence_sequence` needs no symmetry around the
    mean, and is wider. The hull of what is kept on a grid of FINE points, zero among them; a side that is not at
    zero gets one step more.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not len(d):
        return -width, width
    step = 2 * width / (FINE - 1)
    m = step * np.arange(
        -(FINE // 2), FINE // 2 + 1
    )  # zero exactly: differences of zero must not lean to a side
    kept = m[log_e_process(d[None, :] - m[:, None]).max(axis=-1) < np.log(1 / alpha)]
    if not len(kept):
        return float(d.mean()), float(d.mean())
    low, high = float(kept.min()), float(kept.max())
    wider_low = low - step if abs(low - step) > step / 2 else low
    wider_high = high + step if abs(high + step) > step / 2 else high
    return wider_low, wider_high


def confidence_sequence(
    differences: Sequence[float] | Floats, alpha: float = 0.05, width: float = 1.0
) -> tuple[float, float]:
    """Limits for the mean difference that hold at every time at once, for differences in [-width, width].

    Betting: for a candidate mean m, K_t(m) = 1/2 prod(1 + w (x_i - m) / m) + 1/2 prod(1 - w (x_i - m) / (1 - m)),
    x the difference rescaled to [0, 1], w mixed over WAGERS. The candidates with K_t < 1/a at *every* t so far
    are kept (Waudby-Smith & Ramdas 2024, JRSS B 86:1). Needs no symmetry, unlike the e-process, and is wide
    with few scenarios. No difference yet: all of [-width, width].
    """
    x = (np.asarray(differences, dtype=np.float64) / width + 1) / 2
    m = np.linspace(0, 1, GRID)[1:-1]
    step = (x[None, :] - m[:, None])[None]
    w = np.asarray(WAGERS)[:, None, None]
    up = np.cumsum(np.log1p(w * step / m[None, :, None]), axis=-1)
    down = np.cumsum(np.log1p(-w * step / (1 - m)[None, :, None]), axis=-1)
    wealth = np.logaddexp.reduce(np.concatenate([up, down]), axis=0) - np.log(2 * len(WAGERS))
    kept = m[(wealth < np.log(1 / alpha)).all(axis=-1)]
    if not len(kept):  # every candidate was refuted at some time: the data cannot be of one mean
        return 0.0, 0.0
    gap = 1 / (GRID - 1)
    low, high = max(0.0, kept.min() - gap), min(1.0, kept.max() + gap)
    return float(width * (2 * low - 1)), float(width * (2 * high - 1))


def chance_to_decide(
    differences: Sequence[float] | Floats,
    remaining: int,
    effect: float,
    alpha: float = 0.05,
    seed: int = SEED,
) -> float:
    """Share of futures in which the e-process still reaches 1/alpha if the true difference is +-`effect`.

    Futures resample the differences seen so far, moved to that mean (conditional power; Lan & Wittes 1988,
    Biometrics 44:579), in the direction that the data favour. Stopping for futility can only lower the level.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not len(d) or remaining <= 0:
        return 0.0
    towards = effect if d.sum() >= 0 else -effect
    rng = np.random.default_rng(seed)
    future = np.clip(rng.choice(d - d.mean() + towards, size=(FUTURES, remaining)), -1, 1)
    paths = np.concatenate([np.broadcast_to(d, (FUTURES, len(d))), future], axis=1)
    return float(np.mean(log_e_process(paths)[:, len(d) :].max(axis=1) >= np.log(1 / alpha)))
