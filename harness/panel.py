"""The guards of one attempt, ruling in the order in which the arm lists them.

Owns: how several rulings become one, the record of every firing with its cost, the tools that guards offer.
Does not own: what follows from a ruling (`session.py`) or any guard (interventions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.chat import rewritten
from harness.errors import AgentError
from harness.protocols import ALLOW, Guard, GuardEvent, OffersTools, Ruling, ToolSchema
from harness.trace import GuardFired

if TYPE_CHECKING:
    from harness.session import Session

DECISIVE = ("deny", "answer", "conclude")
"""Rulings after which no further guard is asked."""


class Panel:
    """All guards of one attempt."""

    def __init__(self, guards: Sequence[Guard], session: Session) -> None:
        self.guards = guards
        self.firings: dict[str, int] = {}
        """How often each guard did something else than allow."""
        self.offering = [guard for guard in guards if isinstance(guard, OffersTools)]
        """Guards with tools of their own."""
        self._session = session

    def tools(self, taken: set[str]) -> list[ToolSchema]:
        """What the guards offer now, without names that are taken."""
        offered: dict[str, ToolSchema] = {}
        for guard in self.offering:
            for schema in guard.tools():
                if schema.name not in taken:
                    offered.setdefault(schema.name, schema)
        return list(offered.values())

    async def review(self, event: GuardEvent, on: str, call_id: str = "") -> Ruling:
        """Let every guard rule in order. The first denial, answer, conclusion or stop decides; rewrites and
        forces are kept. Raises AgentError("stopped_by_guard")."""
        decided = ALLOW
        for guard in self.guards:
            ruling = await self._rule(guard, event, on, call_id)
            if ruling.kind == "stop":
                raise AgentError("stopped_by_guard", f"{guard.name}: {ruling.feedback}")
            if ruling.kind in DECISIVE:
                return ruling
            if ruling.kind == "rewrite":
                event = rewritten(event, ruling.replacement)
            if ruling.kind != "allow":
                decided = ruling
        return decided

    async def _rule(self, guard: Guard, event: GuardEvent, on: str, call_id: str) -> Ruling:
        """One guard's ruling; recorded unless it allowed at no cost."""
        session, operations = self._session, self._session.operations
        reads, undone = session.toolbox.reads, len(operations.undone)
        ruling = await guard.review(event, operations)
        spent = session.toolbox.reads - reads
        if ruling.kind != "allow":
            self.firings[guard.name] = self.firings.get(guard.name, 0) + 1
        if ruling.kind != "allow" or spent:
            session.record(
                GuardFired(
                    guard=guard.name,
                    ruling=ruling.kind,
                    on=on,
                    call_id=call_id,
                    feedback=ruling.feedback,
                    reads=spent,
                    undone=operations.undone[undone:],
                )
            )
        return ruling
