"""The broker: one topic, its consumer groups, and how far each has read."""

import threading
import time

from .telemetry import METRICS
from .workload import APPLICATION

MEMBER_S = 5.0

TOPICS = {
    operation["consumes"]
    for workload in APPLICATION["workloads"].values()
    for operation in workload["operations"].values()
    if operation["consumes"]
}


class Broker:
    """One topic, its consumer groups and their offsets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._head = 0
        self._offsets: dict[str, int] = {}
        self._seen: dict[str, dict[str, float]] = {}

    def publish(self) -> None:
        with self._lock:
            self._head += 1

    def poll(self, group: str, peer: str) -> int:
        """Messages that a group has not read yet."""
        with self._lock:
            self._seen.setdefault(group, {})[peer] = time.monotonic()
            due = self._head - self._offsets.setdefault(group, self._head)
            self._offsets[group] = self._head
            return due

    def observe(self) -> None:
        now = time.monotonic()
        with self._lock:
            for group, members in self._seen.items():
                alive = sum(now - seen < MEMBER_S for seen in members.values())
                METRICS.set("kafka_consumer_group_members", alive, group=group)
                METRICS.set("kafka_consumer_group_lag", self._head - self._offsets[group], group=group)


BROKER = Broker()
