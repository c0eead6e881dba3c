"""A run in the layout that the official evaluator reads, one tree per arm.

    <to>/<model>/<arm>/<scenario id>/<trial>/agent_output.json    only files the evaluator knows
    <to>/ground_truth/Scenario-<id>/ground_truth.yaml             what the run was scored against, version 1
    <to>/export.json                                              which folder is which trial, and what has no file

Owns: the mapping from trials to folders. Does not own: the reading side (`evaluator_outputs.py`).
A trial that failed gets a folder without a file, which counts as zero; a trial that was excluded for infrastructure
causes or is still owed gets no folder, and the index lists it with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigurationError, Problem
from harness.interop.directories import appearing
from harness.records import Diagnosis, Plan, TrialRecord, TrialSpec
from scenarios.ground_truth import version_1
from scenarios.schema import GroundTruth

LAYOUT = "itbench-evaluator"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def export_run(
    plan: Plan, records: Sequence[TrialRecord], truths: Mapping[str, GroundTruth], to: Path
) -> dict[str, Any]:
    """Write the tree and return its index. `truths` maps scenario keys to what was scored.

    The directory appears as a whole or not at all. Raises ConfigurationError when it exists, or when the run mixes
    scenarios that share an id."""
    _refuse_shared_ids(plan)
    by_id = {record.spec.trial_id: record for record in records}
    index = _index(plan, by_id)
    with appearing(to) as work:
        for entry in index["trials"]:
            if entry["folder"]:
                (work / entry["folder"]).mkdir(parents=True)
                record = by_id[entry["trial_id"]]
                if record.submission is not None:
                    text = json.dumps(document(record.submission.diagnosis), indent=2)
                    (work / entry["folder"] / "agent_output.json").write_text(text + "\n", encoding="utf-8")
        _write_truths(truths, work / "ground_truth")
        (work / "export.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return index


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis as `agent_output.json` has it."""
    return diagnosis.model_dump(mode="json")


def tree_of(plan: Plan, spec: TrialSpec) -> str:
    """The tree that a trial belongs to: model/arm, under the agent where a run has several."""
    agents = {other.agent for other in plan.trials}
    parts = ([spec.agent] if len(agents) > 1 else []) + [spec.model, spec.arm]
    return "/".join(_UNSAFE.sub("-", part) for part in parts)


def _index(plan: Plan, records: Mapping[str, TrialRecord]) -> dict[str, Any]:
    first = min((spec.repeat for spec in plan.trials), default=0)
    trials = []
    for spec in plan.trials:
        record = records.get(spec.trial_id)
        status = record.status if record else "owed"
        number = spec.repeat - first + 1
        folder = f"{tree_of(plan, spec)}/{spec.scenario.rpartition('/')[2]}/{number}"
        kept = status in ("scored", "failed")
        reason = record.reason if record else None
        entry = {"trial_id": spec.trial_id, "status": status, "reason": reason}
        trials.append(entry | {"folder": folder if kept else None})
    return {"layout": LAYOUT, "experiment": plan.experiment, "plan": plan.digest, "trials": trials}


def _write_truths(truths: Mapping[str, GroundTruth], to: Path) -> None:
    for key, truth in truths.items():
        folder = to / f"Scenario-{key.rpartition('/')[2]}"
        folder.mkdir(parents=True)
        text = yaml.safe_dump(version_1(truth), sort_keys=False, allow_unicode=True)
        (folder / "ground_truth.yaml").write_text(text, encoding="utf-8")


def _refuse_shared_ids(plan: Plan) -> None:
    keys: dict[str, set[str]] = {}
    for key in _keys(plan.trials):
        keys.setdefault(key.rpartition("/")[2], set()).add(key)
    problems = [
        Problem(
            f"scenario {number}",
            f"means {' and '.join(sorted(same))} in this run; one folder cannot hold both",
        )
        for number, same in keys.items()
        if len(same) > 1
    ]
    if problems:
        raise ConfigurationError(problems)


def _keys(trials: Iterable[TrialSpec]) -> list[str]:
    return list(dict.fromkeys(spec.scenario for spec in trials))
