"""Trials of agents of every kind on the simulated cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.budget import BudgetConfig
from harness.models.own import OwnModel
from harness.protocols import Guard, Model
from harness.records import TrialRecord
from harness.trace import Event
from tests.experiment import sessions
from tests.scripted_model import Call, ScriptedModel, answer

CONF = Path(__file__).resolve().parents[2] / "conf" / "agent"
CULPRIT = sessions.SHIPPING
_, ANSWER = answer((CULPRIT, "[c1]"))


def scripted(lines: Sequence[str | Call | Sequence[Call]]) -> ScriptedModel:
    """A model that says these lines, whoever asks: words, one call, or several calls at once."""
    return ScriptedModel([[line] if isinstance(line, tuple) else line for line in lines])  # type: ignore[list-item]


class Played(NamedTuple):
    """One finished trial."""

    record: TrialRecord
    events: list[Event]

    def of(self, kind: type[Any]) -> list[Any]:
        """Its events of one type."""
        return [event for event in self.events if isinstance(event, kind)]


def agent_fields(name: str) -> dict[str, Any]:
    """The configuration of an agent as it lies in conf/agent."""
    fields: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return fields


def play(
    fields: Mapping[str, Any],
    model: Model | None = None,
    guards: Callable[[], Sequence[Guard]] = tuple,
    additions: Sequence[str] = (),
    **budget: Any,
) -> Played:
    """One trial of an agent with these fields."""
    limits = BudgetConfig(**budget)
    return Played(*sessions.play(model or OwnModel(), guards, additions, budget=limits, agent=fields))
