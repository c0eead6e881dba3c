"""Statistics as pure functions over the trials table. The scenario is the unit of analysis.

Owns: the table's shape, clustered means, scenario-paired contrasts, multiplicity, denominators, pass@k here;
in modules of their own matched tests, variance components, counts, misclassification, adjustment, economics,
balance, interaction, lethality, power and sequential inference.
Does not own: which numbers a report shows (`harness/report`), where records come from (`harness/store.py`).
Everything is deterministic: resampling has a fixed seed, and the order of records never matters.
"""

from harness.statistics.contrasts import Contrast, paired_differences, scenario_contrast
from harness.statistics.denominators import Denominators, count_trials
from harness.statistics.frames import trials_frame
from harness.statistics.means import Estimate, clustered_mean, clustered_share
from harness.statistics.multiplicity import benjamini_hochberg, holm
from harness.statistics.passk import pass_at_k, pass_hat_k, reliability
from harness.statistics.resampling import bca_interval, sign_flip_p

__all__ = [
    "Contrast",
    "Denominators",
    "Estimate",
    "bca_interval",
    "benjamini_hochberg",
    "clustered_mean",
    "clustered_share",
    "count_trials",
    "holm",
    "paired_differences",
    "pass_at_k",
    "pass_hat_k",
    "reliability",
    "scenario_contrast",
    "sign_flip_p",
    "trials_frame",
]
