"""The arithmetic of rollouts, without any state.

Owns: rounding of maxSurge and maxUnavailable, template hashes, and which conditions a Deployment shows.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache

from harness.cluster import Manifest
from harness.environments.simulated.clock import epoch, iso
from harness.environments.simulated.controllers.base import condition, counts, make_condition

HASH_LABEL = "pod-template-hash"
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Manifest) -> str:
    """The hash that names a template's ReplicaSet; depends on the template alone, so undo finds it again."""
    text = json.dumps(template, sort_keys=True).encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(number))


def labelled_template(template: Manifest, hash_: str) -> Manifest:
    """A template with the hash label, as it stands in a ReplicaSet."""
    metadata = template.get("metadata") or {}
    return {
        **template,
        "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), HASH_LABEL: hash_}},
    }


def same_template(replica_set: Manifest, template: Manifest) -> bool:
    """Whether a ReplicaSet was made from this template."""
    own = replica_set["spec"]["template"]
    return bool(own == labelled_template(template, own["metadata"]["labels"].get(HASH_LABEL, "")))


def surge_and_unavailable(deployment: Manifest) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: surge rounds up, unavailable rounds down, never both zero."""
    strategy, replicas = deployment["spec"]["strategy"], deployment["spec"]["replicas"]
    if strategy["type"] == "Recreate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    return _resolved(rolling.get("maxSurge", "25%"), rolling.get("maxUnavailable", "25%"), replicas)


@lru_cache(maxsize=256)
def _resolved(max_surge: int | str, max_unavailable: int | str, replicas: int) -> tuple[int, int]:
    surge = _resolve(max_surge, replicas, round_up=True)
    unavailable = _resolve(max_unavailable, replicas, round_up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _resolve(value: int | str, replicas: int, round_up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = replicas * float(value.rstrip("%")) / 100
    return math.ceil(exact) if round_up else math.floor(exact)


def total(replica_sets: list[Manifest], counter: str = "") -> int:
    """The sum of a status counter, or of the desired replicas."""
    if not counter:
        return sum([replica_set["spec"]["replicas"] for replica_set in replica_sets])
    return sum([replica_set.get("status", {}).get(counter, 0) for replica_set in replica_sets])


def deployment_status(
    deployment: Manifest, new: Manifest | None, all_sets: list[Manifest], now: float, event: str
) -> Manifest:
    """The status that follows from the ReplicaSets. `event`: the current one was just made or found."""
    available = total(all_sets, "availableReplicas")
    counters = counts(
        replicas=total(all_sets, "replicas"),
        updatedReplicas=total([new], "replicas") if new else 0,
        readyReplicas=total(all_sets, "readyReplicas"),
        availableReplicas=available,
        unavailableReplicas=max(0, total(all_sets) - available),
    )
    status: Manifest = {"observedGeneration": deployment["metadata"]["generation"], **counters}
    conditions = [
        _available(deployment, available, now),
        _progressing(deployment, new, status, now, event),
        *_failures(deployment, new, all_sets, now),
    ]
    status["conditions"] = [entry for entry in conditions if entry]
    return status


def progress_deadline(deployment: Manifest) -> float | None:
    """When the present rollout runs out of time; None when it is complete or has run out already."""
    entry = condition(deployment, "Progressing")
    if not entry or entry["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    return epoch(entry["lastUpdateTime"]) + float(deployment["spec"]["progressDeadlineSeconds"]) + 1


def _updated(old: Manifest, type_: str, status: bool, now: float, reason: str, message: str) -> Manifest:
    entry, before = make_condition(old, type_, status, now, reason, message), condition(old, type_)
    fresh = (
        before.get("reason") != reason
        or before.get("status") != entry["status"]
        or reason == "ReplicaSetUpdated"
    )
    entry["lastUpdateTime"] = iso(now) if fresh else before["lastUpdateTime"]
    return entry


def _available(deployment: Manifest, available: int, now: float) -> Manifest:
    _, unavailable = surge_and_unavailable(deployment)
    enough = available >= deployment["spec"]["replicas"] - unavailable
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    message = (
        "Deployment has minimum availability." if enough else "Deployment does not have minimum availability."
    )
    return _updated(deployment, "Available", enough, now, reason, message)


def _progressing(
    deployment: Manifest, new: Manifest | None, status: Manifest, now: float, event: str
) -> Manifest:
    before, desired = condition(deployment, "Progressing"), deployment["spec"]["replicas"]
    name = (
        f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    )
    if event:
        message = (
            f"Created new replica set {name[11:]}"
            if event == "NewReplicaSetCreated"
            else f"Found {name[11:]}"
        )
        return _updated(deployment, "Progressing", True, now, event, message)
    replicas, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    if replicas == updated and before.get("reason") == "NewReplicaSetAvailable":
        return before
    if replicas == updated == desired == status.get("availableReplicas", 0):
        message = f"{name} has successfully progressed."
        return _updated(deployment, "Progressing", True, now, "NewReplicaSetAvailable", message)
    if _moved(deployment.get("status", {}), status):
        return _updated(deployment, "Progressing", True, now, "ReplicaSetUpdated", f"{name} is progressing.")
    due = progress_deadline(deployment)
    if due is not None and now >= due:
        message = f"{name} has timed out progressing."
        return _updated(deployment, "Progressing", False, now, "ProgressDeadlineExceeded", message)
    return before


def _moved(old: Manifest, new: Manifest) -> bool:
    def outdated(status: Manifest) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return outdated(new) < outdated(old) or any(new.get(field, 0) > old.get(field, 0) for field in grown)


def _failures(
    deployment: Manifest, new: Manifest | None, all_sets: list[Manifest], now: float
) -> list[Manifest]:
    for replica_set in [new] if new and condition(new, "ReplicaFailure") else all_sets:
        failed = condition(replica_set, "ReplicaFailure")
        if failed:
            return [_updated(deployment, "ReplicaFailure", True, now, failed["reason"], failed["message"])]
    return []
