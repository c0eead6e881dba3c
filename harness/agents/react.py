"""The `react` agent: one model in a loop of thought, tool calls and results until it submits."""

from __future__ import annotations

from harness.agents import AgentConfig
from harness.agents.loop import work
from harness.session import Session


class ReactConfig(AgentConfig):
    """It has no fields."""


class ReactAgent:
    """Ask, execute, repeat."""

    Config = ReactConfig

    def __init__(self, config: ReactConfig) -> None:
        self.config = config

    async def run(self, session: Session) -> None:
        """Work until a submission is accepted, a budget ends or the model falls silent."""
        await work(session, session.open())
