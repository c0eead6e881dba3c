"""What the model gets back of what it lost: facts pinned in messages, its own words; and what shows the loss.

Owns: the reading of facts that somebody wrote down, the taking up of a hypothesis again, the signs of lost
history in a step. Does not own: which results are gone (`beliefs`), what is done without them (`policy`). A fact
counts as pinned wherever it stands in a message to the model, whoever wrote it: names behind a label such as
`suspected:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.models.simulated.beliefs import Beliefs
from harness.models.simulated.policy import Step
from harness.models.simulated.readings import SeenAlert
from harness.models.simulated.temper import Temper

_CLAUSE = re.compile(r"[|\n]|;\s|\.\s")
_ENTITY = re.compile(r"\b([a-z0-9][\w.-]*/[A-Z]\w+/[a-z0-9][\w.-]*[a-z0-9])")
_ALERT = re.compile(r"\b([A-Z][A-Za-z]{4,}) ([a-z0-9][\w.-]*\w)")
_ALERTS = re.compile(r"\balerts?\b[^:]{0,30}:")
_SUSPECTED = re.compile(r"\b(?:suspect\w*|hypothes[ie]s|likely causes?)\b[^:]{0,20}:", re.I)
_RULED_OUT = re.compile(r"\bruled? ?-?out\b|\bnot the cause\b", re.I)


@dataclass(slots=True)
class Pinned:
    """Facts that a text keeps for its reader."""

    alerts: list[tuple[str, str]] = field(default_factory=list)
    """(name, entity) of alerts."""
    suspected: list[str] = field(default_factory=list)
    """Entities, in the order of the text."""
    ruled_out: set[str] = field(default_factory=set)


def pinned(texts: Iterable[str]) -> Pinned:
    """The facts that texts pin, clause by clause."""
    facts = Pinned()
    for text in texts:
        for clause in _CLAUSE.split(text):
            alerts, suspected = _ALERTS.search(clause), _SUSPECTED.search(clause)
            if alerts:
                facts.alerts += _ALERT.findall(clause[alerts.end() :])
            elif _RULED_OUT.search(clause):
                facts.ruled_out.update(_ENTITY.findall(clause))
            elif suspected:
                facts.suspected += _ENTITY.findall(clause[suspected.end() :])
    return facts


def recollect(beliefs: Beliefs, temper: Temper) -> None:
    """Where results are gone: read what is pinned, and take up the thread again if there is one to see."""
    if not beliefs.forgotten:
        return
    facts = pinned(text for _, text in beliefs.transcript.instructions)
    beliefs.doubted |= facts.ruled_out
    remembered = {(alert.name, alert.entity) for alert in beliefs.first_alerts}
    beliefs.first_alerts += tuple(
        SeenAlert(name, entity, beliefs.namespace, firing=True)
        for name, entity in dict.fromkeys(facts.alerts)
        if (name, entity) not in remembered
    )
    if beliefs.causes:
        return
    own = [entity for entity in beliefs.stated if beliefs.stated_at[entity] not in beliefs.lapsed]
    if temper.gives_in("overlook_own_words", len(beliefs.stated)):
        own = []
    threads = [entity for entity in [*own, *facts.suspected] if entity not in beliefs.doubted]
    if threads:
        beliefs.recalled = beliefs.symptom = threads[-1]


def loss(beliefs: Beliefs, step: Step) -> str:
    """What a step shows of lost history: the same read once more, or another cause than was established."""
    if not beliefs.forgotten or any(slug == "step_repetition" for slug, _ in step.planted):
        return ""
    if step.phase in ("survey", "test"):
        gone = (call for call in beliefs.calls if call.index in beliefs.forgotten)
        again = next((call for call in gone if call.name == step.name and call.args == step.args), None)
        return f"reads again what {again.id} had shown" if again else ""
    established = next((one for one in reversed(beliefs.stated) if one not in beliefs.doubted), "")
    if step.phase in ("act", "submit") and not beliefs.causes and established not in ("", beliefs.leading):
        return f"goes on without {established}, which it had established"
    return ""
