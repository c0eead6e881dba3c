"""Main effects and two-way interactions of a two-level design, with what each is aliased with.

Owns: the estimates. Does not own: the design (`harness/factorial.py`). An effect is the mean with the factor on
minus the mean with it off, over all arms; an interaction is half the difference between one factor's effects with the
other on and off. Scenarios are the clusters: the model has an intercept for each, and its covariance allows
for dependence within them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.factorial import Design, Effect


class FactorialEffect(NamedTuple):
    """One estimable effect. None: cannot be estimated from these data."""

    effect: Effect
    aliased: tuple[Effect, ...]
    """Effects of up to two factors that cannot be told apart from it."""
    estimate: float | None
    low: float | None
    high: float | None
    p_value: float | None
    scenarios: int
    trials: int


def factorial_effects(frame: pd.DataFrame, design: Design, metric: str) -> list[FactorialEffect]:
    """All main effects and groups of two-way interactions of one model with one agent.

    Scenarios in which an arm of the design has no value are left out: without them the arms are balanced."""
    table = scenario_table(frame, design, metric)
    groups = design.aliases()
    trials = int(frame.loc[frame["scenario"].isin(table.index), metric].notna().sum())
    if len(table) < 2:
        return [_missing(group, len(table), trials) for group in groups]
    if not np.ptp(table.to_numpy(), axis=1).any():
        return [_missing(group, len(table), trials)._replace(estimate=0.0, p_value=1.0) for group in groups]
    levels = design.levels()
    coded = np.array([_coded(levels[arm], design, groups) for arm in table.columns], dtype=float)
    scenarios, arms = table.shape
    exog = np.hstack([np.tile(coded, (scenarios, 1)), np.kron(np.eye(scenarios), np.ones((arms, 1)))])
    clusters = np.repeat(np.arange(scenarios), arms)
    from statsmodels.regression.linear_model import OLS  # statsmodels.api would import all of it

    fit = OLS(table.to_numpy().ravel(), exog).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}, use_t=True
    )
    intervals, p_values = fit.conf_int(), fit.pvalues
    found = []
    for place, group in enumerate(groups):
        low, high, p = (float(v) for v in (*intervals[place], p_values[place]))
        found.append(
            FactorialEffect(
                effect=group[0],
                aliased=tuple(group[1:]),
                estimate=2 * float(fit.params[place]),
                low=None if np.isnan(low) else 2 * low,
                high=None if np.isnan(high) else 2 * high,
                p_value=None if np.isnan(p) else p,
                scenarios=scenarios,
                trials=trials,
            )
        )
    return found


def scenario_table(frame: pd.DataFrame, design: Design, metric: str) -> pd.DataFrame:
    """Means over repeats: one row for each scenario that has a value in every arm, one column for each arm."""
    arms = list(design.arms())
    valued = frame.loc[frame["arm"].isin(arms) & frame[metric].notna()]
    table = valued.pivot_table(index="scenario", columns="arm", values=metric, aggfunc="mean")
    return table.reindex(columns=arms).dropna().sort_index()


def _coded(row: tuple[int, ...], design: Design, groups: list[list[Effect]]) -> list[int]:
    """The columns of one arm: the product of its levels for each effect."""
    level = dict(zip(design.factors, row, strict=True))
    return [int(np.prod([level[factor] for factor in group[0]])) for group in groups]


def _missing(group: list[Effect], scenarios: int, trials: int) -> FactorialEffect:
    return FactorialEffect(group[0], tuple(group[1:]), None, None, None, None, scenarios, trials)
