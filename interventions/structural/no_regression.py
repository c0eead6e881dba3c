"""No regression: a change that makes the symptom set grow is put back; wide changes are tried dry first.

Targets missing and incorrect verification in remediation (MAST 3.2, 3.3). The guard keeps executed changes
as an undo stack and compares alerts seen before and after them. Alerts that were not there before, seen once a
change had time to settle, undo what was changed since the last good look. It reads by itself only where it must:
before a change if nobody looked at the alerts yet, at a submission if nobody looked afterwards, and to try a wide
change without executing it. Undoing and refusing are capped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.evidence import CallRecord, Evidence, firing_in, object_in, targets_of
from harness.protocols import (
    ALLOW,
    GuardEvent,
    ObservedToolResult,
    Operator,
    ProposedSubmission,
    ProposedToolCall,
    Ruling,
)
from interventions.structural.base import Parameters, listed

ALERTS = "alert_summary"
DRY_RUNNABLE = frozenset(
    {"patch_object", "apply_manifest", "delete_object", "rollout_undo", "rollout_restart"}
)


class RegressionParameters(Parameters):
    """Parameters of the guard."""

    settle_s: float = Field(default=240, ge=0)
    """Environment seconds after a change before new alerts are held against it."""
    tolerated: int = Field(default=0, ge=0)
    """New alerts that are put down to noise."""
    dry_run_first: Literal["never", "wide", "always"] = "wide"
    """Which changes are tried without executing them: none, deletions and those on a whole namespace, all."""
    max_objects: int = Field(default=30, ge=1)
    """Objects that one change may touch."""
    max_unchecked: int = Field(default=5, ge=1)
    """Changes in a row without a look at alerts or health."""
    max_undos: int = Field(default=2, ge=0)
    """Times that the guard puts changes back."""
    max_refusals: int = Field(default=2, ge=1, le=10)
    """Refusals of the same call after which it is let through."""


class NoRegression:
    """Puts back changes after which more is wrong than before."""

    name = "no_regression"
    targets: ClassVar[tuple[str, ...]] = ("incorrect_verification", "no_or_incomplete_verification")
    owns: ClassVar[frozenset[str]] = frozenset()
    content: ClassVar[Mapping[str, str]] = {
        "check": "After a change, wait until it took effect and compare the alerts with those from before.",
        "undo": "If alerts fire that did not fire before your change, put the change back.",
        "blast_radius": "Keep a change as small as possible; do not touch many objects at once.",
        "dry_run": "Try deletions and changes on a whole namespace with dry_run first.",
    }
    Parameters = RegressionParameters

    def __init__(self, parameters: RegressionParameters) -> None:
        self._is = parameters
        self._before: set[str] | None = None
        """Alerts that fired before any change, where the guard had to look itself."""
        self._undone: set[str] = set()
        self._undos = 0
        self._refused: Counter[str] = Counter()

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on changes, on looks at the alerts and on submissions."""
        evidence = Evidence(operator.events)
        if isinstance(event, ProposedToolCall) and event.mutating:
            return await self._change(event, evidence, operator)
        if isinstance(event, ObservedToolResult) and event.name == ALERTS and event.ok:
            worse = await self._react(event.text, evidence, operator)
            if worse:
                return Ruling("rewrite", feedback=worse, replacement=f"{event.text}\n{worse}")
        if isinstance(event, ProposedSubmission) and self._unchecked(evidence):
            _, text = await operator.read(ALERTS, {"state_filter": "firing"})
            worse = await self._react(text, evidence, operator)
            if worse:
                return Ruling("deny", feedback=f"Not accepted: {worse}")
        return ALLOW

    async def _change(self, call: ProposedToolCall, evidence: Evidence, operator: Operator) -> Ruling:
        if len(self._unchecked(evidence)) >= self._is.max_unchecked:
            return self._refuse(
                call, f"{self._is.max_unchecked} changes were not checked. {self.content['check']}"
            )
        if self._before is None and not evidence.health_reads():
            _, text = await operator.read(ALERTS, {"state_filter": "firing"})
            self._before = firing_in(text)
        mode = self._is.dry_run_first
        if call.name in DRY_RUNNABLE and (mode == "always" or (mode == "wide" and is_wide(call))):
            ok, text = await operator.read(call.name, {**call.args, "dry_run": True})
            if not ok:
                return self._refuse(call, f"the dry run failed: {text}")
            touched = objects_in(text)
            if touched > self._is.max_objects:
                return self._refuse(call, f"it would touch {touched} objects. {self.content['blast_radius']}")
        return ALLOW

    def _refuse(self, call: ProposedToolCall, why: str) -> Ruling:
        key = f"{call.name} {sorted(targets_of(call.args))}"
        if self._refused[key] >= self._is.max_refusals:
            return ALLOW
        self._refused[key] += 1
        return Ruling("deny", feedback=f"Not run: {why}")

    def _unchecked(self, evidence: Evidence) -> list[CallRecord]:
        """Changes after the last look at alerts or health."""
        looked = max((call.i for call in evidence.health_reads()), default=-1)
        return [call for call in evidence.changes() if call.i > looked and call.call_id not in self._undone]

    async def _react(self, text: str, evidence: Evidence, operator: Operator) -> str:
        """Undo what made things worse; what the agent is told, empty where nothing got worse."""
        suspects = self._suspects(evidence)
        now = operator.events[-1].t
        if not suspects or self._undos >= self._is.max_undos or now - suspects[-1].t < self._is.settle_s:
            return ""
        grown = firing_in(text) - self._seen_before(suspects[0], evidence)
        if len(grown) <= self._is.tolerated:
            return ""
        put_back = []
        for call in reversed(suspects):
            self._undone.add(call.call_id)
            done, what = await operator.undo(call.call_id)
            put_back += [f"[{call.call_id}] {what}"] if done else []
        if not put_back:
            return ""
        self._undos += 1
        return (
            f"New since your change: {listed(grown)}. Put back: {'; '.join(put_back)}. {self.content['undo']}"
        )

    def _suspects(self, evidence: Evidence) -> list[CallRecord]:
        """Changes since the last look at the alerts that found nothing new, oldest first."""
        changes = [call for call in evidence.changes() if call.call_id not in self._undone]
        if not changes:
            return []
        before = self._seen_before(changes[0], evidence)
        looks = [one for one in evidence.health_reads() if one.name == ALERTS and one.i > changes[0].i]
        good = max((one.i for one in looks if not evidence.firing_in(one) - before), default=-1)
        return [call for call in changes if call.i > good]

    def _seen_before(self, change: CallRecord, evidence: Evidence) -> set[str]:
        """Alerts that were seen firing before a change."""
        seen = set(self._before or ())
        for look in evidence.health_reads():
            if look.i < change.i and look.name == ALERTS:
                seen |= evidence.firing_in(look)
        return seen


def is_wide(call: ProposedToolCall) -> bool:
    """A deletion, or a change that names no single object."""
    return call.name == "delete_object" or not targets_of(call.args)


def objects_in(text: str) -> int:
    """How many objects the result of a dry run says it would touch."""
    found = object_in(text)
    return len(found.get("objects") or ()) + len(found.get("also_deletes") or ()) or 1
