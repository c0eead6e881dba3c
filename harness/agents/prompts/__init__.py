"""The texts that open an incident. Data files beside this module; arms add their prompt interventions here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from harness.protocols import Briefing


def system_prompt(additions: Sequence[str] = ()) -> str:
    """The system prompt of every agent, with the texts of prompt interventions after it."""
    base = files(__name__).joinpath("system.md").read_text(encoding="utf-8").strip()
    return "\n\n".join([base, *(text.strip() for text in additions)])


def task_prompt(briefing: Briefing) -> str:
    """The request that opens the incident."""
    name = "task.md" if briefing.can_act else "task_diagnosis.md"
    template = files(__name__).joinpath(name).read_text(encoding="utf-8").strip()
    return template.format(namespaces=", ".join(briefing.namespaces))
