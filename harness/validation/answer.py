"""A model that recites: given calls, one per turn, whatever it is told. For the self-test of scenarios only.

Owns: the recital, and the recital of an agent that knows the answer. It is no contestant: no configuration names it,
and what it knows comes from the scenario's file, not from the conversation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import Problem
from harness.protocols import ModelReply, ModelRequest, RequestedCall
from harness.scoring.collateral import Condition
from harness.scoring.matcher import RootGroup, match, root_groups
from scenarios.faults import injected_objects
from scenarios.schema import Scenario

Script = Sequence[tuple[str, Mapping[str, Any]]]
"""(tool, arguments) of each turn."""
SETTLE_S = 600
LATENCY_S = 2.0


class ScriptedModel:
    """Makes the script's calls in order, then falls silent."""

    name = "scripted"
    simulated = True

    def __init__(self, script: Script) -> None:
        self._script = script

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        """None: it needs nothing."""
        return ()

    def context_window(self) -> int | None:
        """Unknown: it reads nothing."""
        return None

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The call of this turn; which turn it is shows in the conversation."""
        turn = sum(message["role"] == "assistant" for message in request.messages)
        calls: list[RequestedCall] = []
        if turn < len(self._script):
            tool, arguments = self._script[turn]
            calls.append(RequestedCall(f"s{turn}", tool, json.dumps(arguments)))
        return ModelReply("", calls, latency_s=LATENCY_S)

    async def close(self) -> None:
        """Nothing to give back."""


def answer_script(scenario: Scenario, condition: Condition) -> Script:
    """Apply the first documented solution, wait, and name exactly the root causes that are scored."""
    steps = [step for alternatives in scenario.solutions for step in alternatives[0].steps]
    script: list[tuple[str, Mapping[str, Any]]] = [(step.tool, step.args) for step in steps]
    script += [("wait", {"seconds": SETTLE_S}), ("alert_summary", {})]
    return [*script, ("submit", submission_of(root_names(scenario, condition)))]


def submission_of(names: Sequence[str]) -> Mapping[str, Any]:
    """A submission that names these root causes, or none."""
    entities = [_entity(name, True) for name in names] or [_entity("otel-demo/Namespace/otel-demo", False)]
    return {
        "entities": entities,
        "propagations": [],
        "alerts_explained": [],
        "resolved": True,
        "resolution_evidence": "",
    }


def root_names(scenario: Scenario, condition: Condition) -> list[str]:
    """For each root group that is scored, one object that really exists or that the injection changed."""
    truth = scenario.scored_ground_truth()
    roots = root_groups(truth.groups, truth.aliases)
    known = [*injected_objects(scenario), *condition.objects]
    return [name for root in roots if (name := _name_of(root, roots, map(str, known)))]


def _name_of(root: RootGroup, roots: Sequence[RootGroup], names: Any) -> str:
    return next((name for name in names if match(name, roots).group == root.id), "")


def _entity(name: str, guilty: bool) -> Mapping[str, Any]:
    return {"name": name, "contributing_factor": guilty, "reasoning": "", "evidence": ""}
