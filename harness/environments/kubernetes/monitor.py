"""The monitoring of one live trial: a thread that scrapes metrics and objects through the API server.

Owns: the thread, what is read at each scrape. Does not own: what follows from it (`alerting.py`, `telemetry.py`). A
scrape that the API server does not answer is a gap, as in Prometheus.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from harness.cluster import Cluster, ClusterError, Manifest
from harness.environments.kubernetes.alerting import Alerting
from harness.environments.kubernetes.history import History, Sample
from harness.environments.kubernetes.scrape import Counters, parse
from scenarios.applications.schema import Application
from scenarios.faults.objects import is_ready

OBSERVED = (
    "Pod",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Service",
    "ConfigMap",
    "Secret",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "PersistentVolumeClaim",
)
"""Kinds whose versions are recorded."""
RARELY = 3
"""All but the first three kinds are read at every third scrape only."""


class Monitor:
    """Scrapes until it is stopped."""

    def __init__(
        self,
        cluster: Cluster,
        fetch_pod: Callable[[str], str | None],
        application: Application,
        pace: float,
        every_s: float,
    ) -> None:
        """`cluster`: the trial's view under the harness's identity. `fetch_pod`: the metrics of a pod by its name."""
        self.history = History()
        self.alerting = Alerting(application, pace)
        self.lock = threading.RLock()
        """Held while history or alerts change."""
        self._cluster, self._fetch = cluster, fetch_pod
        self._application = application
        self._every_s = every_s
        self._counters = Counters()
        self._scrapes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def start(self) -> None:
        """Begin to scrape."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a scrape that is under way."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=60)

    def scrape(self) -> None:
        """Read everything once. Raises ClusterError."""
        found = self._objects()
        collecting = self._collecting(found["Pod"])
        for pod in found["Pod"] if collecting else ():
            metadata = pod["metadata"]
            if pod.get("status", {}).get("phase") == "Running" and not metadata.get("deletionTimestamp"):
                text = self._fetch(metadata["name"])
                if text is not None:
                    self._counters.take(metadata["uid"], parse(text))
        now = time.time()
        with self.lock:
            sample = Sample(
                now,
                dict(self._counters.totals),
                found["Pod"],
                found["Deployment"],
                found["HorizontalPodAutoscaler"],
            )
            self.history.add(sample)
            for manifests in found.values():
                self.history.observe(now, manifests)
            self.alerting.evaluate(self.history, now)

    def _objects(self) -> dict[str, list[Manifest]]:
        self._scrapes += 1
        kinds = OBSERVED if self._scrapes % RARELY == 1 else OBSERVED[:RARELY]
        return {kind: self._cluster.list(kind) for kind in kinds}

    def _collecting(self, pods: list[Manifest]) -> bool:
        """Whether the collector is up, through which span metrics would go."""
        name = self._application.collector
        return not name or any(
            is_ready(pod)
            for pod in pods
            if (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component") == name
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            with suppress(ClusterError):
                self.scrape()
            self._stop.wait(max(0.1, self._every_s - (time.monotonic() - began)))
