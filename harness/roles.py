"""What one role of an agent may do: which tools it is offered, whether it may submit, how it passes work on.

Roles belong to an agent's architecture (agents/team.py, agents/state_machine.py); the session enforces them, so
that a call outside a role stays visible as a failed attempt. Owns: the rights, the words of a refusal, the
names of groups of tools. Does not own: who has which role, or what guards think.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.errors import ToolError
from harness.protocols import ToolSchema
from harness.tools.submit import SUBMIT
from harness.tools.toolbox import TOOLS

READ, ACT = "read", "act"
"""Names of groups: tools that only look (waiting included), and tools that change the cluster."""
GROUPS: Mapping[str, frozenset[str]] = {
    READ: frozenset(name for name, tool in TOOLS.items() if not tool.mutating),
    ACT: frozenset(name for name, tool in TOOLS.items() if tool.mutating),
}


@dataclass(frozen=True, slots=True)
class Control:
    """A tool of the architecture itself, such as handing work over. It touches nothing outside the agent."""

    schema: ToolSchema
    act: Callable[[Mapping[str, Any]], str]
    """Takes effect and returns what the model reads. Raises ToolError for arguments that cannot be served."""


class Answer(NamedTuple):
    """What the architecture answers to a call that never reaches a tool."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Rights:
    """What a role may do."""

    tools: frozenset[str]
    may_submit: bool
    controls: Sequence[Control] = ()

    def offered(self, schemas: Sequence[ToolSchema]) -> list[ToolSchema]:
        """Of everything that is offered what is for the role, its own tools last. Rights are about the
        environment's tools and `submit`: what else is offered, such as a guard's tool, is for all roles."""
        kept = [schema for schema in schemas if not self._withheld(schema.name)]
        return [*kept, *(control.schema for control in self.controls)]

    def answer(self, role: str, name: str, args: Mapping[str, Any]) -> Answer | None:
        """What comes of a call that is a control, or that the role may not make; None for any other."""
        control = next((control for control in self.controls if control.schema.name == name), None)
        if control is not None:
            try:
                return Answer(True, control.act(args))
            except ToolError as error:
                return Answer(False, str(error))
        if not self._withheld(name):
            return None
        own = [control.schema.name for control in self.controls]
        names = ", ".join([*(known for known in TOOLS if known in self.tools), *own])
        return Answer(False, f"{name} is not for the {role} to call. Tools of the {role}: {names}")

    def _withheld(self, name: str) -> bool:
        """It exists, but not for this role."""
        return not self.may_submit if name == SUBMIT.name else name in TOOLS and name not in self.tools


class Roles:
    """The rights of all roles of one trial. A role that was assigned none may do everything."""

    def __init__(self) -> None:
        self._rights: dict[str, Rights] = {}

    def assign(self, role: str, rights: Rights) -> None:
        """Limit what a role may do from now on."""
        self._rights[role] = rights

    def limited(self, role: str) -> bool:
        """Whether the role was assigned rights."""
        return role in self._rights

    def offered(self, role: str, schemas: Sequence[ToolSchema]) -> Sequence[ToolSchema]:
        """Of everything that is offered what is for a role."""
        rights = self._rights.get(role)
        return rights.offered(schemas) if rights else schemas

    def answer(self, role: str, name: str, args: Mapping[str, Any]) -> Answer | None:
        """See Rights.answer; None where the role has no limits."""
        rights = self._rights.get(role)
        return rights.answer(role, name, args) if rights else None


def tool_names(entries: Sequence[str]) -> frozenset[str]:
    """The tools behind names of tools and groups. Raises ValueError naming every unknown one."""
    unknown = [entry for entry in entries if entry not in GROUPS and entry not in TOOLS]
    if unknown:
        known = ", ".join([*GROUPS, *TOOLS])
        raise ValueError(f"unknown tool or group {', '.join(unknown)}; expected some of {known}")
    return frozenset().union(*(GROUPS.get(entry, frozenset({entry})) for entry in entries))


def text_argument(args: Mapping[str, Any], name: str, choices: Sequence[str] = ()) -> str:
    """A required text argument of a control. Raises ToolError naming what was expected."""
    value = args.get(name)
    expected = f"one of {', '.join(choices)}" if choices else "a non-empty text"
    if not isinstance(value, str) or not value.strip() or (choices and value not in choices):
        raise ToolError(f"{name}: expected {expected}, found {value!r}")
    return value
