"""Work in phases or in a team, as a model reads it from its tools and messages: when and to whom to pass work on.

Owns: recognising a tool that passes work on (one choice and a text), the choice, the words, and what is believed
because others said so. Does not own: the work itself (`policy`) or its failures (`failures`). Where no such tool
is offered nothing here has an effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from harness.models.simulated.answer import cite
from harness.models.simulated.beliefs import Beliefs
from harness.models.simulated.policy import Step, still_firing
from harness.models.simulated.transcript import MUTATING
from harness.protocols import ToolSchema

LOOK = "alert_summary"
"""Who has this tool can see for itself."""
INVESTIGATE, REMEDIATE, VERIFY = r"investig|diagnos|triage", r"remed|repair|fix", r"verif|review|check"
NEXT = {INVESTIGATE: REMEDIATE, REMEDIATE: VERIFY}
PASSING_ON = "My part is done; I pass the work on."
_FROM = re.compile(r"\A\s*message from (?:the )?(\w+)", re.I)
_CAUSE = re.compile(r"root cause: (\S+/[A-Z]\w+/[\w.-]*\w)", re.I)
_CARRIED_OVER = frozenset({"premature_termination", "history_loss"})
"""Failures that are the same whether work is submitted or passed on."""


class Passing(NamedTuple):
    """A tool that passes work on."""

    name: str
    choice: str
    """Its argument that takes one of `options`."""
    options: Sequence[str]
    text: str
    lists: Sequence[str]
    """Its arguments that take a list."""


def hear(beliefs: Beliefs) -> None:
    """Without a cause of its own, the model believes the cause that the latest message names."""
    if beliefs.causes:
        return
    for _, text in reversed(beliefs.transcript.instructions):
        found = _CAUSE.search(text) if _FROM.match(text) else None
        if found:
            beliefs.symptom = found.group(1)
            return


def passed_on(step: Step, tools: Sequence[ToolSchema], beliefs: Beliefs) -> Step:
    """The step itself; or, where it would end the incident and somebody else is to go on, passing the work on."""
    if step.name != "submit" or (passing := next(filter(None, map(passing_of, tools)), None)) is None:
        return step
    names = frozenset(tool.name for tool in tools)
    option = next(iter(_preferred(passing.options, _wishes(beliefs, names))), "")
    if not option and "submit" in names:
        return step
    args: dict[str, Any] = {passing.choice: option or passing.options[0], passing.text: report(beliefs)}
    cited = re.findall(r"c\d+", cite(beliefs, beliefs.leading)) if beliefs.leading else []
    args |= {name: cited for name in passing.lists if cited}
    planted = tuple(failure for failure in step.planted if failure[0] in _CARRIED_OVER)
    return replace(step, name=passing.name, args=args, said=PASSING_ON, planted=planted)


def passing_of(tool: ToolSchema) -> Passing | None:
    """How a tool passes work on; None for any other tool."""
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    required = list(tool.parameters.get("required", ()))
    choices = [name for name in required if properties[name].get("enum")]
    texts = [name for name in required if properties[name].get("type") == "string" and name not in choices]
    if len(choices) != 1 or len(texts) != 1 or len(required) != 2 or "namespace" in properties:
        return None
    lists = [name for name, each in properties.items() if each.get("type") == "array"]
    return Passing(tool.name, choices[0], properties[choices[0]]["enum"], texts[0], lists)


def report(beliefs: Beliefs) -> str:
    """What the receiver reads."""
    parts = [f"Root cause: {beliefs.leading}." if beliefs.leading else "The root cause is not known."]
    if beliefs.changes:
        parts.append(f"Changed with {', '.join(dict.fromkeys(call.name for call in beliefs.changes))}.")
    if beliefs.rechecks:
        remaining = still_firing(beliefs)
        shown = f"still shows {', '.join(remaining[:4])}" if remaining else "shows none of the alerts"
        parts.append(f"[{beliefs.rechecks[-1].id}], after it, {shown}.")
    return " ".join(parts)


def _wishes(beliefs: Beliefs, names: frozenset[str]) -> Sequence[str]:
    """Patterns of the options that come into question, best first. Empty: rather submit."""
    if LOOK not in names:
        following = NEXT.get(_last_sender(beliefs), "") if _last_sender(beliefs) else INVESTIGATE
        return [following] if following else []
    if "submit" in names:
        complains = bool(_last_sender(beliefs)) and bool(beliefs.firing)
        return [r"still", REMEDIATE, INVESTIGATE] if complains else []
    if beliefs.changes and still_firing(beliefs):
        return [r"still", r"nothing", r"^changed", VERIFY, r""]
    if beliefs.changes:
        return [r"recover", r"^changed", VERIFY, r""]
    if names & MUTATING:
        return [r"nothing", VERIFY, r""]
    return [r"found", r"scoped", REMEDIATE, r""]


def _last_sender(beliefs: Beliefs) -> str:
    """The part that the sender of the latest message plays; empty when there was none."""
    for _, text in reversed(beliefs.transcript.instructions):
        found = _FROM.match(text)
        if found:
            parts = (INVESTIGATE, REMEDIATE, VERIFY)
            return next((part for part in parts if re.search(part, found.group(1).lower())), VERIFY)
    return ""


def _preferred(options: Sequence[str], wishes: Sequence[str]) -> list[str]:
    return [option for wish in wishes for option in options if re.search(wish, option.lower())]
