"""What monitoring has seen of one trial: counters and objects at each scrape.

Owns: samples and the questions about windows of them. Does not own: fetching (`monitor.py`), meaning (`signals.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.cluster import Manifest, ObjectRef, ref
from harness.environments.kubernetes.scrape import SeriesKey
from harness.telemetry import Observation


@dataclass(frozen=True, slots=True)
class Sample:
    """One scrape."""

    time: float
    """Seconds since the epoch."""
    totals: Mapping[SeriesKey, float]
    pods: Sequence[Manifest]
    deployments: Sequence[Manifest]
    autoscalers: Sequence[Manifest]

    @property
    def workloads(self) -> frozenset[str]:
        """Names of the Deployments that exist."""
        return frozenset(one["metadata"]["name"] for one in self.deployments)


class History:
    """The samples of one trial, oldest first, and the versions of its objects."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._versions: dict[ObjectRef, list[tuple[str, Observation]]] = {}

    def add(self, sample: Sample) -> None:
        """Append a sample."""
        self.samples.append(sample)

    def observe(self, time: float, manifests: Sequence[Manifest]) -> None:
        """Keep the versions of objects that are new."""
        for manifest in manifests:
            version = str(manifest["metadata"].get("resourceVersion", ""))
            versions = self._versions.setdefault(ref(manifest), [])
            if not versions or versions[-1][0] != version:
                versions.append((version, Observation(time, manifest)))

    def seen(self, target: ObjectRef, low: float, high: float) -> list[Observation]:
        """Recorded versions of an object in a window, oldest first; the one that held at its start is included."""
        kept = [one for _, one in self._versions.get(target, ()) if one.time <= high]
        earlier = [one for one in kept if one.time < low]
        return [*earlier[-1:], *(one for one in kept if one.time >= low)]

    def at(self, time: float) -> Sample | None:
        """The last sample at or before a time."""
        number = bisect_right(self.samples, time, key=lambda sample: sample.time)
        return self.samples[number - 1] if number else None

    def between(self, start: float, end: float) -> Sequence[Sample]:
        """Samples of a window, its ends included."""
        first = bisect_right(self.samples, start, key=lambda sample: sample.time)
        if first and self.samples[first - 1].time == start:
            first -= 1
        return self.samples[first : bisect_right(self.samples, end, key=lambda sample: sample.time)]

    def increases(self, metric: str, start: float, end: float) -> Iterator[tuple[SeriesKey, float]]:
        """By how much each series of a metric grew in a window; nothing before there are samples."""
        last = self.at(end)
        if last is None:
            return
        first = self.at(start)
        before = first.totals if first is not None else {}
        for key, value in last.totals.items():
            if key.metric == metric:
                yield key, value - before.get(key, 0.0)
