"""The texts that open an incident. Data files beside this module; arms add their prompt interventions here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from harness.protocols import Briefing


def system_prompt(additions: Sequence[str] = ()) -> str:
    """The system prompt of every agent, with the texts of prompt interventions after it."""
    return "\n\n".join([text_of("system.md"), *(text.strip() for text in additions)])


def task_prompt(briefing: Briefing, request: str = "") -> str:
    """The request that opens the incident; with `request`, an underspecified one in the operator's words."""
    if request:
        return f"{request.strip()} {text_of('task_ambiguous.md')}"
    template = text_of("task.md" if briefing.can_act else "task_diagnosis.md")
    return template.format(namespaces=", ".join(briefing.namespaces))


def text_of(name: str) -> str:
    """A text of this folder."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8").strip()
