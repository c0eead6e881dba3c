"""What the model gets back of what it lost: facts pinned in messages, its own words; and what shows the loss.

Owns: the reading of facts that somebody wrote down, the taking up of a hypothesis again, the signs of lost
history in a step. Does not own: which results are gone (`beliefs`), what is done without them (`policy`). A fact
counts as pinned wherever it stands in a message to the model, whoever wrote it: names behind a label such as
`suspected:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from harness.models.simulated.beliefs import Beliefs, workload_name
from harness.models.simulated.policy import Step
from harness.models.simulated.readings import SeenAlert, read_result
from harness.models.simulated.temper import Temper
from harness.models.simulated.transcript import MUTATING, Call

_CLAUSE = re.compile(r"[|\n]|;\s|\.\s")
_ENTITY = re.compile(r"\b([a-z0-9][\w.-]*/[A-Z]\w+/[a-z0-9][\w.-]*[a-z0-9])")
_ALERT = re.compile(r"\b([A-Z][A-Za-z]{4,}) ([a-z0-9][\w.-]*\w)")
_ALERTS = re.compile(r"\balerts?\b[^:]{0,30}:")
_SUSPECTED = re.compile(r"\b(?:suspect\w*|hypothes[ie]s|likely causes?)\b[^:]{0,20}:", re.I)
_ALERT_LISTS = ("alert_summary", "alert_analysis")
_RULED_OUT = re.compile(r"\bruled? ?-?out\b|\bnot the cause\b", re.I)
LEAST_CALLS = 5
"""Calls before which nobody has got far enough to start again."""


@dataclass(slots=True)
class Pinned:
    """Facts that a text keeps for its reader."""

    alerts: list[tuple[str, str]] = field(default_factory=list)
    """(name, entity) of alerts."""
    suspected: list[str] = field(default_factory=list)
    """Entities, in the order of the text."""
    ruled_out: set[str] = field(default_factory=set)


def pinned(texts: Iterable[str]) -> Pinned:
    """The facts that texts pin."""
    facts = Pinned()
    for found in map(_pinned_in, texts):
        facts.alerts += found.alerts
        facts.suspected += found.suspected
        facts.ruled_out |= found.ruled_out
    return facts


@lru_cache(maxsize=4096)
def _pinned_in(text: str) -> Pinned:
    """What one text pins, clause by clause; not to be changed."""
    facts = Pinned()
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


def loss(beliefs: Beliefs, step: Step) -> tuple[tuple[str, str], ...]:
    """(slug, note) of what a step shows of lost history, named as a reader of the trace can tell it.

    What went out of sight is history lost. What a lapse passes over while it still stands there is a step repeated
    or a word contradicted. Whoever begins anew in its opening words has started again, whatever the reason. A read
    after a change or a wait is a fresh look, and shows nothing."""
    known = {slug for slug, _ in step.planted}
    if step.phase == "submit":
        return () if "reasoning_action" in known else _abandoned(beliefs, step)
    if beliefs.forgotten and step.phase in ("survey", "test"):
        if _starts_again(beliefs, step):
            note = "begins anew in its opening words"
            return () if "conversation_reset" in known else (("conversation_reset", note),)
        again = _fetched_again(beliefs, step)
        if again is None or "step_repetition" in known:
            return ()
        slug = "history_loss" if _out_of_sight(again) else "step_repetition"
        return ((slug, f"reads again what {again.id} had shown"),)
    return ()


def _abandoned(beliefs: Beliefs, step: Step) -> tuple[tuple[str, str], ...]:
    """That an answer leaves what was put forward last for something that never was: its evidence was forgotten, or
    it was put forward only because a refusal asked about it. A hypothesis that was doubted is given up."""
    established = beliefs.stated[-1] if beliefs.stated else ""
    if established in ("", *beliefs.doubted) or _ever_stated(beliefs, step.args):
        return ()
    asked = beliefs.refusals and beliefs.stated_at[established] > beliefs.refusals[0].index
    if asked or (beliefs.forgotten and not beliefs.causes):
        note = f"goes on without {established}, which it had put forward"
        return ((contradiction(beliefs, established), note),)
    return ()


def contradiction(beliefs: Beliefs, established: str) -> str:
    """What answering another cause is: a contradiction, or lost history where every test is out of sight."""
    name = established.rsplit("/", 1)[-1]
    tests = [
        call
        for call in beliefs.calls
        if {name, established} & set(map(str, call.args.values())) and call.name not in MUTATING
    ]
    return "history_loss" if tests and all(map(_out_of_sight, tests)) else "reasoning_action"


def unexplained(beliefs: Beliefs, answer: Mapping[str, Any]) -> str:
    """That an answer leaves out alerts that went out of mind; empty where that is not certain."""
    first_change = beliefs.changes[0].index if beliefs.changes else len(beliefs.calls)
    lists = [call for call in beliefs.calls if call.name in _ALERT_LISTS and call.index < first_change]
    entries = {entry["alert"] for entry in answer["alerts_explained"]}
    for call in lists:
        shown = read_result(call.name, call.content).alerts or ()
        left_out = [one for one in shown if one.firing and f"{one.name} {one.entity}".strip() not in entries]
        if call.index in beliefs.forgotten and (left_out or (call.trimmed and not entries)):
            return f"alerts that {call.id} showed are not explained"
    return ""


def _starts_again(beliefs: Beliefs, step: Step) -> bool:
    """Whether a step goes on with the first calls after the first words were said again; after a change or a wait
    one call alone is a look at what came of it."""
    made = [(call.name, call.args, call.said) for call in beliefs.calls]
    made.append((step.name, step.args, step.said))
    for start in range(LEAST_CALLS, len(made)):
        again = len(made) - start
        if made[start] == made[0] and all(made[start + k][:2] == made[k][:2] for k in range(again)):
            still = not any(call.changes or call.name == "wait" for call in beliefs.calls[:start])
            return still or again > 1
    return False


def _fetched_again(beliefs: Beliefs, step: Step) -> Call | None:
    """The forgotten call that a step makes again although nothing was changed and no time passed."""
    for call in reversed(beliefs.calls):
        if call.changes or (call.name == "wait" and call.ok):
            return None
        if call.name == step.name and call.args == step.args and (call.ok or call.trimmed):
            return call if call.index in beliefs.forgotten else None
    return None


def _out_of_sight(call: Call) -> bool:
    return call.trimmed or not call.readable


def _ever_stated(beliefs: Beliefs, answer: Mapping[str, Any]) -> bool:
    """Whether an answer blames something that was put forward before."""
    blamed = (one["name"] for one in answer.get("entities", ()) if one["contributing_factor"])
    return not {workload_name(entity) for entity in beliefs.stated}.isdisjoint(map(workload_name, blamed))
