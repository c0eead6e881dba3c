"""A run exported in the official layout is readable by its rules, and scores there as it did here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli import run
from harness.errors import ConfigurationError
from harness.interop.evaluator_export import export_run
from harness.records import Diagnosis, Entity, Submission, TrialRecord, TrialSpec
from harness.scoring.diagnosis import score_diagnosis
from harness.scoring.matcher import root_groups
from harness.store import RunDirectory
from scenarios.faults import injected_objects
from scenarios.loader import catalogue
from tests.report import factory

ANSWERS: dict[tuple[int, str, int], Sequence[str] | None] = {
    (16, "baseline", 0): ["otel-demo/Deployment/shipping", "otel-demo/Service/cart"],
    (16, "baseline", 1): ["otel-demo/Service/quote"],
    (20, "baseline", 0): ["otel-demo/Pod/product-catalog-6f9c8d7b5d-x2x4z"],
    (20, "baseline", 1): None,
    (16, "verifier_gate", 0): ["otel-demo/Service/shipping"],
    (20, "verifier_gate", 0): [],
}


def spec(scenario: int, arm: str, repeat: int) -> TrialSpec:
    key = catalogue().get(scenario).key
    return factory.spec(scenario, arm=arm, repeat=repeat).model_copy(update={"scenario": key})


def record(scenario: int, arm: str, repeat: int) -> TrialRecord:
    """A record as a trial writes it."""
    named = ANSWERS[(scenario, arm, repeat)]
    if named is None:
        return factory.record(spec(scenario, arm, repeat), status="failed", reason="no_output")
    diagnosis = Diagnosis(entities=tuple(Entity(name=name, contributing_factor=True) for name in named))
    played = catalogue().get(scenario)
    truth = played.scored_ground_truth()
    score = score_diagnosis(diagnosis, root_groups(truth.groups, truth.aliases), injected_objects(played))
    base = factory.record(spec(scenario, arm, repeat))
    return base.model_copy(update={"submission": Submission(diagnosis=diagnosis), "score": score})


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A run of two arms; one trial failed, one was excluded, one is owed."""
    owed = [spec(20, "verifier_gate", 1), spec(16, "verifier_gate", 1)]
    plan = factory.plan([*(spec(*key) for key in ANSWERS), *owed])
    excluded = factory.record(owed[1], status="excluded", reason="api_error")
    directory = RunDirectory(tmp_path / "run")
    directory.open_for_writing(plan)
    directory.append([(one, b"") for one in [*(record(*key) for key in ANSWERS), excluded]])
    directory.close()
    return tmp_path


@pytest.mark.parametrize("arm", ["baseline", "verifier_gate"])
def test_score_gives_back_the_recall_and_precision_of_the_run(stored: Path, arm: str) -> None:
    assert run(["export", str(stored / "run"), "--to", str(stored / "out")]) == 0
    tree, truths = stored / "out" / "sim_a" / arm, stored / "out" / "ground_truth"
    arguments = ["--ground-truth", str(truths), "--json", str(stored / "result.json")]
    assert run(["score", str(tree), *arguments]) == 0
    results = json.loads((stored / "result.json").read_text())["results"]
    there = {
        (int(one["incident"]), one["trial"]): (
            one["card"]["root_cause_entity"]["recall"],
            one["card"]["root_cause_entity"]["precision"],
        )
        for one in results
    }
    here = {}
    for (scenario, other, repeat), named in ANSWERS.items():
        if other == arm:
            score = record(scenario, arm, repeat).score if named is not None else None
            here[(scenario, repeat + 1)] = (score.recall, score.precision) if score else (0.0, 0.0)
    assert there == here


def test_the_index_accounts_for_every_trial(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(stored / "run"), "--to", str(stored / "out")]) == 0
    assert "6 of 8 trials written" in capsys.readouterr().out
    trials = json.loads((stored / "out" / "export.json").read_text())["trials"]
    without_folder = {entry["status"]: entry["reason"] for entry in trials if entry["folder"] is None}
    assert without_folder == {"excluded": "api_error", "owed": None}
    failed = next(entry for entry in trials if entry["status"] == "failed")
    assert (stored / "out" / failed["folder"]).is_dir()
    assert not list((stored / "out" / failed["folder"]).iterdir())


def test_an_existing_directory_is_not_touched(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stored / "out").mkdir()
    assert run(["export", str(stored / "run"), "--to", str(stored / "out")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert not list((stored / "out").iterdir())


def test_scenarios_that_share_an_id_cannot_share_a_tree(tmp_path: Path) -> None:
    same = spec(16, "baseline", 0)
    plan = factory.plan([same, same.model_copy(update={"scenario": "lite/v0.2/16", "trial_id": "other"})])
    with pytest.raises(ConfigurationError, match="one folder cannot hold both"):
        export_run(plan, [], {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
