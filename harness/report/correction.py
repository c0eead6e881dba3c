"""Prevalence of modes corrected for the classifier's errors, where a calibration lies in the run directory.

Owns: reading `calibration.json` and the entries. Does not own: making it (the classifier's calibration), or the
correction (`harness/statistics/misclassification.py`).

The file maps mode slugs to counts `{"tp": 40, "fn": 3, "fp": 2, "tn": 55}`, at its top or under `modes`; under
`arms`, the same per arm, where traces of each arm were labelled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import ConfigurationError, Problem
from harness.records import Plan
from harness.report.arms import cells_of
from harness.statistics.frames import MODE, mode_slugs
from harness.statistics.means import clustered_share
from harness.statistics.misclassification import Calibration, differential_error, rogan_gladen

FILE = "calibration.json"
COUNTS = ("tp", "fn", "fp", "tn")
Modes = Mapping[str, Calibration]


class Calibrations:
    """Counts of all arms together and, where known, of each arm."""

    def __init__(self, overall: Modes, arms: Mapping[str, Modes]) -> None:
        self.overall = overall
        self.arms = arms

    def of(self, arm: str, slug: str) -> Calibration | None:
        """The arm's own counts, else the common ones."""
        return self.arms.get(arm, {}).get(slug) or self.overall.get(slug)


def read_calibration(run_dir: Path) -> Calibrations | None:
    """The calibration that lies in a run directory, if any. Raises ConfigurationError for an unreadable one."""
    path = run_dir / FILE
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        arms = {arm: _modes(modes) for arm, modes in raw.get("arms", {}).items()}
        return Calibrations(_modes(raw.get("modes", raw)), arms)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        what = f"no readable calibration: {error!r}"
        raise ConfigurationError(Problem(str(path), what, "expected slug -> {tp, fn, fp, tn}")) from None


def _modes(raw: Mapping[str, Any]) -> dict[str, Calibration]:
    return {
        slug: Calibration(*(int(counts[name]) for name in COUNTS))
        for slug, counts in raw.items()
        if isinstance(counts, dict) and set(COUNTS) <= counts.keys()
    }


def corrected_modes(plan: Plan, frame: pd.DataFrame, known: Calibrations) -> list[dict[str, Any]]:
    """One entry per cell and calibrated mode; `differential` warns where the arm's own errors differ from the
    reference arm's, because then a correction alone does not make arms comparable."""
    entries = []
    for cell in cells_of(plan):
        rows = frame.loc[
            (frame["model"] == cell.model) & (frame["agent"] == cell.agent) & (frame["arm"] == cell.arm)
        ]
        for slug in mode_slugs(frame):
            counts = known.of(cell.arm, slug)
            share = clustered_share(rows[MODE + slug].to_numpy(), rows["scenario"].tolist())
            if counts is None or share.mean is None:
                continue
            found = rogan_gladen(share.mean, share.n, counts, effective=effective_size(share.mean, share))
            entry = {**cell._asdict(), "slug": slug, **found._asdict()}
            entries.append(entry | _differential(known, cell.arm, plan.reference_arm, slug))
    return entries


def effective_size(share: float, estimate: Any) -> float | None:
    """Independent trials that would give the clustered interval's width; None where it has none."""
    if estimate.low is None or not 0 < share < 1:
        return None
    error = (estimate.high - estimate.low) / 2 / 1.96
    return min(float(estimate.n), share * (1 - share) / error**2) if error > 0 else None


def _differential(known: Calibrations, arm: str, reference: str, slug: str) -> dict[str, Any]:
    own, other = known.arms.get(arm, {}).get(slug), known.arms.get(reference, {}).get(slug)
    if arm == reference or own is None or other is None:
        return {"differential": False, "p_differential": None}
    found = differential_error(own, other)
    return {"differential": found.differs(), "p_differential": min(found)}
