"""Agent architectures by kind, or by dotted path `package.module:Class`.

react           one model in a loop of thought, tool calls and results
state_machine   one model, led through phases with prompts and tools of their own
team            several roles with conversations of their own that hand work to each other
control         a conduct that is given the scenario's answer, to prove verdicts; no contestant
external        somebody else's program, which works through MCP and brings its own model

An agent class has `Config`, a pydantic model of its fields that refuses unknown keys, and takes one in its
constructor; `own_model = True` on the class says that it never asks the harness for a model, and a property
`digest` is a hash of what its behaviour depends on beside the configuration and this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import ConfigurationError, Problem
from harness.plugins import extended, load_class
from harness.protocols import Agent

AGENTS = extended(
    "agents",
    {
        "react": "harness.agents.react:ReactAgent",
        "state_machine": "harness.agents.state_machine:StateMachineAgent",
        "team": "harness.agents.team:TeamAgent",
        "control": "harness.agents.control:ControlAgent",
        "external": "harness.agents.external:ExternalAgent",
    },
)


class AgentConfig(BaseModel):
    """Base of the agents' configuration: frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def create_agent(name: str, fields: Mapping[str, Any]) -> Agent:
    """A fresh agent from its configuration: `kind` plus the fields of that kind.

    Raises ConfigurationError with every problem: an unknown kind, an unknown key, a bad value.
    """
    agent_class = load_class("agent kind", str(fields.get("kind", "")), AGENTS)
    given = {key: value for key, value in fields.items() if key != "kind"}
    try:
        agent: Agent = agent_class(agent_class.Config.model_validate(given))
    except ValidationError as error:
        raise ConfigurationError([_problem(name, dict(item)) for item in error.errors()]) from None
    return agent


def brings_own_model(agent: Agent) -> bool:
    """Whether the harness' models play no part in what the agent does."""
    return bool(getattr(agent, "own_model", False))


def _problem(name: str, item: Mapping[str, Any]) -> Problem:
    where = ".".join(["agents", name, *(str(part) for part in item["loc"])])
    if item["type"] == "extra_forbidden":
        return Problem(where, "unknown key", "remove it, or check its spelling")
    found = "" if item["type"] in ("missing", "value_error") else f", found {item.get('input')!r}"
    return Problem(where, f"{str(item['msg']).removeprefix('Value error, ')}{found}"[:400])
