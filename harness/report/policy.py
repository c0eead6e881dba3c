"""The words that go with the numbers: how trials are counted, how uncertainty is measured, what is simulated.

Owns: the texts. Does not own: the rules they describe (`harness/statistics`).
"""

from __future__ import annotations

from harness.statistics.means import CONFIDENCE
from harness.statistics.resampling import BOOTSTRAP_FROM, DRAWS, EXACT_UP_TO, RESAMPLES, SEED

POLICY = {
    "unit": "The unit of analysis is the scenario: runs are averaged within a scenario, and intervals are "
    "over scenarios.",
    "failed": "A failed trial counts as zero (recall, precision, remediated); its cost and its modes count.",
    "excluded": "Only infrastructure causes are excluded; an exclusion removes the trial and its pairs. "
    "Where there are any, bounds with excluded trials counted as zero stand beside the numbers.",
    "owed": "A trial without a record is owed and is part of no number.",
    "paired": "A contrast is the mean over scenarios of arm minus reference, paired by scenario, repeat and "
    "seed.",
    "modes": "Distinct modes present per classified trace; a mode's share is over the traces where it was "
    "decided. Labels are as the classifier gave them, not corrected for its errors.",
    "attempts": "modes_per_trace counts what any attempted submission shows, refused ones included, so that a "
    "guard cannot win by refusing the symptom; modes_per_trace_final leaves out what was repaired before the "
    "last answer.",
    "failed_trace": "A failed trace is one with recall below 1; failed trials are among them.",
    "steps": "A step is an attempted tool call, executed or denied.",
    "planted": "planted_modes_per_failed_trace counts the distinct failures that a simulated model committed "
    "on purpose. They are known exactly: the model reports them outside the trace.",
}
"""How every trial is counted; printed with the tables."""

RECORDED = (
    "On recorded incidents nothing can be remediated and no injection is known: remediated and mutation recall are "
    "missing (–) there, not zero."
)

SIMULATED = (
    "These numbers come from simulated models: test doubles with set failure propensities. They show that "
    "the harness works and are no evidence about any language model."
)

INFERENCE = {
    "confidence": CONFIDENCE,
    "interval": f"BCa bootstrap over scenarios with {RESAMPLES} resamples and seed {SEED}, its level expanded "
    f"for small samples; paired t below {BOOTSTRAP_FROM} scenarios; [all equal] where every scenario has the same "
    "difference.",
    "test": f"Sign-flip permutation over scenarios, exact up to {EXACT_UP_TO} non-zero differences, then "
    f"{DRAWS} draws.",
    "family": "Holm over the declared contrasts of all models on the primary metric. Every other p-value is "
    "exploratory; beside it stands its Benjamini-Hochberg value over all of them, to be read at q = 0.10.",
}
"""How uncertainty is measured; printed with the tables."""

STOPPED = (
    "Trials stopped by a sequential rule: its decisions and confidence sequences hold although it looked many times. "
    "The other intervals and p-values of contrasts take the sample as fixed, and read alone are too optimistic."
)
"""Printed with the tables of a sequential experiment."""

DENOMINATORS = "n = scored + failed; excluded and owed trials are left out"
"""The denominator policy in one line, for captions."""
