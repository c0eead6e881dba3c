"""Where every planned trial went, and what the excluded ones could have changed.

Owns: the conservation check and the bounds for exclusions. Does not own: which causes may be excluded
(`harness/errors.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from harness.records import TrialRecord, TrialSpec
from harness.statistics.contrasts import paired_differences
from harness.statistics.means import clustered_mean


@dataclass(frozen=True)
class Denominators:
    """Counts of trials. planned = scored + failed + excluded + owed + spared, or it cannot be made."""

    planned: int
    scored: int
    """Ended with a submission that was scored."""
    failed: int
    """Count as zero, with a reason code."""
    excluded: int
    """Infrastructure causes: left out of the means."""
    owed: int
    """Have no record yet."""
    spared: int = 0
    """Not needed, says the stopping rule of the plan."""

    def __post_init__(self) -> None:
        accounted = self.scored + self.failed + self.excluded + self.owed + self.spared
        if self.planned != accounted:
            raise ValueError(f"{self.planned} trials were planned but {accounted} are accounted for: {self}")

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def count_trials(
    planned: Collection[TrialSpec], records: Sequence[TrialRecord], spared: Collection[str] = ()
) -> Denominators:
    """Count what became of the planned trials; `spared` are the ids of those that will never be run.

    Raises ValueError for records of trials that were never planned or that are recorded twice."""
    names = {spec.trial_id for spec in planned}
    recorded = [record.spec.trial_id for record in records]
    unplanned = sorted(set(recorded) - names)
    if unplanned:
        raise ValueError(f"{len(unplanned)} records belong to no planned trial, the first is {unplanned[0]}")
    by_status = {
        status: sum(record.status == status for record in records)
        for status in ("scored", "failed", "excluded")
    }
    return Denominators(
        planned=len(planned),
        scored=by_status["scored"],
        failed=by_status["failed"],
        excluded=by_status["excluded"],
        owed=len(names - set(recorded) - set(spared)),
        spared=len((names & set(spared)) - set(recorded)),
    )


def mean_bounds(frame: pd.DataFrame, metric: str) -> dict[str, float | None]:
    """Mean of a metric in [0, 1] with excluded trials dropped, counted as 0, and counted as 1."""
    scenario = frame["scenario"].tolist()
    excluded = frame["excluded"].to_numpy(dtype=bool)
    values = frame[metric].to_numpy(dtype=np.float64)
    fills = {"dropped": np.nan, "as_zero": 0.0, "as_one": 1.0}
    return {
        name: clustered_mean(np.where(excluded, fill, values), scenario).mean for name, fill in fills.items()
    }


def contrast_bounds(frame: pd.DataFrame, arm: str, reference: str, metric: str) -> dict[str, float | None]:
    """Difference of a metric in [0, 1] with excluded trials dropped, counted as 0, and at the two extremes:
    `least` counts them as 0 in the arm and 1 in the reference, `most` the other way round."""
    fills = {"dropped": (None, None), "as_zero": (0.0, 0.0), "least": (0.0, 1.0), "most": (1.0, 0.0)}
    bounds: dict[str, float | None] = {}
    for name, excluded_as in fills.items():
        differences, pairs = paired_differences(frame, arm, reference, metric, excluded_as)
        bounds[name] = sum(differences.values()) / len(differences) if pairs else None
    return bounds
