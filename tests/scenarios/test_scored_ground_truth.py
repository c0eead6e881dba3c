"""Which ground truth a trial is scored against is a matter of configuration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness import runner
from harness.config import ExperimentConfig
from harness.experiment import expand
from harness.runner import TrialRunner
from harness.trial import Setting
from harness.validation import run_with_answer
from tests.scenarios.stages import scenario


def config(**fields: Any) -> ExperimentConfig:
    models = {"double": {"kind": "scripted.package:Model"}}
    given = {
        "name": "x",
        "question": "?",
        "scenario": [58],
        "agents": {"react": {"kind": "react"}},
        "arms": {"baseline": []},
    }
    return ExperimentConfig.model_validate({**given, "models": models, **fields})


@pytest.mark.parametrize(("policy", "recall"), [("corrected", 1), ("published", 0)])
def test_the_right_answer_is_wrong_by_a_ground_truth_that_contradicts_the_injection(
    policy: Any, recall: int
) -> None:
    score = asyncio.run(run_with_answer(scenario(58), ground_truth=policy)).score
    assert score is not None
    assert score.recall == recall


@pytest.mark.parametrize("policy", ["corrected", "published"])
def test_a_trial_is_scored_by_the_configured_ground_truth(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: list[Setting] = []

    async def run(spec: Any, setting: Setting) -> None:
        settings.append(setting)

    monkeypatch.setattr(runner, "run_trial", run)
    monkeypatch.setattr(runner, "create_models", lambda config: {"double": object()})
    chosen = config(ground_truth=policy)
    (spec,) = expand(chosen.model_copy(update={"repeats": 1}), [scenario(58)])
    asyncio.run(TrialRunner(chosen).run(spec))
    assert [setting.ground_truth for setting in settings] == [policy]


def test_corrected_is_the_default_and_the_choice_is_part_of_what_determines_results() -> None:
    assert config().ground_truth == "corrected"
    assert config(ground_truth="published").digest() != config().digest()


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match="ground_truth"):
        config(ground_truth="mine")
