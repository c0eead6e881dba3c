"""The `state_machine` agent: one model and one conversation, led through phases.

Each phase has a text, the tools that it permits and the outcomes that end it; the model declares an outcome by
calling `finish_phase`, and the outcome decides which phase comes next. Owns: the phases, their order and their
limits. This is the agent's own architecture, present in every arm; an intervention that forces an agent to
end is a guard and knows nothing of these phases.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from harness.agents import AgentConfig
from harness.agents.graph import reachable
from harness.agents.loop import work
from harness.protocols import ToolSchema
from harness.roles import Control, Rights, text_argument, tool_names
from harness.session import Session
from harness.trace import PhaseChange

FINISH = "finish_phase"


class PhaseConfig(AgentConfig):
    """One phase."""

    prompt: str = Field(min_length=1)
    """What is to be done in it; the model reads it when the phase begins."""
    tools: tuple[str, ...] = ()
    """Names of tools, or the groups `read` and `act`."""
    outcomes: Mapping[str, str] = Field(default_factory=dict)
    """Outcome that the model can declare -> the phase that follows."""
    may_submit: bool = False

    @field_validator("tools")
    @classmethod
    def _tools_exist(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        tool_names(tools)
        return tools


class StateMachineConfig(AgentConfig):
    """Phases and where they begin."""

    start: str
    phases: Mapping[str, PhaseConfig] = Field(min_length=1)
    visits: int = Field(default=3, ge=1)
    """How often a phase may be entered; outcomes that lead to a phase beyond that are no longer offered."""

    @model_validator(mode="after")
    def _leads_to_a_submission(self) -> StateMachineConfig:
        named = {
            self.start,
            *(target for phase in self.phases.values() for target in phase.outcomes.values()),
        }
        unknown = sorted(named - self.phases.keys())
        if unknown:
            raise ValueError(f"unknown phase {', '.join(unknown)}; phases are {', '.join(self.phases)}")
        stuck = [name for name, phase in self.phases.items() if not phase.outcomes and not phase.may_submit]
        if stuck:
            raise ValueError(f"{', '.join(stuck)}: give outcomes, or may_submit")
        follow = {name: tuple(phase.outcomes.values()) for name, phase in self.phases.items()}
        if not any(self.phases[name].may_submit for name in reachable(self.start, follow)):
            raise ValueError("no phase that can be reached from the start may submit")
        return self


class StateMachineAgent:
    """Leads a model from phase to phase."""

    Config = StateMachineConfig

    def __init__(self, config: StateMachineConfig) -> None:
        self._config = config
        self._visits: Counter[str] = Counter()

    async def run(self, session: Session) -> None:
        """Work until a submission is accepted, a budget ends or the model falls silent."""
        phase = Phase(self._config.start, self._config, self._visits)
        session.roles.assign(phase.name, phase.rights())
        messages = session.open(phase.name, task=f"{session.task}\n\n{phase.text()}")
        while True:
            await work(session, messages, phase.name, phase.ended)
            if session.done or not phase.ended():
                return
            change = phase.change()
            session.record(change)
            phase = Phase(change.target, self._config, self._visits)
            session.roles.assign(phase.name, phase.rights())
            messages.append(session.tell(phase.text(), phase.name))


class Phase:
    """One visit of one phase."""

    def __init__(self, name: str, config: StateMachineConfig, visits: Counter[str]) -> None:
        self.name = name
        self.outcome = ""
        """What the model declared; empty while the phase lasts."""
        self._said = ""
        self._config = config.phases[name]
        visits[name] += 1
        self.outcomes = {
            outcome: target
            for outcome, target in self._config.outcomes.items()
            if visits[target] < config.visits
        }
        """Outcomes that are still open."""

    def ended(self) -> bool:
        """The model declared an outcome."""
        return self.outcome != ""

    def text(self) -> str:
        """What the model reads when the phase begins."""
        ends = "Call `submit` to end the incident." if self._config.may_submit else ""
        if self.outcomes:
            offered = ", ".join(f"`{outcome}`" for outcome in self.outcomes)
            ends = f"{ends} Call `{FINISH}` to end the phase, with one of the outcomes {offered}.".strip()
        return f"Phase: {self.name}. {self._config.prompt.strip()}\n{ends}"

    def rights(self) -> Rights:
        """What the phase permits. With no outcome left it may submit, so that it cannot be a dead end."""
        may_submit = self._config.may_submit or not self.outcomes
        controls = [Control(finish_schema(list(self.outcomes)), self._finish)] if self.outcomes else []
        return Rights(tool_names(self._config.tools), may_submit, controls)

    def change(self) -> PhaseChange:
        """The event of leaving it."""
        target = self.outcomes[self.outcome]
        return PhaseChange(
            source=self.name, target=target, outcome=self.outcome, text=self._said, role=self.name
        )

    def _finish(self, args: Mapping[str, Any]) -> str:
        outcome = text_argument(args, "outcome", list(self.outcomes))
        self._said = text_argument(args, "summary")
        self.outcome = outcome
        return json.dumps({"ended": self.name, "outcome": outcome})


def finish_schema(outcomes: list[str]) -> ToolSchema:
    """The tool by which the model declares how a phase ended."""
    properties = {
        "outcome": {"type": "string", "enum": outcomes, "description": "how the phase ended"},
        "summary": {"type": "string", "description": "what was established, cite calls, e.g. [c7]"},
    }
    parameters = {"type": "object", "properties": properties, "required": ["outcome", "summary"]}
    return ToolSchema(FINISH, "End this phase of the incident.", parameters | {"additionalProperties": False})
