"""Human gold: blind annotation sheets, their format, and agreement.

A gold file is JSON lines, one per trace and annotator:

    {"trace": "t0007", "annotator": "a", "labels": {"step_repetition": {"present": "yes", "events": [12, 14]}, ...}}

`present` is yes, no or cannot_tell; a mode that is left out was not judged. `trace` is the sheet's opaque id, or
after `unblinded` the trace's own. Owns: the format, the export, agreement with bootstrap over traces.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import ValidationError

from harness.errors import ConfigurationError, Problem
from harness.interop.imported import Imported
from harness.mast.judge.script import script
from harness.mast.tally import Agreement
from harness.mast.taxonomy import EXTENSIONS, MODES, taxonomy
from harness.records import Record

RESAMPLES = 2000
Measure = Callable[[Sequence[Mapping[str, int]]], float | None]
"""An agreement over traces; each trace maps annotators to 1 and 0."""
Answer = Literal["yes", "no", "cannot_tell"]


class Mark(Record):
    """One annotator's answer about one mode."""

    present: Answer
    events: tuple[int, ...] = ()
    """Events that show it; required for a yes."""
    note: str = ""


class GoldLine(Record):
    """One annotator on one trace."""

    trace: str
    annotator: str
    labels: Mapping[str, Mark]


class Interval(NamedTuple):
    """An estimate with its 95 % percentile bootstrap interval over traces."""

    estimate: float | None
    low: float | None
    high: float | None


class Concord(NamedTuple):
    """Agreement on one mode."""

    traces: int
    positives: int
    """Answers of yes."""
    kappa: Interval
    """Cohen's kappa, for two annotators."""
    ac1: Interval
    """Gwet's AC1, for two annotators."""
    alpha: Interval
    """Krippendorff's alpha, nominal, for any number of annotators with gaps."""


# --- sheets ---------------------------------------------------------------------------------------------


def write_sheets(items: Iterable[Imported], out: Path, count: int, seed: int) -> int:
    """Draw traces and write a sheet for each, `gold_template.jsonl`, and `key.json` (which annotators must not
    see): ids, order and text tell neither model nor arm nor outcome. Returns how many were written."""
    drawn: list[Imported] = []
    dice = random.Random(seed)
    for place, item in enumerate(items):
        if len(drawn) < count:
            drawn.append(item)
        elif (at := dice.randrange(place + 1)) < count:
            drawn[at] = item
    dice.shuffle(drawn)
    out.mkdir(parents=True, exist_ok=True)
    key = {}
    with open(out / "gold_template.jsonl", "w", encoding="utf-8") as template:
        for number, item in enumerate(drawn, start=1):
            opaque = f"t{number:04d}"
            key[opaque] = item.trace_id
            (out / f"{opaque}.md").write_text(sheet(opaque, item), encoding="utf-8")
            template.write(json.dumps({"trace": opaque, "annotator": "", "labels": {}}) + "\n")
    (out / "key.json").write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
    return len(drawn)


def sheet(opaque: str, item: Imported) -> str:
    """One trace with the questions, as Markdown."""
    data = taxonomy()
    lines = [f"# {opaque}", "", "Answer each: yes, no or cannot_tell; for a yes give the events.", ""]
    for slug, mode in data.modes.items():
        lines.append(f"- **{slug}**: {mode.is_} Not: {mode.is_not}")
    lines += [f"- **{slug}** (SRE): {data.extensions[slug]}" for slug in EXTENSIONS]
    lines += ["", "## Events", ""]
    for line in script(item.events):
        lines += [f"[{line.i}] {line.head}", *("    " + part for part in line.text.splitlines()), ""]
    return "\n".join(lines)


# --- reading --------------------------------------------------------------------------------------------


def read_gold(path: Path) -> list[GoldLine]:
    """A gold file. Raises ConfigurationError listing every line that is not right."""
    found, problems = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            gold = GoldLine.model_validate_json(line)
        except ValidationError as error:
            problems += [
                Problem(where, f"{'.'.join(map(str, e['loc']))}: {e['msg']}") for e in error.errors()
            ]
            continue
        problems += [
            Problem(where, f"{slug}: unknown mode")
            for slug in gold.labels
            if slug not in (*MODES, *EXTENSIONS)
        ]
        problems += [
            Problem(where, f"{slug}: a yes needs events")
            for slug, mark in gold.labels.items()
            if mark.present == "yes" and not mark.events
        ]
        found.append(gold)
    if problems:
        raise ConfigurationError(problems)
    return found


def unblinded(gold: Sequence[GoldLine], key: Mapping[str, str]) -> list[GoldLine]:
    """The same under the traces' own ids."""
    return [line.model_copy(update={"trace": key.get(line.trace, line.trace)}) for line in gold]


# --- agreement ------------------------------------------------------------------------------------------


def agreement(gold: Sequence[GoldLine], seed: int = 0) -> dict[str, Concord]:
    """Agreement between annotators, by mode. cannot_tell and gaps are missing answers."""
    concords = {}
    for slug in (*MODES, *EXTENSIONS):
        units: dict[str, dict[str, int]] = {}
        for line in gold:
            mark = line.labels.get(slug)
            if mark is not None and mark.present != "cannot_tell":
                units.setdefault(line.trace, {})[line.annotator] = int(mark.present == "yes")
        shared = [unit for unit in units.values() if len(unit) >= 2]
        if shared:
            concords[slug] = _concord(shared, seed)
    return concords


def _concord(units: Sequence[Mapping[str, int]], seed: int) -> Concord:
    def of_pair(measure: Callable[[Agreement], float | None]) -> Measure:
        return lambda sample: measure(_pairs(sample))

    answers = [value for unit in units for value in unit.values()]
    two = len({name for unit in units for name in unit}) == 2
    none = Interval(None, None, None)
    return Concord(
        traces=len(units),
        positives=sum(answers),
        kappa=_bootstrap(units, of_pair(lambda counts: counts.kappa), seed) if two else none,
        ac1=_bootstrap(units, of_pair(lambda counts: counts.ac1), seed) if two else none,
        alpha=_bootstrap(units, krippendorff, seed),
    )


def _pairs(units: Sequence[Mapping[str, int]]) -> Agreement:
    cells = [0, 0, 0, 0]
    for unit in units:
        first, second = (value for _, value in sorted(unit.items()))
        cells[{(1, 1): 0, (1, 0): 1, (0, 1): 2, (0, 0): 3}[first, second]] += 1
    return Agreement(*cells)


def krippendorff(units: Sequence[Mapping[str, int]]) -> float | None:
    """Krippendorff's alpha for yes and no with gaps; None where no answer ever varies."""
    coincidences = np.zeros((2, 2))
    for unit in units:
        values = list(unit.values())
        weight = 1.0 / (len(values) - 1)
        for i, one in enumerate(values):
            for j, other in enumerate(values):
                if i != j:
                    coincidences[one, other] += weight
    totals = coincidences.sum(axis=1)
    n = totals.sum()
    expected = 2 * totals[0] * totals[1] / (n - 1) if n > 1 else 0.0
    return None if expected == 0 else float(1 - 2 * coincidences[0, 1] / expected)


def _bootstrap(
    units: Sequence[Mapping[str, int]],
    measure: Measure,
    seed: int,
) -> Interval:
    """Percentile interval over resampled traces; resamples without an estimate are left out."""
    estimate = measure(units)
    dice = np.random.default_rng(seed)
    draws = (dice.integers(0, len(units), len(units)) for _ in range(RESAMPLES))
    values = [value for draw in draws if (value := measure([units[i] for i in draw])) is not None]
    if estimate is None or not values:
        return Interval(estimate, None, None)
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(estimate, float(low), float(high))
