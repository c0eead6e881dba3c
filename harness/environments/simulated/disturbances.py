"""What running chaos experiments mean for requests: disturbances of pods, and what lies between two such pods.

Owns: reading disturbances off the injection records of experiments, and the arithmetic of a disturbed connection.
Does not own: when experiments run (`controllers/experiments.py`), what follows for callers (`request_model.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.cluster import Manifest
from harness.environments.simulated.chaos_objects import INJECTED, experiments, records, seconds

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

RETRANSMISSION_MS = 220.0
"""What a lost packet costs a connection that goes on."""
ATTEMPTS = 3
"""Packets that must all be lost for a request to time out."""
HEAP_GC_M = 2000.0
"""Millicores that a collector wants which finds nothing to free."""

What = Literal["delay", "loss", "abort", "fail", "cpu", "slow", "memory"]


class Disturbance(NamedTuple):
    """One thing that an experiment does to a pod. Equal experiments give equal disturbances, whatever their names."""

    what: What
    """delay, loss: on the pod's packets. abort: requests to it are cut off. fail: it answers with an error.
    cpu: it competes for its processor. slow: it takes longer. memory: `text` of it is taken."""
    amount: float = 0
    """Milliseconds, a share, or millicores."""
    link: str = ""
    """Set on both ends of a disturbed link; empty where every peer is concerned."""
    end: str = ""
    """Which end of the link this pod is."""
    port: int = 0
    """Port that is concerned; 0 for all."""
    methods: tuple[str, ...] = ()
    """HTTP methods that are concerned; empty for all."""
    text: str = ""
    """What the caller is told."""


Disturbances = tuple[Disturbance, ...]


class DisturbedPods:
    """The disturbances on every pod, worked out again only for experiments whose object changed."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Manifest, dict[str, Disturbances]]] = {}

    def by_pod(self, store: ObjectStore) -> dict[str, Disturbances]:
        """`namespace/pod` -> its disturbances, for pods that have any."""
        fresh: dict[int, tuple[Manifest, dict[str, Disturbances]]] = {}
        found: dict[str, Disturbances] = {}
        for experiment in experiments(store):
            known = self._known.get(id(experiment))
            if known is None or known[0] is not experiment:
                known = (experiment, _read(experiment))
            fresh[id(experiment)] = known
            for pod, disturbances in known[1].items():
                found[pod] = tuple(sorted({*found.get(pod, ()), *disturbances}))
        self._known = fresh
        return found


def between(caller: Disturbances, callee: Disturbances) -> tuple[float, float]:
    """(added milliseconds, share of requests that never arrive) between two pods."""
    delay, arrives = 0.0, 1.0
    for disturbance in _concerned(caller, callee):
        if disturbance.what == "delay":
            delay += disturbance.amount
        else:
            arrives *= 1 - disturbance.amount**ATTEMPTS
            delay += RETRANSMISSION_MS * disturbance.amount if disturbance.amount < 1 else 0.0
    return delay, 1 - arrives


def _concerned(caller: Disturbances, callee: Disturbances) -> Iterator[Disturbance]:
    """Disturbances on the packets of a connection: on either end alone, or on the link that the two are ends of."""
    for one, other in ((caller, callee), (callee, caller)):
        for disturbance in one:
            if disturbance.what in ("delay", "loss") and (
                not disturbance.link or _other_end(disturbance, other)
            ):
                yield disturbance


def _other_end(disturbance: Disturbance, peer: Disturbances) -> bool:
    """A link counts once, from its source."""
    ends = (other for other in peer if other.link == disturbance.link)
    return disturbance.end == "source" and any(other.end == "target" for other in ends)


def cut_off(callee: Disturbances, port: int, operation: str) -> str:
    """Why a request that reaches a pod's port is cut off before the program sees it; empty when it is not."""
    for disturbance in callee:
        if (
            disturbance.what == "abort"
            and disturbance.port in (0, port)
            and _has_method(disturbance, operation)
        ):
            return disturbance.text
    return ""


def failing(disturbances: Disturbances, operation: str) -> str:
    """What a pod answers because an experiment makes its program fail; empty when it does not."""
    for disturbance in disturbances:
        if disturbance.what == "fail" and _has_method(disturbance, operation):
            return disturbance.text
    return ""


def amount(disturbances: Disturbances, what: What) -> float:
    """The sum of one kind of disturbance."""
    return sum(disturbance.amount for disturbance in disturbances if disturbance.what == what)


def _has_method(disturbance: Disturbance, operation: str) -> bool:
    """Whether an operation is of a method that is concerned; one that names no method may be any."""
    method = operation.partition(" ")[0]
    return not disturbance.methods or not method.isupper() or method in disturbance.methods


# --- reading experiments


def _read(experiment: Manifest) -> dict[str, Disturbances]:
    injected = [record for record in records(experiment) if record["phase"] == INJECTED]
    read = _READERS.get(experiment["kind"])
    if read is None or not injected:
        return {}
    disturbances = tuple(read(experiment["spec"]))
    found: dict[str, Disturbances] = {}
    for record in injected:
        end = "target" if record["selectorKey"] == ".Target" else "source"
        mine = (s._replace(end=end) if s.link else s for s in disturbances)
        found[record["id"]] = (*found.get(record["id"], ()), *mine)
    return found


def _network(spec: Manifest) -> Iterable[Disturbance]:
    action, direction = spec.get("action"), spec.get("direction", "to")
    ends = [spec.get("selector"), spec.get("target"), action, direction]
    link = json.dumps(ends, sort_keys=True) if spec.get("target") else ""
    if action == "delay":
        times = 2 if direction == "both" else 1
        yield Disturbance(
            "delay", times * 1000 * seconds(str(spec.get("delay", {}).get("latency", "0s"))), link
        )
    elif action == "loss":
        yield Disturbance("loss", float(spec.get("loss", {}).get("loss", 0)) / 100, link)
    elif action == "partition":
        yield Disturbance("loss", 1.0, link)


def _http(spec: Manifest) -> Iterable[Disturbance]:
    methods = (str(spec["method"]),) if spec.get("method") else ()
    port = int(spec.get("port") or 0)
    if spec.get("abort"):
        yield Disturbance("abort", 1, port=port, methods=methods, text="EOF: connection reset by peer")
    body = (spec.get("patch") or {}).get("body")
    if body:
        what = "malformed request body: unexpected token in JSON at position 1"
        yield Disturbance("fail", 1, methods=methods, text=f"500 Internal Server Error: {what}")


def _jvm(spec: Manifest) -> Iterable[Disturbance]:
    if spec.get("action") == "ruleData":
        rule = dict(line.partition(" ")[::2] for line in str(spec.get("ruleData", "")).splitlines())
        if "return null" in str(spec.get("ruleData")):
            call = f"{rule.get('CLASS', '?')}.{rule.get('METHOD', '?')}()"
            why = f'java.lang.NullPointerException: because the return value of "{call}" is null'
            yield Disturbance("fail", 1, text=f"rpc error: code = Unknown desc = {why}")
    elif spec.get("action") == "stress":
        heap = spec.get("memType") == "heap"
        # A full heap keeps the collector busy on every core that it may use.
        yield Disturbance("cpu", HEAP_GC_M if heap else 1000.0 * float(spec.get("cpuCount") or 1))


def _stress(spec: Manifest) -> Iterable[Disturbance]:
    load, memory = spec.get("stressors", {}).get("cpu"), spec.get("stressors", {}).get("memory")
    if load:
        yield Disturbance("cpu", 10.0 * float(load.get("load", 100)) * int(load.get("workers", 1)))
    if memory:
        yield Disturbance("memory", text=str(memory.get("size", "")))


def _io(spec: Manifest) -> Iterable[Disturbance]:
    if spec.get("action") == "latency":
        share = float(spec.get("percent", 100)) / 100
        yield Disturbance("slow", 1000 * seconds(str(spec.get("delay", "0s"))) * share)


_READERS = {
    "NetworkChaos": _network,
    "HTTPChaos": _http,
    "JVMChaos": _jvm,
    "StressChaos": _stress,
    "IOChaos": _io,
}
