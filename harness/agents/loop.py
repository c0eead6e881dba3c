"""The loop that all architectures with a model share: ask, execute, repeat.

Owns: when a role's work ends. Does not own: what happens between roles, budgets or guards.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.protocols import Message
from harness.session import Session

MAX_SILENT_TURNS = 3
"""Answers in a row without a tool call after which a role counts as having given up."""
NOT_RUN = "This call was not run: your work ended with an earlier call of the same answer."


async def work(
    session: Session, messages: list[Message], role: str = "agent", left: Callable[[], bool] = lambda: False
) -> None:
    """Let a role work until a submission is accepted, it has `left`, or it falls silent.

    Raises AgentError when a budget is used up.
    """
    silent = 0
    while not session.done and not left() and silent < MAX_SILENT_TURNS:
        reply = await session.ask(messages, role)
        if not reply.calls:
            messages.append(await session.silence(reply.text, role))
            silent += 1
            continue
        silent = 0
        for call in reply.calls:
            if left():
                messages.append(
                    {"role": "tool", "tool_call_id": call.id, "content": f"[{call.id}] {NOT_RUN}"}
                )
            else:
                messages.extend(await session.execute([call], role))
