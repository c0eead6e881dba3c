"""Agent architectures, found by short name or by dotted path `package.module:Class`."""

from __future__ import annotations

from harness.plugins import load_class
from harness.protocols import Agent

AGENTS = {"react": "harness.agents.react:ReactAgent"}


def create_agent(kind: str) -> Agent:
    """The agent of that kind. Raises ConfigurationError for an unknown one."""
    agent: Agent = load_class("agent", kind, AGENTS)()
    return agent
