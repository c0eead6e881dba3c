"""Misspelt overrides and verbs are refused with what was meant, before anything is composed."""

from __future__ import annotations

import pytest

from harness.cli import run
from harness.errors import ConfigurationError
from harness.overrides import refuse_misspelt
from tests.experiment.composed import composed


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("repeat=2", "repeats"),
        ("budget.turn=3", "budget.turns"),
        ("executer=local", "executor"),
        ("model=[sim_isolatd,claude]", "sim_isolated"),
        ("agent=[reakt]", "react"),
    ],
)
def test_what_was_meant_is_said(override: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"did you mean {meant}"):
        refuse_misspelt(["+experiment=smoke", override])


def test_all_of_them_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        refuse_misspelt(["repeat=2", "model=[gemini_4]", "budget.turn=3"])
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize(
    "override",
    [
        "repeats=2",
        "models.claude.api_base=x",
        "interventions.verifier_gate.max_refusals=1",
        "+arms.lenient=[verifier_gate]",
        "hydra.run.dir=x",
        "executor.in_flight=3",
        "model=sim_isolated",
        "arms.baseline=[]",
    ],
)
def test_what_is_right_or_hydras_own_matter_passes(override: str) -> None:
    refuse_misspelt(["+experiment=smoke", override])


def test_own_configuration_directories_may_hold_other_choices() -> None:
    refuse_misspelt(["--config-dir=mine", "model=[mine]"])


@pytest.mark.parametrize("argv", [["view"], ["scenarios", "foo"], ["scenarios", "list", "--foo"], ["score"]])
def test_a_wrong_command_line_is_shown_with_its_usage(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv) == 2
    assert "Usage: " in capsys.readouterr().err


def test_one_scenario_needs_no_brackets() -> None:
    assert composed("+experiment=smoke", "scenario=16").scenario == (16,)
