"""What arms did to the modes that they target: the analysis `targeted_modes` in `results.json`.

Owns: which modes an arm targets, and the entries. Does not own: the contrast (`harness/statistics`). An arm targets
what its interventions name, its twin's and its placebo's the same modes as their guard's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.records import Plan
from harness.statistics.contrasts import scenario_contrast
from harness.statistics.frames import MODE
from interventions.registry import GUARDS, load, prompt_names

TARGETED = "targeted_modes"
SHOWN = ("estimate", "low", "high", "p_value", "scenarios", "pairs", "method")


def targeted_modes(plan: Plan, counted: pd.DataFrame) -> list[dict[str, Any]]:
    """For every declared contrast of an arm with targets: the difference in targeted modes present per trace."""
    entries = []
    for model, agent in dict.fromkeys((spec.model, spec.agent) for spec in plan.trials):
        rows = counted.loc[(counted["model"] == model) & (counted["agent"] == agent)]
        for arm, reference in plan.contrasts:
            slugs = targets_of(plan, arm)
            if slugs:
                frame = rows.assign(**{TARGETED: present(rows, slugs)})
                found = scenario_contrast(frame, arm, reference, TARGETED, (0.0, float(len(slugs))))
                names = {"model": model, "agent": agent, "arm": arm, "reference": reference}
                entries.append(names | {"modes": slugs} | {key: getattr(found, key) for key in SHOWN})
    return entries


def targets_of(plan: Plan, arm: str) -> list[str]:
    """The modes that an arm's interventions are meant to reduce; those of unknown interventions are left out."""
    found: dict[str, None] = {}
    for name in (plan.config.get("arms") or {}).get(arm, ()):
        shown = name.removesuffix("_placebo")
        if shown in GUARDS or shown in prompt_names():
            found.update(dict.fromkeys(load(shown).targets))
    return list(found)


def present(rows: pd.DataFrame, slugs: Sequence[str]) -> pd.Series:
    """How many of these modes each trace shows; missing where none of them was decided."""
    known = [MODE + slug for slug in slugs if MODE + slug in rows.columns]
    return rows[known].sum(axis=1, min_count=1) if known else pd.Series(np.nan, index=rows.index)
