"""Chaos Mesh Schedules: they spawn an experiment whenever their cron line is due.

Owns: firing, the concurrency policy, passing a pause on to running experiments, the history limit. Does not
own: what an experiment does (`experiments.py`). A Schedule whose child never ends costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.chaos_objects import (
    FINALIZER,
    PAUSE,
    field_of,
    is_finished,
    is_paused,
    next_tick,
)
from harness.environments.simulated.clock import Key, epoch, iso, suffix
from harness.environments.simulated.controllers.base import Controller, controller_of, owner_reference
from harness.environments.simulated.controllers.garbage import delete_object
from harness.environments.simulated.kinds import EXPERIMENTS, KINDS
from harness.environments.simulated.store import Change, Manifests

if TYPE_CHECKING:
    from harness.environments.simulated.world import World


class ScheduleController(Controller):
    """Schedules in, experiments out."""

    name = "schedule"
    watches = ("Schedule", *EXPERIMENTS)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._woken: dict[Key, float] = {}
        """The wake-up of each Schedule that is in the queue already."""

    def observe(self, change: Change) -> None:
        """A Schedule, or the one that an experiment belongs to which is over or gone."""
        if change.kind == "Schedule":
            self.enqueue(change.key)
        elif change.new is None or is_finished(change.new, self.now):
            owner = controller_of(change.last, "Schedule")
            if owner:
                self.enqueue((change.key[0], owner))

    def reconcile(self, key: Key) -> None:
        """Spawn what is due, tidy up what is over."""
        schedule = self.store.get("Schedule", key[1], key[0])
        if schedule is None or schedule["spec"].get("type") not in EXPERIMENTS:
            return
        children = self.store.owned(schedule["metadata"]["uid"], schedule["spec"]["type"])
        active = [child for child in children if not is_finished(child, self.now)]
        self._pass_on_pause(schedule, active)
        self._forget(schedule, [child for child in children if is_finished(child, self.now)])
        fired = str(schedule.get("status", {}).get("time", ""))
        if not is_paused(schedule) and (not active or schedule["spec"].get("concurrencyPolicy") == "Allow"):
            cron = str(schedule["spec"].get("schedule", ""))
            due = next_tick(cron, epoch(fired or schedule["metadata"]["creationTimestamp"]))
            if due <= self.now:
                active, fired = [*active, self._spawn(schedule)], iso(self.now)
                due = next_tick(cron, self.now)
            if self._woken.get(key) != due < float("inf"):
                self._woken[key] = due
                self.wake(key, due)
        self._report(key, active, fired)

    def _spawn(self, schedule: Manifest) -> Manifest:
        metadata, kind = schedule["metadata"], schedule["spec"]["type"]
        serial = self.world.next_serial(f"experiment/{metadata['uid']}")
        name = f"{metadata['name']}-{suffix(self.world.seed, 'experiment', metadata['uid'], serial)}"
        child = {
            "apiVersion": KINDS[kind].api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": {"managed-by": metadata["name"]},
                "finalizers": [FINALIZER],
                "ownerReferences": [owner_reference(schedule)],
            },
            "spec": schedule["spec"].get(field_of(kind)) or {},
        }
        self.record(schedule, "Spawned", f"Create new object: {name}")
        return self.store.put(child)

    def _pass_on_pause(self, schedule: Manifest, active: Manifests) -> None:
        for child in active:
            if is_paused(child) != is_paused(schedule):
                annotations = {**(child["metadata"].get("annotations") or {})}
                annotations[PAUSE] = "true" if is_paused(schedule) else "false"
                self.store.put({**child, "metadata": {**child["metadata"], "annotations": annotations}})

    def _forget(self, schedule: Manifest, finished: Manifests) -> None:
        kept = int(schedule["spec"].get("historyLimit") or 1)
        for child in finished[:-kept] if kept else finished:
            delete_object(
                self.store, child["kind"], (child["metadata"]["namespace"], child["metadata"]["name"])
            )

    def _report(self, key: Key, active: Manifests, fired: str) -> None:
        schedule = self.store.get("Schedule", key[1], key[0])
        if schedule is not None and fired:
            names = [{"kind": one["kind"], "name": one["metadata"]["name"]} for one in active]
            self.store.put_status(schedule, {"time": fired, **({"active": names} if names else {})})
