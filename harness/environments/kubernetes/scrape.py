"""Reading what the shop's processes export: Prometheus text, fetched through the API server's pod proxy.

Owns: the parser, and counters summed over the pods of a trial across restarts. Does not own: what the counters mean
(`signals.py`) or when they are read (`monitor.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

PORT = 9464
TIMEOUT_S = 3
LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
LABEL = re.compile(r'([a-zA-Z_]\w*)=("(?:[^"\\]|\\.)*")')
GAUGES = frozenset({"kafka_consumer_group_members", "kafka_consumer_group_lag", "shop_path_last_error"})
Labels = tuple[tuple[str, str], ...]


class SeriesKey(NamedTuple):
    """A series without the pod that exports it."""

    metric: str
    labels: Labels

    @property
    def label(self) -> Mapping[str, str]:
        """Its labels as a mapping."""
        return dict(self.labels)


def parse(text: str) -> Iterator[tuple[SeriesKey, float]]:
    """The samples of a scrape; lines that are none are passed over."""
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None or line.startswith("#"):
            continue
        try:
            labels = tuple((name, str(json.loads(value))) for name, value in LABEL.findall(found[2] or ""))
            yield SeriesKey(found[1], labels), float(found[3])
        except ValueError:
            continue


def fetch(api: client.CoreV1Api, namespace: str, pod: str) -> str | None:
    """What a pod exports; None where it does not answer."""
    try:
        answer = api.connect_get_namespaced_pod_proxy_with_path(
            f"{pod}:{PORT}", namespace, "metrics", _request_timeout=TIMEOUT_S, _preload_content=False
        )
    except (ApiException, HTTPError):
        return None
    return str(answer.data.decode("utf-8", "replace"))


class Counters:
    """Sums over pods. A counter that a restart set back goes on from where it was; gauges hold the last value."""

    def __init__(self) -> None:
        self.totals: dict[SeriesKey, float] = {}
        self._last: dict[tuple[str, SeriesKey], float] = {}

    def take(self, instance: str, samples: Iterator[tuple[SeriesKey, float]]) -> None:
        """Add a scrape of one pod (its uid)."""
        for key, value in samples:
            if key.metric in GAUGES:
                self.totals[key] = value
                continue
            last = self._last.get((instance, key), 0.0)
            self.totals[key] = self.totals.get(key, 0.0) + (value - last if value >= last else value)
            self._last[instance, key] = value
