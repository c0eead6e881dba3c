"""Agents in a plan: several in one run, each model once with each, a program's content in the hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config import parse_config
from harness.errors import ConfigurationError
from harness.experiment import build_plan
from tests.agents.trials import agent_fields

MODEL = {"kind": "simulated"}


def plan_of(agents: dict[str, Any], **more: Any) -> Any:
    raw = {
        "name": "n",
        "question": "q",
        "scenario": [16],
        "agents": agents,
        "models": {"one": MODEL, "two": MODEL},
        "arms": {"baseline": []},
        "repeats": 1,
    }
    return build_plan(parse_config(raw | more))


def test_every_model_meets_every_agent_and_a_program_with_its_own_model_occurs_once() -> None:
    agents = {
        "react": {"kind": "react"},
        "team": agent_fields("team"),
        "mine": {"kind": "external", "argv": ["true"]},
    }
    trials = plan_of(agents).trials
    assert [(spec.model, spec.agent) for spec in trials] == [
        *(("one", "react"), ("one", "team"), ("two", "react"), ("two", "team"), ("own", "mine")),
    ]
    assert len({spec.trial_id for spec in trials}) == len(trials)
    assert len({spec.seed for spec in trials}) == 1


def test_a_program_that_changed_is_another_plan(tmp_path: Path) -> None:
    program = tmp_path / "agent.py"
    program.write_text("print(1)")
    agents = {"mine": {"kind": "external", "argv": ["python", str(program)]}}
    before = plan_of(agents)
    assert plan_of(agents).digest == before.digest
    program.write_text("print(2)")
    assert plan_of(agents).hashes["agent.mine"] != before.hashes["agent.mine"]


def test_all_problems_of_all_agents_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as found:
        plan_of({"a": {"kind": "react", "turns": 3}, "b": {"kind": "external"}})
    where = [problem.where for problem in found.value.problems]
    assert where == ["agents.a.turns", "agents.b"]


def test_an_agent_of_ones_own_is_found_by_its_dotted_path() -> None:
    assert plan_of({"mine": {"kind": "harness.agents.react:ReactAgent"}}).trials[0].agent == "mine"
