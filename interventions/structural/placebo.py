"""Placebo: fires where a real guard would fire, costs as much, and enforces nothing.

It runs the guard that it shadows on the same events, so that trigger and cost match, and replaces what the
guard would have said by text of the same length without content. A refused submission is held back once in a
while (`turns`) and then accepted; a refused or cached call runs, with the filler beside its result; compacted
messages go out whole, with the filler beside the task. It undoes nothing and closes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

from pydantic import Field

from harness.protocols import (
    ALLOW,
    Guard,
    GuardEvent,
    ObservedToolResult,
    Operator,
    ProposedModelCall,
    ProposedSubmission,
    ProposedToolCall,
    Ruling,
    Silence,
)
from interventions.structural.base import Parameters

OPENING = "Not accepted yet. Take another look at the incident, then submit again."
FILLER = (
    " Take all the time that you need. Incidents differ, and so do the ways in which engineers work on them."
)


class PlaceboParameters(Parameters):
    """Parameters of a placebo."""

    shadows: str = "verifier_gate"
    """The guard whose trigger it shares."""
    turns: int = Field(default=1, ge=1, le=10)
    """Submissions that are held back before the next one is accepted."""
    guard: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the guard that it shadows."""


class Placebo:
    """Costs what a guard costs, without its content."""

    name = "placebo"
    targets: ClassVar[tuple[str, ...]] = ()
    owns: ClassVar[frozenset[str]] = frozenset()
    content: ClassVar[Mapping[str, str]] = {}
    Parameters = PlaceboParameters

    def __init__(self, parameters: PlaceboParameters) -> None:
        self._left = parameters.turns
        self._shadow = shadowed(parameters)
        self._pending = ""
        """Text that the guard would have said about the call that now runs."""

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Let the shadowed guard rule, and replace its effect by filler of the same length."""
        if isinstance(event, ObservedToolResult) and self._pending:
            said, self._pending = self._pending, ""
            return Ruling("rewrite", feedback="filler", replacement=f"{event.text}\n{filler(len(said))}")
        ruling = await self._shadow.review(event, Hands(operator))
        if ruling.kind in ("allow", "forced", "stop"):
            return ALLOW
        match event:
            case ProposedSubmission() | Silence() if self._left > 0:
                self._left -= 1
                return Ruling("deny", feedback=held_back(len(ruling.feedback)))
            case ProposedToolCall():
                self._pending = ruling.feedback
            case ObservedToolResult():
                added = max(0, len(str(ruling.replacement)) - len(event.text))
                return Ruling("rewrite", feedback="filler", replacement=f"{event.text}\n{filler(added)}")
            case ProposedModelCall():
                return Ruling("rewrite", feedback="filler", replacement=beside_task(event, ruling))
        return ALLOW


class Hands:
    """The operator as a placebo's guard has it: it may look, but not put anything back."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    @property
    def events(self) -> Sequence[Any]:
        """The trace so far."""
        return self._operator.events

    async def read(self, name: str, args: Mapping[str, Any]) -> tuple[bool, str]:
        """As the guard's own reads, at the same cost."""
        return await self._operator.read(name, args)

    async def undo(self, call_id: str) -> tuple[bool, str]:
        """Claims to have put something back, and has not."""
        return True, call_id

    def remaining(self) -> Mapping[str, float]:
        """What is left of the budgets."""
        return self._operator.remaining()


def shadowed(parameters: PlaceboParameters) -> Guard:
    """A fresh guard of the kind that is shadowed. Raises ValueError for bad parameters of it."""
    from interventions.registry import GUARDS

    module, _, attribute = GUARDS[parameters.shadows].partition(":")
    guard_class = getattr(import_module(module), attribute)
    guard: Guard = guard_class(guard_class.Parameters.model_validate(parameters.guard))
    return guard


def held_back(length: int) -> str:
    """A refusal of about this length that says nothing about what is missing."""
    return OPENING + filler(length - len(OPENING))


def filler(length: int) -> str:
    """Text without content, `length` characters."""
    return (FILLER * (max(0, length) // len(FILLER) + 1))[: max(0, length)]


def beside_task(event: ProposedModelCall, ruling: Ruling) -> list[dict[str, Any]]:
    """The whole conversation, with filler of the length of what the guard put beside the task."""
    added = 0
    messages = list(event.messages)
    for place, (mine, theirs) in enumerate(zip(event.messages, ruling.replacement, strict=False)):
        grown = len(str(theirs.get("content"))) - len(str(mine.get("content")))
        if mine["role"] == "user" and grown > 0 and not added:
            added = grown
            messages[place] = {**mine, "content": f"{mine['content']}\n{filler(grown)}"}
    return messages
