"""An agent: it reads the alerts itself before it lets the model begin."""

from __future__ import annotations

from harness.agents import AgentConfig
from harness.agents.loop import work
from harness.protocols import RequestedCall
from harness.session import Session


class BriefedConfig(AgentConfig):
    """Fields of the agent; set by `agents.briefed.FIELD=...`."""

    tool: str = "get_alerts"
    """The tool that is called before the model's first turn."""


class BriefedAgent:
    """Budgets, guards, tools and the trace belong to the session; an agent only decides what comes next."""

    Config = BriefedConfig

    def __init__(self, config: BriefedConfig) -> None:
        self.config = config

    async def run(self, session: Session) -> None:
        """Brief, then the common loop."""
        messages = session.open()
        (read,) = await session.execute([RequestedCall("c0", self.config.tool, "{}")])
        messages.append(session.tell(str(read["content"])))
        await work(session, messages)
