"""The trials of a page as compact data, and links into it: what every number of a report leads to.

Owns: the columns of the list that a page carries, and the form of links (`#trials?arm=1`, `#trial-17`). Does not
own: how the list is shown (`templates/trials.js`), or the traces (`traces.py`). A trial's number is its place in
the frozen plan, so that a link means the same trial for as long as the run directory exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from harness.records import Plan, TrialRecord, Verdict
from harness.report.arms import cells_of
from harness.report.matrix import MARKS, natural, outcome
from harness.statistics.frames import combine_sources

OUTCOMES = list(MARKS)
CLEARED, REMOVED, DAMAGED, UNDECIDED = 1, 2, 4, 8
"""Bits of a verdict."""


class TrialIndex:
    """Names by number for everything that a trial is told apart by."""

    def __init__(self, plan: Plan, records: Sequence[TrialRecord]) -> None:
        cells = cells_of(plan)
        self.numbers = numbers_of(plan)
        self.systems = list(dict.fromkeys((cell.model, cell.agent) for cell in cells))
        self.arms = list(dict.fromkeys(cell.arm for cell in cells))
        self.reference = plan.reference_arm
        self.scenarios = sorted({spec.scenario for spec in plan.trials}, key=natural)
        self.records = sorted(records, key=lambda record: self.numbers[record.spec.trial_id])
        self.simulated = {(r.spec.model, r.spec.agent) for r in records if r.simulated}
        self.modes = sorted({label.slug for record in records for label in record.labels})
        self.reasons = sorted({record.reason for record in records if record.reason})
        self.guards = sorted({guard for record in records for guard in record.guard_firings})

    def document(self, files: Mapping[str, int]) -> dict[str, Any]:
        """What the page carries. `files`: trial id -> number of the file that holds its trace."""
        return {
            "systems": [[*system, system in self.simulated] for system in self.systems],
            "arms": self.arms,
            "reference": self.arms.index(self.reference) if self.reference in self.arms else None,
            "scenarios": self.scenarios,
            "outcomes": [[name, *MARKS[name]] for name in OUTCOMES],
            "modes": self.modes,
            "reasons": self.reasons,
            "guards": self.guards,
            "trials": self._rows(files),
        }

    def _rows(self, files: Mapping[str, int]) -> list[list[Any]]:
        """One list per trial; `templates/trials.js` names the places."""
        place = {name: _places(getattr(self, name)) for name in ("systems", "arms", "scenarios")}
        mode, reason, guard = _places(self.modes), _places(self.reasons), _places(self.guards)
        return [
            [
                self.numbers[record.spec.trial_id],
                place["systems"][record.spec.model, record.spec.agent],
                place["arms"][record.spec.arm],
                place["scenarios"][record.spec.scenario],
                record.spec.repeat,
                OUTCOMES.index(outcome(record)),
                round(record.score.recall, 4) if record.score else None,
                round(record.score.precision, 4) if record.score else None,
                verdict_bits(record.verdict, record.can_act),
                [mode[slug] for slug, present in combine_sources(record.labels).items() if present],
                record.tool_calls,
                record.denied_calls,
                record.usage.input_tokens + record.usage.output_tokens,
                round(record.usage.cost_usd, 4),
                reason[record.reason] if record.reason else None,
                [guard[name] for name, fired in record.guard_firings.items() if fired],
                files.get(record.spec.trial_id),
            ]
            for record in self.records
        ]

    # --- links ------------------------------------------------------------------------------------------

    def trial(self, trial_id: str) -> str:
        """Link to one trial and its trace."""
        return f"#trial-{self.numbers[trial_id]}"

    def trials(
        self,
        of: Mapping[str, Any] | None = None,
        *,
        arm: str | None = None,
        pair: tuple[str, str] | None = None,
        scenario: str | None = None,
        mode: str | None = None,
        reason: str | None = None,
        guard: str | None = None,
        outcomes: Iterable[str] = (),
        below_one: bool = False,
    ) -> str:
        """Link to the trials behind a number. `of` names the model and the agent; `pair` is arm and reference."""
        wanted: dict[str, Any] = {}
        if of is not None:
            wanted["system"] = self.systems.index((of["model"], of["agent"]))
        if arm is not None:
            wanted["arm"] = self.arms.index(arm)
        if pair is not None:
            wanted["pair"] = ".".join(str(self.arms.index(one)) for one in pair)
        if below_one:
            outcomes = [name for name in OUTCOMES if name in ("partial", "none", "failed")]
        named = {"scenario": self.scenarios, "mode": self.modes, "reason": self.reasons, "guard": self.guards}
        asked = {"scenario": scenario, "mode": mode, "reason": reason, "guard": guard}
        for key, value in asked.items():
            if value is not None and value in named[key]:
                wanted[key] = named[key].index(value)
        if outcomes := list(outcomes):
            wanted["outcome"] = ".".join(str(OUTCOMES.index(name)) for name in outcomes)
        return f"#trials?{urlencode(wanted)}" if wanted else "#trials"


def numbers_of(plan: Plan) -> dict[str, int]:
    """Trial id -> number of the trial: its place in the plan."""
    return {spec.trial_id: place for place, spec in enumerate(plan.trials)}


def verdict_bits(verdict: Verdict | None, can_act: bool) -> int | None:
    """CLEARED, REMOVED and DAMAGED added up; UNDECIDED without a verdict, None where there cannot be one."""
    if verdict is None:
        return UNDECIDED if can_act else None
    return (
        CLEARED * verdict.symptom_cleared
        + REMOVED * verdict.cause_removed
        + DAMAGED * verdict.collateral_damage
    )


def _places(names: Sequence[Any]) -> dict[Any, int]:
    return {name: place for place, name in enumerate(names)}
