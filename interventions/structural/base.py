"""What all guards share: parameters that refuse unknown keys, refusals worded from content, the best answer.

Owns: how a guard words a refusal, and the submission that an agent's own words amount to. Does not own: any
trigger or limit; each guard has its module.

A guard is a class with `name`, `targets` (MAST slugs), `content` (what it demands, by id; its prompt twin
carries the same items), `owns` (what at most one guard of an arm may decide) and `Parameters`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from harness.errors import AgentError
from harness.evidence import Evidence
from harness.records import Diagnosis, Entity, Submission
from harness.tools.submit import parse_submission
from harness.trace import Event, ToolCall, of_type

CONCLUSION = "conclusion"
"""When the incident is closed without the agent."""
EVIDENCE = "evidence"
"""Which evidence a submission needs."""
CONTEXT = "context"
"""What of the conversation the model reads."""

ENTITY = re.compile(r"\b([a-z0-9][\w.-]*/[A-Z]\w+/[a-z0-9][\w.-]*[a-z0-9])")
MOST_CITED = 3


class Parameters(BaseModel):
    """Base of a guard's parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def refusal(content: Mapping[str, str], missing: Sequence[tuple[str, str]]) -> str:
    """What the agent reads: each unmet requirement once, with the places where it is unmet."""
    unmet: dict[str, list[str]] = {}
    for requirement, place in missing:
        unmet.setdefault(requirement, []).append(place)
    items = [{"requirement": content[key], "missing": places} for key, places in unmet.items()]
    return "Not accepted. Do what is missing, then submit again: " + json.dumps(items, separators=(",", ":"))


def names_in(text: str) -> list[str]:
    """Entities that a text names as namespace/Kind/name, in order."""
    return ENTITY.findall(text)


def best_answer(events: Sequence[Event]) -> Submission | None:
    """The newest submission that the agent tried, else the entity that it named last as its hypothesis with
    the calls that concern it; None where it named none. Only the agent's own words are used."""
    tried = [call for call in of_type(events, ToolCall) if call.name == "submit"]
    for call in reversed(tried):
        try:
            return parse_submission(call.args)
        except AgentError:
            continue
    evidence = Evidence(events)
    for _, text in reversed(evidence.said):
        named = names_in(text)
        if named:
            return _answer(named[-1], evidence)
    return None


def _answer(entity: str, evidence: Evidence) -> Submission:
    concerning = [call.call_id for call in evidence.calls.values() if evidence.concerns(call, entity)]
    cited = " ".join(f"[{call_id}]" for call_id in concerning[-MOST_CITED:])
    return Submission(
        diagnosis=Diagnosis(
            entities=(
                Entity(
                    name=entity,
                    contributing_factor=True,
                    reasoning="the last hypothesis that was stated",
                    evidence=cited,
                ),
            )
        )
    )


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names for a sentence, cut to `most`."""
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
