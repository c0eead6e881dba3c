"""What the model believes after reading the conversation: alerts, causes, what was tested and changed.

Owns: the rebuilding of beliefs from a transcript, including what ability and forgetting take away. Does not
own: what to do next (`policy`). Beliefs are made anew on every turn; nothing is kept between requests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from harness.models.simulated.dice import draw
from harness.models.simulated.readings import Cause, SeenAlert, read_result, workload_of
from harness.models.simulated.temper import Temper
from harness.models.simulated.transcript import ASK, Call, Transcript

_HYPOTHESIS = re.compile(r"[Hh]ypothesis: (\S+/[A-Z]\w+/[\w.-]*\w)")
_UNDONE = re.compile(r"\b(?:put back|undone|reverted|rolled back)\b([^\n]*)", re.I)
_CALL_ID = re.compile(r"\[(c\d+)\]")
_NAMESPACE = re.compile(r"\bnamespaces?[\s:`'\"(]+([a-z0-9][a-z0-9-]+)")
DETOUR_TOOLS = frozenset({"get_metric_anomalies"})
"""Tools that this policy never needs; it uses them only when it wanders off."""
SEARCHES = frozenset({"k8s_spec_change_analysis", "kubectl_rollout_history"})
"""Tools that would show a change of an object if there was one."""
FIRST_LAPSE = 3
"""Turn before which there is nothing to forget."""
LAPSE_TURNS = 3
"""Turns whose results a lapse of memory loses."""


@dataclass(slots=True)
class Beliefs:
    """Everything that the next step depends on."""

    transcript: Transcript
    namespace: str = ""
    firing: tuple[SeenAlert, ...] = ()
    """From the newest list of alerts that is remembered."""
    first_alerts: tuple[SeenAlert, ...] = ()
    """Every alert that was seen firing or pending before the first change and is remembered."""
    causes: list[Cause] = field(default_factory=list)
    """Recognised, most recent change first."""
    symptom: str = ""
    """What suffers most visibly: blamed where no cause is recognised."""
    stated: list[str] = field(default_factory=list)
    """Hypotheses in the order in which they were said."""
    stated_at: dict[str, int] = field(default_factory=dict)
    """Index of the call beside which a hypothesis was first said."""
    doubted: set[str] = field(default_factory=set)
    """Symptoms given up after reading that nothing was changed on them."""
    changes: list[Call] = field(default_factory=list)
    rechecks: list[Call] = field(default_factory=list)
    """Lists of alerts read after the last change."""
    refusals: list[Call] = field(default_factory=list)
    """Submissions that were refused."""
    forgotten: set[int] = field(default_factory=set)
    """Indexes of calls whose results were lost."""
    lapsed: set[int] = field(default_factory=set)
    """Of these, the calls that went out of mind together with what was said beside them."""
    recalled: str = ""
    """The hypothesis that was taken up again although its evidence is gone."""
    undone: set[str] = field(default_factory=set)
    """Ids of changes that somebody else put back."""
    slips: int = 0
    """Visible slips in the transcript."""

    @property
    def calls(self) -> list[Call]:
        """All calls so far."""
        return self.transcript.calls

    @property
    def leading(self) -> str:
        """The entity held to be the cause."""
        return self.causes[0].entity if self.causes else self.symptom

    @property
    def last(self) -> Call | None:
        """The newest call."""
        return self.transcript.calls[-1] if self.transcript.calls else None

    def done(self, name: str, since: int = -1) -> list[Call]:
        """Successful, remembered calls of a tool after call index `since`."""
        return [
            call
            for call in self.calls
            if call.name == name and call.index > since and call.ok and call.index not in self.forgotten
        ]

    def touching(self, entity: str, since: int = -1) -> list[Call]:
        """Successful reads after call index `since` that are about an entity, oldest first."""
        return [call for call in self.calls if call.index > since and is_about(call, entity)]

    def tested(self, entity: str) -> list[Call]:
        """Reads about an entity that came with or after its being stated as the hypothesis."""
        at = self.stated_at.get(entity)
        return [] if at is None else self.touching(entity, at - 1)


def is_about(call: Call, entity: str) -> bool:
    """A successful read whose arguments name the entity and whose result shows it."""
    if not call.ok or call.name in ("submit", "wait") or call.changes:
        return False
    name, values = entity.rpartition("/")[2], call.args.values()
    return (name in values or entity in values) and name in call.content


def form_beliefs(transcript: Transcript, temper: Temper) -> Beliefs:
    """Read the transcript as a model of this ability and memory reads it."""
    beliefs, seed, ability = Beliefs(transcript), temper.seed, temper.config.competence
    beliefs.lapsed = _lapsed(transcript, temper)
    out_of_sight = {call.index for call in transcript.calls if not call.readable or call.trimmed}
    beliefs.forgotten = beliefs.lapsed | out_of_sight
    seen_causes: dict[str, Cause] = {}
    chances: Counter[str] = Counter()
    order: list[str] = []
    broken: dict[str, None] = {}
    alerts: dict[SeenAlert, None] = {}
    succeeded: set[tuple[str, str]] = set()
    for call in transcript.calls:
        _note_statement(call, beliefs)
        _count_slip(call, beliefs, succeeded)
        if call.name == "submit" and call.result is not None:
            beliefs.refusals.append(call)
        if call.changes:
            beliefs.changes.append(call)
            beliefs.rechecks = []
        if call.index in beliefs.forgotten or not call.ok:
            continue
        reading = read_result(call.name, call.content)
        if reading.alerts is not None:
            _note_alerts(call, reading.alerts, beliefs, alerts)
        if reading.broken and not beliefs.changes:
            broken.update(dict.fromkeys(reading.broken))
        if reading.causes:
            shown = [cause for cause in reading.causes if not _own_doing(cause, beliefs)]
            _note_causes(shown, seen_causes, chances, order, ability.recognise, seed)
    beliefs.undone = _put_back(transcript, beliefs.refusals)
    beliefs.first_alerts = tuple(alerts)
    beliefs.namespace = _namespace(transcript, beliefs.first_alerts)
    beliefs.causes = [seen_causes[key] for key in order]
    beliefs.doubted = _doubted(beliefs, ability.doubt, seed)
    beliefs.symptom = _symptom(beliefs, list(broken))
    return beliefs


def _lapsed(transcript: Transcript, temper: Temper) -> set[int]:
    """The latest few calls before each lapse of memory up to now."""
    lost: set[int] = set()
    if temper.config.propensities.lose_history <= 0:
        return lost
    for turn in range(FIRST_LAPSE, transcript.turn + 1):
        if temper.gives_in("lose_history", turn, turn):
            lost.update(call.index for call in transcript.calls if turn - LAPSE_TURNS <= call.turn < turn)
    return lost


def _put_back(transcript: Transcript, refusals: list[Call]) -> set[str]:
    """Calls of which somebody says that what they changed was put back."""
    told = [text for _, text in transcript.instructions] + [refused.content for refused in refusals]
    return set().union(*map(_undone_in, told))


@lru_cache(maxsize=4096)
def _undone_in(text: str) -> frozenset[str]:
    return frozenset(call_id for said in _UNDONE.findall(text) for call_id in _CALL_ID.findall(said))


def _note_statement(call: Call, beliefs: Beliefs) -> None:
    stated = _hypothesis_in(call.said)
    if stated and (not beliefs.stated or beliefs.stated[-1] != stated):
        beliefs.stated.append(stated)
        beliefs.stated_at.setdefault(stated, call.index)


@lru_cache(maxsize=4096)
def _hypothesis_in(text: str) -> str:
    match = _HYPOTHESIS.search(text)
    return match.group(1) if match else ""


def _count_slip(call: Call, beliefs: Beliefs, succeeded: set[tuple[str, str]]) -> None:
    """Count what a reader of the transcript can see going wrong."""
    if call.changes:
        succeeded.clear()
    repeated = call.key in succeeded
    beliefs.slips += repeated or call.failed or call.name in DETOUR_TOOLS
    if call.ok and call.name != "wait":
        succeeded.add(call.key)


def _note_alerts(
    call: Call, seen: tuple[SeenAlert, ...], beliefs: Beliefs, alerts: dict[SeenAlert, None]
) -> None:
    beliefs.firing = tuple(alert for alert in seen if alert.firing)
    if beliefs.changes:
        beliefs.rechecks.append(call)
    else:
        alerts.update(dict.fromkeys(seen))


def _note_causes(
    shown: Iterable[Cause],
    seen_causes: dict[str, Cause],
    chances: Counter[str],
    order: list[str],
    recognise: float,
    seed: int,
) -> None:
    """Each result that shows a cause is one chance to recognise it."""
    here: dict[str, list[Cause]] = {}
    for cause in shown:
        here.setdefault(cause.entity, []).append(cause)
    for entity, causes in here.items():
        chances[entity] += 1
        known = any(key.startswith(f"{entity} ") for key in order)
        if not known and draw(seed, f"recognise:{entity}", chances[entity]) >= recognise:
            continue
        for cause in causes:
            key = f"{entity} {cause.path}"
            if key not in seen_causes:
                seen_causes[key] = cause
                order.append(key)


def _own_doing(cause: Cause, beliefs: Beliefs) -> bool:
    """Shown after the model itself changed that object: its own repair, not a cause."""
    name = cause.entity.rsplit("/", 1)[-1]
    repairs = [call for call in beliefs.changes if call.name != "rollout_restart"]
    return any(
        call.name == "set_feature_flag" or name in call.content or name == call.args.get("name")
        for call in repairs
    )


def _namespace(transcript: Transcript, alerts: tuple[SeenAlert, ...]) -> str:
    named = Counter(alert.namespace for alert in alerts if alert.namespace)
    if named:
        return named.most_common(1)[0][0]
    told = [transcript.task, *(call.content for call in transcript.calls if call.name == ASK)]
    return next((found.group(1) for found in map(_NAMESPACE.search, told) if found), "default")


def underspecified(transcript: Transcript) -> bool:
    """Whether the task does not say where the incident is."""
    return _NAMESPACE.search(transcript.task) is None


def _doubted(beliefs: Beliefs, doubt: float, seed: int) -> set[str]:
    """Stated entities given up because their specification was read and no change was found."""
    given_up = set()
    for entity in beliefs.stated_at:
        searches = [
            call
            for call in beliefs.touching(entity)
            if call.name in SEARCHES and not read_result(call.name, call.content).causes
        ]
        chances = (draw(seed, f"doubt:{entity}", number) < doubt for number, _ in enumerate(searches))
        if any(chances):
            given_up.add(entity)
    return given_up


def _symptom(beliefs: Beliefs, broken: list[str]) -> str:
    """The entity with most alerts, not given up; else a pod in a bad state."""
    loud = Counter(alert.object_id for alert in beliefs.first_alerts if alert.entity)
    ranked = [entity for entity, _ in sorted(loud.items(), key=lambda item: (-item[1], item[0]))]
    candidates = [entity for entity in [*ranked, *broken] if entity not in beliefs.doubted]
    return candidates[0] if candidates else ""


def workload_name(entity: str) -> str:
    """Name of the workload that an entity belongs to."""
    return workload_of(entity.rsplit("/", 1)[-1])
