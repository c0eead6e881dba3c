"""The `react` agent: one model in a loop of thought, tool calls and results until it submits."""

from __future__ import annotations

from harness.session import Session

MAX_SILENT_TURNS = 3
"""Answers in a row without a tool call after which the agent counts as having given up."""


class ReactAgent:
    """Ask, execute, repeat."""

    async def run(self, session: Session) -> None:
        """Work until a submission is accepted, a budget ends or the model falls silent."""
        messages = session.open()
        silent = 0
        while not session.done and silent < MAX_SILENT_TURNS:
            reply = await session.ask(messages)
            if reply.calls:
                messages.extend(await session.execute(reply.calls))
                silent = 0
            else:
                messages.append(await session.silence(reply.text))
                silent += 1
