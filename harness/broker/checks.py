"""Limits that could not hold, found before anything runs.

Owns: that check. Does not own: ranges of single fields (`config`), or unknown prices (`Model.problems`).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping

from harness.config import ExperimentConfig
from harness.errors import Problem
from harness.models.meter import Metered
from harness.protocols import Model


def is_capped(config: ExperimentConfig) -> bool:
    """Whether any cap on money was set, so that prices must be known."""
    budget = config.budget
    return budget.usd is not None or budget.call_usd is not None or config.money.capped


def unenforceable(config: ExperimentConfig, models: Mapping[str, Model], own: bool) -> Iterator[Problem]:
    """Caps and rates for something that is not there, and caps on what the harness does not pay for; `own`: an
    agent brings its own model."""
    providers = {model.provider for model in models.values() if isinstance(model, Metered)}
    yield from _unknown("money.arms", config.money.arms, config.arms)
    yield from _unknown("money.models", config.money.models, models)
    yield from _unknown("rates", config.rates, {*models, *providers})
    if own and (config.money.usd is not None or config.budget.call_usd is not None):
        what = (
            "an agent brings its own model: what it spends is only reported, so no cap could stop it in time"
        )
        yield Problem(
            "money.usd, budget.call_usd", what, "use budget.usd, which ends a trial after the report"
        )


def _unknown(where: str, named: Collection[str], known: Collection[str]) -> Iterator[Problem]:
    for name in named:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            yield Problem(
                f"{where}.{name}", f"no such name; expected one of {', '.join(sorted(known))}", hint
            )
