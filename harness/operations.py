"""What can be done to the environment in one attempt: run a tool, put a change back, see what is left of the budgets.

Owns: that calls take time on the environment's clock, and which changes can be put back. It is all that a guard is
given (`protocols.Operator`). Does not own: who is asked before a call (`session.py`), what tools do (tools).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.budget import Budget
from harness.cluster import ClusterError
from harness.protocols import Environment
from harness.sandbox.tools import SandboxTools
from harness.tools.base import AuditRecord
from harness.tools.toolbox import Toolbox, ToolOutcome
from harness.tools.undo import undo_change
from harness.trace import Event, TraceWriter


class Operations:
    """Implements `protocols.Operator` for one attempt."""

    def __init__(
        self,
        environment: Environment,
        toolbox: Toolbox,
        sandbox: SandboxTools | None,
        budget: Budget,
        trace: TraceWriter,
    ) -> None:
        self.undone: list[str] = []
        """Calls whose changes guards put back, in order."""
        self._environment = environment
        self._toolbox = toolbox
        self._sandbox = sandbox
        self._budget = budget
        self._trace = trace
        self._began = environment.now()
        self._changes: dict[str, AuditRecord] = {}

    @property
    def elapsed(self) -> float:
        """Environment seconds since the agent began."""
        return self._environment.now() - self._began

    async def run(self, name: str, arguments: str | Mapping[str, Any], call_id: str = "") -> ToolOutcome:
        """Run a tool; the time that it takes passes. A change can be put back under the id of its call."""
        if self._sandbox is not None and self._sandbox.serves(name):
            outcome = await self._sandbox.call(name, arguments)
        else:
            outcome = await self._environment.run(lambda: self._toolbox.call(name, arguments))
        if self._environment.virtual_time or outcome.waits:
            await self._environment.elapse(outcome.seconds)
        if outcome.change is not None:
            self._changes[call_id] = outcome.change
        return outcome

    # --- what a guard may do

    @property
    def events(self) -> Sequence[Event]:
        """The trace so far."""
        return self._trace.events

    async def read(self, name: str, args: Mapping[str, Any]) -> tuple[bool, str]:
        """Call a read-only tool for a guard, or an action as a dry run. Raises ValueError for a change."""
        if self._toolbox.mutates(name, args):
            raise ValueError(f"a guard may only read; {name} changes the cluster")
        outcome = await self.run(name, args)
        return outcome.ok, outcome.text

    async def undo(self, call_id: str) -> tuple[bool, str]:
        """Put back for a guard what a call changed; (whether anything was, which objects or why not)."""
        record = self._changes.get(call_id)
        if record is None:
            return False, f"{call_id} changed nothing"
        try:
            objects = await self._environment.run(lambda: undo_change(self._environment.cluster, record))
        except ClusterError as error:
            return False, str(error)
        if objects:
            self.undone.append(call_id)
        return bool(objects), ", ".join(objects) or "a restart cannot be put back"

    def remaining(self) -> Mapping[str, float]:
        """What is left of the budgets."""
        return self._budget.remaining(self.elapsed)
