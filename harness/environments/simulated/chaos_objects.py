"""Chaos Mesh objects as their controllers and monitoring read them.

Owns: the fields of Schedules and experiments: type, duration, pause, selectors, injection records, and what is
due when. Does not own: acting on them (`controllers/schedules.py`, `controllers/experiments.py`) or what they do
to requests (`disturbance.py`).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.clock import epoch
from harness.environments.simulated.kinds import EXPERIMENTS
from harness.environments.simulated.store import Manifests

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

PAUSE = "experiment.chaos-mesh.org/pause"
FORCED_CLEAN = "chaos-mesh.chaos-mesh.org/cleanFinalizer"
FINALIZER = "chaos-mesh/records"
INJECTED, NOT_INJECTED = "Injected", "Not Injected"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


@lru_cache(maxsize=256)
def seconds(text: str) -> float:
    """A Go duration such as `55s`, `1m30s` or `200ms`; infinite where there is none or it cannot be read."""
    parts = _PART.findall(text or "")
    whole = "".join(number + unit for number, unit in parts)
    return sum(float(n) * _UNITS[unit] for n, unit in parts) if parts and whole == text else math.inf


def size_bytes(text: str, whole: float) -> float:
    """A memory size such as `128MB`, or `85%` of `whole`; 0 where it cannot be read."""
    if text.endswith("%"):
        return whole * float(text[:-1] or 0) / 100
    found = _SIZE.fullmatch(text)
    if found is None:
        return 0.0
    base = 1024 if found[3] else 1000
    return float(found[1]) * float(base ** (1 + "kmgt".index(found[2].lower()) if found[2] else 0))


def field_of(kind: str) -> str:
    """The field of a Schedule's spec that holds an experiment of this kind: `networkChaos`."""
    name = kind.removesuffix("Chaos")
    return f"{name.lower() if name.isupper() else name[0].lower() + name[1:]}Chaos"


def is_paused(manifest: Manifest) -> bool:
    """Whether a Schedule or an experiment carries the pause annotation."""
    return (manifest["metadata"].get("annotations") or {}).get(PAUSE) == "true"


def next_tick(cron: str, after: float) -> float:
    """The first time after `after` at which a cron line is due. Lines of any other form than `* * * * *`,
    `*/5 * * * *` and `@every 90s` are never due."""
    every = re.fullmatch(r"@every (\S+)", cron)
    if every:
        return after + seconds(every[1])
    minutes = re.fullmatch(r"\*(?:/(\d+))? \* \* \* \*", cron)
    if minutes is None:
        return math.inf
    period = 60.0 * int(minutes[1] or 1)
    return (after // period + 1) * period


def ends_at(experiment: Manifest) -> float:
    """When an experiment's duration is over; infinite without one."""
    return epoch(experiment["metadata"]["creationTimestamp"]) + seconds(
        str(experiment["spec"].get("duration") or "")
    )


def records(experiment: Manifest) -> Manifests:
    """What was done to each selected pod: id (`namespace/pod`), selectorKey, phase and counters."""
    found: Manifests = experiment.get("status", {}).get("experiment", {}).get("containerRecords") or []
    return found


def is_finished(experiment: Manifest, now: float) -> bool:
    """Whether its time is over and nothing of it is left in any pod."""
    return ends_at(experiment) <= now and all(
        record["phase"] == NOT_INJECTED for record in records(experiment)
    )


def experiments(store: ObjectStore) -> Manifests:
    """All experiments."""
    return [found for kind in EXPERIMENTS for found in store.list(kind)]


def selects(selector: Manifest, pod: Manifest) -> bool:
    """Whether a pod selector matches a pod. Only namespaces, labels, phases and pod names are understood."""
    metadata = pod["metadata"]
    spaces = selector.get("namespaces")
    if spaces and metadata.get("namespace") not in spaces:
        return False
    labels = metadata.get("labels") or {}
    if any(labels.get(key) != value for key, value in (selector.get("labelSelectors") or {}).items()):
        return False
    phases = selector.get("podPhaseSelectors")
    if phases and pod.get("status", {}).get("phase") not in phases:
        return False
    named = selector.get("pods")
    return not named or metadata["name"] in named.get(metadata.get("namespace", ""), ())
