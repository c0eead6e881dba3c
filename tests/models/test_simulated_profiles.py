"""The shipped profiles load, and the competent model solves real incidents on the simulated cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from harness.config import parse_config
from harness.errors import ConfigurationError
from harness.experiment import expand
from harness.models import create_model
from harness.records import TrialRecord
from harness.runner import TrialRunner
from scenarios.loader import catalogue

PROFILES = sorted(Path(__file__).parents[2].joinpath("conf", "model").glob("sim_*.yaml"))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profile_loads_under_its_own_name(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# @package models.{path.stem}\n")
    model = create_model(path.stem, yaml.safe_load(text))
    assert model.name == path.stem
    assert model.simulated


def test_there_are_three_profiles_and_one_without_failures() -> None:
    assert [path.stem for path in PROFILES] == [
        "sim_cascading",
        "sim_clean",
        "sim_early_stop",
        "sim_isolated",
    ]


def test_every_problem_of_a_profile_is_reported() -> None:
    fields = {"kind": "simulated", "contagion": 2.0, "latency_s": [9, 3], "propensities": {"nap": 1}}
    with pytest.raises(ConfigurationError) as caught:
        create_model("mine", fields)
    assert "models.mine.contagion" in str(caught.value)
    assert "models.mine.propensities.nap" in str(caught.value)


def trial(scenario: int) -> TrialRecord:
    """One baseline trial of the competent model on the real loop."""
    config = parse_config(
        {
            "name": "competence",
            "question": "Can it do the work?",
            "scenario": [scenario],
            "agents": {"react": {"kind": "react"}},
            "models": {"able": {"kind": "simulated"}},
            "arms": {"baseline": []},
            "repeats": 1,
        }
    )
    (spec,) = expand(config, catalogue().select(config.scenario))
    return asyncio.run(TrialRunner(config).run(spec)).record


@pytest.mark.parametrize("scenario", [2, 30, 44, 114])
def test_competent_model_diagnoses_and_remediates(scenario: int) -> None:
    record = trial(scenario)
    assert record.score is not None
    assert record.verdict is not None
    assert record.score.recall == 1
    assert record.verdict.all_clear, record.verdict
    assert record.turns <= 20
    assert record.planted == ()
    assert [label.slug for label in record.labels if label.present == "present"] == []
