"""Sequential stopping: which planned trials are still wanted, given those that have run.

Scenarios come in an order drawn by the experiment's seed, in batches. After each batch every declared contrast
of every system is looked at: decided when its e-process reached m / alpha (m contrasts share the level), given
up when the chance to still find the declared effect is small. Further scenarios run only the arms of undecided
contrasts, and, where the rule is to `complete` them, of contrasts decided in their arm's favour. Owns: this
rule, as a pure function of plan and records, so that a run resumes and a report can tell spared trials from
owed ones. Does not own: the e-process (`statistics/sequential.py`), running (`experiment.py`)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from harness.records import Plan, TrialRecord, TrialSpec
from harness.statistics.contrasts import paired_differences
from harness.statistics.frames import trials_frame
from harness.statistics.sequential import chance_to_decide, confidence_sequence, log_e_process

State = Literal["undecided", "differs", "futile", "exhausted"]
System = tuple[str, str]
Contrast = tuple[str, str, str, str]
"""Model, agent, arm, reference."""
COLUMN = {"modes_per_trace": "modes"}
LOWER_IS_BETTER = ("modes_per_trace",)
SCALE = {"modes_per_trace": 4.0}
"""A metric's differences are divided by this before they are bet on; shares are bet on as they are."""


class Look(NamedTuple):
    """What is known about one contrast at its last look."""

    contrast: Contrast
    state: State
    differences: tuple[float, ...]
    """Of scenarios in the order in which they came."""
    log_e: float
    """Greatest logarithm of the e-process so far."""
    needed: float
    """log_e from which the contrast is decided."""
    limits: tuple[float, float] | None
    """Confidence sequence; only for metrics with bounds."""

    def favours(self, metric: str) -> bool:
        """It is decided, and the arm is the better one on `metric`."""
        gain = sum(self.differences) * (-1 if metric in LOWER_IS_BETTER else 1)
        return self.state == "differs" and gain > 0


class Progress(NamedTuple):
    """Where a sequential experiment stands."""

    wanted: list[TrialSpec]
    """Every trial that the rule has asked for so far, finished or not."""
    looks: list[Look]
    finished: bool
    """No further trial will be asked for."""


def is_sequential(plan: Plan) -> bool:
    """The plan declared sequential stopping."""
    return plan.declaration.stopping.get("rule") == "sequential"


def due_of(plan: Plan) -> Callable[[Sequence[TrialRecord]], list[TrialSpec]] | None:
    """Which trials are wanted as records come in; None: all planned ones, whatever comes."""
    return (lambda records: progress(plan, records).wanted) if is_sequential(plan) else None


def scenario_order(plan: Plan) -> list[str]:
    """Scenarios in an order that neither their names nor any result can influence."""
    seed = plan.config.get("seed", 0)
    names = dict.fromkeys(spec.scenario for spec in plan.trials)
    return sorted(names, key=lambda name: hashlib.sha256(f"order/{seed}/{name}".encode()).digest())


def progress(plan: Plan, records: Sequence[TrialRecord]) -> Progress:
    """Replay the rule look by look, as far as records reach."""
    rule = plan.declaration.stopping
    order, size = scenario_order(plan), int(rule["batch"])
    done = {record.spec.trial_id for record in records}
    systems = dict.fromkeys((spec.model, spec.agent) for spec in plan.trials)
    looks: dict[Contrast, Look] = {}
    contrasts = [(*system, *pair) for system in systems for pair in plan.contrasts]
    view = partial(look, plan, _differences(plan, records), share=len(contrasts))
    wanted: list[TrialSpec] = []
    undecided, favoured = contrasts, list[Contrast]()
    for start in range(0, len(order), size):
        batch = set(order[start : start + size])
        specs = [
            spec
            for spec in plan.trials
            if spec.scenario in batch and is_needed(spec, [*undecided, *favoured])
        ]
        wanted.extend(specs)
        if any(spec.trial_id not in done for spec in specs):
            return Progress(wanted, [looks[one] for one in contrasts if one in looks], False)
        seen = order[: start + size]
        looks |= {one: view(one, seen, len(order) - len(seen)) for one in undecided}
        if rule.get("complete"):
            favoured += [one for one in undecided if looks[one].favours(plan.primary_metric)]
        undecided = [one for one in undecided if looks[one].state == "undecided"]
        if not undecided and not favoured:
            break
    return Progress(wanted, [looks[one] for one in contrasts], True)


def is_needed(spec: TrialSpec, contrasts: Sequence[Contrast]) -> bool:
    """The trial's arm is part of one of these contrasts of its system."""
    return any(
        (spec.model, spec.agent) == (model, agent) and spec.arm in (arm, reference)
        for model, agent, arm, reference in contrasts
    )


Found = dict[Contrast, dict[str, float]]


def _differences(plan: Plan, records: Sequence[TrialRecord]) -> Found:
    """Scenario differences of every contrast on the primary metric."""
    if not records:
        return {}
    frame = trials_frame(records)
    column = COLUMN.get(plan.primary_metric, plan.primary_metric)
    found: Found = {}
    for key, rows in frame.groupby(["model", "agent"]):
        model, agent = map(str, key) if isinstance(key, tuple) else (str(key), "")
        for arm, reference in plan.contrasts:
            found[model, agent, arm, reference] = paired_differences(rows, arm, reference, column)[0]
    return found


def look(
    plan: Plan, found: Found, contrast: Contrast, seen: Sequence[str], remaining: int, share: int
) -> Look:
    """One contrast after the scenarios seen; `share` contrasts divide the level among them."""
    rule = plan.declaration.stopping
    alpha = float(rule["alpha"]) / share
    scale = SCALE.get(plan.primary_metric, 1.0)
    known = found.get(contrast, {})
    d = [known[name] / scale for name in seen if name in known]
    log_e = float(log_e_process(d).max()) if d else 0.0
    needed = math.log(1 / alpha)
    state: State = "undecided"
    if log_e >= needed:
        state = "differs"
    elif not remaining:
        state = "exhausted"
    elif d and chance_to_decide(d, remaining, float(rule["effect"]) / scale, alpha) < float(rule["futility"]):
        state = "futile"
    limits = confidence_sequence(d, alpha) if scale == 1.0 else None
    return Look(contrast, state, tuple(x * scale for x in d), log_e, needed, limits)
