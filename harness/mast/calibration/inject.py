"""Calibration by injection: exact labels against what detectors say.

Three sources of exact labels: failures that simulated models planted (their out-of-band record), surgical edits of
clean traces, and the clean traces themselves. Owns: gold labels, counts, the thresholds, demotion. Rogan-Gladen
correction uses the counts (statistics).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.mast.calibration.edits import EDITS
from harness.mast.classify import classify
from harness.mast.detectors.unaware_termination import CAPS, MIN_OVERRUN
from harness.mast.tally import Share, wilson
from harness.mast.taxonomy import EXTENSIONS, MODES, taxonomy
from harness.records import Label, TrialRecord
from harness.trace import Event, Final

LEAST_SENSITIVITY = 0.90
LEAST_SPECIFICITY = 0.95
LEAST_POSITIVES = 15
"""Positives below which nothing is claimed about a mode."""
SLUGS = (*MODES, *EXTENSIONS)
BROUGHT_ABOUT: dict[str, frozenset[str]] = {
    "no_or_incomplete_verification": frozenset(
        {"reasoning_action", "premature_termination", "no_clarification"}
    ),
    "incorrect_verification": frozenset({"reasoning_action", "no_or_incomplete_verification"}),
    "premature_termination": frozenset({"no_or_incomplete_verification", "reasoning_action", "derailment"}),
    "reasoning_action": frozenset({"no_clarification"}),
    "step_repetition": frozenset({"history_loss", "conversation_reset", "unaware_termination"}),
    "disobey_task": frozenset({"premature_termination"}),
}
"""Planted failures that can bring a mode about without being recorded as it: where one was planted, the absence of
the mode is not known. Extensions and modes that nothing plants have edits only."""
PLANTS = frozenset(MODES) - {"disobey_role", "withholding", "ignored_input"}


@dataclass
class Counts:
    """A fourfold table of truth and label."""

    tp: int = 0
    fn: int = 0
    fp: int = 0
    tn: int = 0
    undecided: int = 0
    """Known, but not applicable or left open by the detector."""

    def add(self, truth: bool, present: str) -> None:
        """Count one label."""
        if present not in ("present", "absent"):
            self.undecided += 1
            return
        name = ("tp" if present == "present" else "fn") if truth else ("fp" if present == "present" else "tn")
        setattr(self, name, getattr(self, name) + 1)

    @property
    def sensitivity(self) -> Share | None:
        """With its Wilson interval."""
        return wilson(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> Share | None:
        """With its Wilson interval."""
        return wilson(self.tn, self.tn + self.fp)


@dataclass
class Calibration:
    """What was counted."""

    traces: int = 0
    clean: int = 0
    counts: dict[tuple[str, str, str], Counts] = field(default_factory=dict)
    """By (mode, source, basis of the label)."""
    false_fires: Counter[str] = field(default_factory=Counter)
    """Modes decided to be present in clean traces."""

    def add(self, gold: dict[str, bool], source: str, labels: Sequence[Label]) -> None:
        """Count one trace."""
        self.traces += 1
        for label in labels:
            if label.slug in gold:
                key = (label.slug, source, label.basis)
                self.counts.setdefault(key, Counts()).add(gold[label.slug], label.present)

    def pooled(self, slug: str, basis: str) -> Counts:
        """All sources together."""
        total = Counts()
        for (mode, _, of), counts in self.counts.items():
            if (mode, of) == (slug, basis):
                for name in ("tp", "fn", "fp", "tn", "undecided"):
                    setattr(total, name, getattr(total, name) + getattr(counts, name))
        return total


def calibrate(trials: Iterable[tuple[TrialRecord, Sequence[Event]]]) -> Calibration:
    """Count over trials of simulated models and over the edits of those in which nothing was planted."""
    found = Calibration()
    for record, events in trials:
        if not record.simulated or record.status == "excluded":
            continue
        labels = classify(events)
        if record.planted or record.reason:
            found.add(planted_gold(record), "planted", labels)
            continue
        found.clean += 1
        found.add(dict.fromkeys(SLUGS, False), "clean", labels)
        found.false_fires.update(
            label.slug for label in labels if label.present == "present" and label.basis == "decides"
        )
        if any(isinstance(event, Final) for event in events):
            for name, gold, edited in edited_traces(list(events)):
                found.add(gold, f"edit: {name}", classify(edited))
    return found


def edited_traces(events: list[Event]) -> Iterator[tuple[str, dict[str, bool], list[Event]]]:
    """(name, exact labels, trace) of every edit that the trace offers."""
    unseen = [event for event in events if not event.observer]
    for edit in EDITS:
        edited = edit.apply(unseen)
        if edited is not None:
            yield edit.name, {edit.slug: edit.positive}, edited


def planted_gold(record: TrialRecord) -> dict[str, bool]:
    """What is known exactly about a trial. A mode whose presence is not certain is left out."""
    planted = Counter(failure.slug for failure in record.planted)
    gold: dict[str, bool] = {}
    for slug in PLANTS:
        if slug == "unaware_termination":
            continue
        if planted[slug]:
            gold[slug] = True
        elif not BROUGHT_ABOUT.get(slug, frozenset()) & planted.keys():
            gold[slug] = False
    ran_on = planted["unaware_termination"]
    if record.reason in CAPS or not ran_on or ran_on >= MIN_OVERRUN:
        gold["unaware_termination"] = record.reason in CAPS or bool(ran_on)
    return gold


def verdict(found: Calibration, slug: str) -> str:
    """decides, demoted, proposes, or not validated.

    Planted failures have to meet the thresholds on their own too: the mix of edits is ours to choose, theirs not."""
    decided, proposed = found.pooled(slug, "decides"), found.pooled(slug, "proposes")
    se, sp = decided.sensitivity, decided.specificity
    if se is None or se.n < LEAST_POSITIVES or sp is None:
        enough = (proposed.tp + proposed.fn) >= LEAST_POSITIVES
        return "proposes" if enough else "not validated"
    natural = found.counts.get((slug, "planted", "decides"), Counts())
    return "decides" if _good(decided) and _good(natural) else "demoted"


def _good(counts: Counts) -> bool:
    """Both thresholds are met, as far as there are enough traces to say so."""
    se, sp = counts.sensitivity, counts.specificity
    misses = se is not None and se.n >= LEAST_POSITIVES and se.estimate < LEAST_SENSITIVITY
    fires = sp is not None and sp.n >= LEAST_POSITIVES and sp.estimate < LEAST_SPECIFICITY
    return not (misses or fires)


def problems(found: Calibration) -> list[str]:
    """Modes that fail, and edits of which a deciding detector misses more than it may."""
    failing = [
        f"{slug}: decided with sensitivity {_text(found.pooled(slug, 'decides').sensitivity)} and specificity "
        f"{_text(found.pooled(slug, 'decides').specificity)}"
        for slug in SLUGS
        if verdict(found, slug) == "demoted"
    ]
    for edit in EDITS:
        of_edit = [
            found.counts.get((edit.slug, f"edit: {edit.name}", b), Counts()) for b in ("decides", "proposes")
        ]
        right = sum(c.tp if edit.positive else c.tn + c.undecided for c in of_edit)
        known = sum(c.tp + c.fn + c.fp + c.tn + c.undecided for c in of_edit)
        if known and right < LEAST_SENSITIVITY * known:
            failing.append(f"{edit.slug}: right in {right} of {known} traces of the edit {edit.name!r}")
    return failing


def _text(share: Share | None) -> str:
    return "none" if share is None else f"{share.estimate:.2f} [{share.low:.2f}, {share.high:.2f}]"


def as_document(found: Calibration) -> dict[str, Any]:
    """`calibration.json`."""
    modes = {}
    for slug in SLUGS:
        basis = "decides" if verdict(found, slug) in ("decides", "demoted") else "proposes"
        counts = found.pooled(slug, basis)
        modes[slug] = {
            "status": verdict(found, slug),
            "basis": basis,
            "tp": counts.tp,
            "fn": counts.fn,
            "fp": counts.fp,
            "tn": counts.tn,
            "undecided": counts.undecided,
            "sensitivity": _interval(counts.sensitivity),
            "specificity": _interval(counts.specificity),
            "false_fire": _interval(wilson(found.false_fires[slug], found.clean)),
            "sources": {
                f"{source} ({of})": vars(c) for (mode, source, of), c in found.counts.items() if mode == slug
            },
        }
    return {
        "schema": 1,
        "method": "injection: planted failures of simulated models, surgical edits, clean traces",
        "taxonomy": taxonomy().hash,
        "traces": found.traces,
        "clean_traces": found.clean,
        "thresholds": {"sensitivity": LEAST_SENSITIVITY, "specificity": LEAST_SPECIFICITY},
        "modes": modes,
    }


def _interval(share: Share | None) -> dict[str, float] | None:
    return share._asdict() if share else None


def table(found: Calibration) -> str:
    """The figures as Markdown."""
    head = [
        "mode",
        "status",
        "sensitivity [95 %]",
        "n",
        "specificity [95 %]",
        "n",
        "planted only",
        "on clean",
    ]
    lines = [f"{found.traces} traces, {found.clean} of them clean.", "", f"| {' | '.join(head)} |"]
    lines.append("|" + " --- |" * len(head))
    for slug in SLUGS:
        status = verdict(found, slug)
        basis = "decides" if status in ("decides", "demoted") else "proposes"
        counts = found.pooled(slug, basis)
        natural = found.counts.get((slug, "planted", basis), Counts()).sensitivity
        cells: list[object] = [slug, status]
        cells += [
            _text(counts.sensitivity),
            counts.tp + counts.fn,
            _text(counts.specificity),
            counts.tn + counts.fp,
        ]
        cells += [f"{natural.estimate:.2f} (n {natural.n})" if natural else "–"]
        cells += [f"{found.false_fires[slug]} of {found.clean}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
