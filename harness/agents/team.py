"""The `team` agent: roles with conversations, texts and tools of their own that hand the work to each other.

One role works at a time. It hands the work over by calling `hand_over`; what it writes there is all that the
receiver learns from it. The topology is data: each role names the roles that it may hand over to, so a chain, a
hierarchy and a cycle are three configurations. Owns: roles, topology, messages, the cap on cycles. Does not own:
enforcement of a role's tools (harness/roles.py, harness/session.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from harness.agents import AgentConfig
from harness.agents.graph import reachable
from harness.agents.loop import work
from harness.errors import ToolError
from harness.protocols import Message, ToolSchema
from harness.roles import Control, Rights, text_argument, tool_names
from harness.session import Session
from harness.trace import AgentMessage

HAND_OVER = "hand_over"


class RoleConfig(AgentConfig):
    """One role of the team."""

    prompt: str = Field(min_length=1)
    """What the role is there for; the end of its system prompt."""
    tools: tuple[str, ...] = ()
    """Names of tools, or the groups `read` and `act`."""
    hands_to: tuple[str, ...] = ()
    """Roles that it may hand the work to."""
    may_submit: bool = False
    visits: int = Field(default=1, ge=1)
    """How often the role may be given the work."""

    @field_validator("tools")
    @classmethod
    def _tools_exist(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        tool_names(tools)
        return tools


class TeamConfig(AgentConfig):
    """Roles and who begins."""

    start: str
    roles: Mapping[str, RoleConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _leads_to_a_submission(self) -> TeamConfig:
        named = {self.start, *(other for role in self.roles.values() for other in role.hands_to)}
        unknown = sorted(named - self.roles.keys())
        if unknown:
            raise ValueError(f"unknown role {', '.join(unknown)}; roles are {', '.join(self.roles)}")
        stuck = [name for name, role in self.roles.items() if not role.hands_to and not role.may_submit]
        if stuck:
            raise ValueError(f"{', '.join(stuck)}: give hands_to, or may_submit")
        follow = {name: role.hands_to for name, role in self.roles.items()}
        if not any(self.roles[name].may_submit for name in reachable(self.start, follow)):
            raise ValueError("no role that the work can reach may submit")
        return self


class TeamAgent:
    """Passes the work from role to role."""

    Config = TeamConfig

    def __init__(self, config: TeamConfig) -> None:
        self._config = config
        self._visits: Counter[str] = Counter()
        self._conversations: dict[str, list[Message]] = {}
        self._message: AgentMessage | None = None

    async def run(self, session: Session) -> None:
        """Work until a submission is accepted, a budget ends or the role at work falls silent."""
        role = self._config.start
        while True:
            messages = self._take_over(session, role)
            await work(session, messages, role, self._handed_over)
            if session.done or self._message is None:
                return
            session.record(self._message)
            role = self._message.receiver

    def _handed_over(self) -> bool:
        return self._message is not None

    def _take_over(self, session: Session, role: str) -> list[Message]:
        """The role's conversation, opened or continued, with the message that brought it the work."""
        self._visits[role] += 1
        receivers = self._receivers(role)
        session.roles.assign(role, self._rights(role, receivers))
        messages = self._conversations.get(role)
        if messages is None:
            system = f"{session.system}\n\n{self._duties(role)}"
            messages = self._conversations[role] = session.open(role, system=system)
        if self._message is not None:
            messages.append({"role": "user", "content": spoken(self._message)})
            self._message = None
        return messages

    def _receivers(self, role: str) -> list[str]:
        """Roles that can still be given the work."""
        roles = self._config.roles
        return [name for name in roles[role].hands_to if self._visits[name] < roles[name].visits]

    def _duties(self, role: str) -> str:
        """What a role is told about itself and the others."""
        config = self._config.roles[role]
        others = ", ".join(f"`{name}`" for name in config.hands_to)
        lines = [f"You work in a team, as its {role}. {config.prompt.strip()}"]
        if config.hands_to:
            lines.append(
                f"When your part is done, call `{HAND_OVER}` to give the work to another role ({others}). Others "
                "read only what you write there, not your conversation."
            )
        if not config.may_submit:
            lines.append("You do not submit; another role does.")
        return "\n".join(lines)

    def _rights(self, role: str, receivers: Sequence[str]) -> Rights:
        """What the role may do now. Where nobody is left to hand over to it may submit: no dead ends."""
        config = self._config.roles[role]

        def hand_over(args: Mapping[str, Any]) -> str:
            self._message = message_of(role, receivers, args)
            return json.dumps({"handed_over_to": self._message.receiver})

        controls = [Control(hand_over_schema(receivers), hand_over)] if receivers else []
        return Rights(tool_names(config.tools), config.may_submit or not receivers, controls)


def message_of(sender: str, receivers: Sequence[str], args: Mapping[str, Any]) -> AgentMessage:
    """The message in a call of `hand_over`. Raises ToolError naming what was expected."""
    evidence = args.get("evidence", [])
    if not isinstance(evidence, list) or not all(isinstance(item, str) for item in evidence):
        raise ToolError(f"evidence: expected a list of call ids, found {evidence!r}")
    receiver = text_argument(args, "to", receivers)
    text = text_argument(args, "message")
    return AgentMessage(sender=sender, receiver=receiver, text=text, evidence=evidence, role=sender)


def spoken(message: AgentMessage) -> str:
    """A message as its receiver reads it."""
    ids = " ".join(f"[{item.strip('[]')}]" for item in message.evidence)
    cited = f"\nEvidence: {ids}" if ids else ""
    return f"Message from the {message.sender}:\n{message.text}{cited}"


def hand_over_schema(receivers: Sequence[str]) -> ToolSchema:
    """The tool by which a role hands the work over."""
    properties = {
        "to": {"type": "string", "enum": list(receivers), "description": "the role that goes on"},
        "message": {
            "type": "string",
            "description": "findings, what was changed, what is uncertain, and what the receiver is to do",
        },
        "evidence": {
            "type": "array",
            "items": {"type": "string"},
            "description": "ids of the calls that show it, e.g. c7",
        },
    }
    required = ["to", "message"]
    parameters = {"type": "object", "properties": properties, "required": required}
    return ToolSchema(
        HAND_OVER,
        "Hand the work over to another role of the team.",
        parameters | {"additionalProperties": False},
    )
