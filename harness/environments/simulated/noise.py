"""What every real cluster shows without any incident: error blips, unrelated alerts, jitter.

Owns: seeded background. Everything is a pure function of (seed, name, time), so nothing is stored. A blip is
shorter than the hold time of the error rule minus its window, and blips of one service are far apart, so none
of them makes an incident alert fire.
"""

from __future__ import annotations

from functools import lru_cache

from harness.environments.simulated.alerts import Span
from harness.environments.simulated.clock import draw
from harness.telemetry import Alert, Severity

BUCKET_S = 900.0
BLIP_CHANCE = 0.04
"""Per service and bucket."""
BLIP_S = (4.0, 28.0)
ERROR_WINDOW_S = 120.0
NOISE_CHANCE = 0.4
"""Share of worlds with one unrelated alert."""
_UNRELATED: tuple[tuple[str, Severity, dict[str, str], str], ...] = (
    ("TargetDown", "warning", {"job": "kube-proxy", "namespace": "kube-system"},
     "100% of the kube-proxy targets in kube-system namespace are down."),
    ("NodeCPUHighUsage", "info", {"instance": "kind-control-plane:9100", "job": "node-exporter"},
     "CPU usage at kind-control-plane has been above 90% for the last 15 minutes."),
    ("NodeSystemSaturation", "warning", {"instance": "kind-control-plane:9100", "job": "node-exporter"},
     "System load per core at kind-control-plane has been above 2 for the last 15 minutes."),
    ("CPUThrottlingHigh", "info", {"namespace": "monitoring", "pod": "node-exporter-7xk2p"},
     "31% throttling of CPU in namespace monitoring for container node-exporter."),
    ("KubeAPIErrorBudgetBurn", "warning", {"long": "1d", "short": "2h"},
     "The API server is burning too much error budget."),
)  # fmt: skip


@lru_cache(maxsize=8192)
def _blip(seed: int, service: str, bucket: int) -> Span | None:
    if draw(seed, "blip", service, bucket) >= BLIP_CHANCE:
        return None
    begin = (bucket + 0.35 + 0.3 * draw(seed, "blip at", service, bucket)) * BUCKET_S
    low, high = BLIP_S
    return Span(begin, begin + low + (high - low) * draw(seed, "blip for", service, bucket))


@lru_cache(maxsize=1024)
def _bucket_blips(seed: int, services: tuple[str, ...], bucket: int) -> tuple[tuple[str, Span], ...]:
    found = ((service, _blip(seed, service, bucket)) for service in services)
    return tuple((service, span) for service, span in found if span is not None)


def disturbed(seed: int, services: tuple[str, ...], now: float) -> list[str]:
    """Services of which a blip lies in the error window that ends now. Blips and their windows stay in a bucket."""
    return [
        service
        for service, span in _bucket_blips(seed, services, int(now // BUCKET_S))
        if span.begin <= now < span.end + ERROR_WINDOW_S
    ]


def blips(seed: int, service: str, start: float, end: float) -> list[Span]:
    """Times in which a few requests of a service fail for reasons of no interest, touching [start, end]."""
    found = (
        _blip(seed, service, bucket) for bucket in range(int(start // BUCKET_S), int(end // BUCKET_S) + 1)
    )  # fmt: skip
    return [
        span for span in found if span is not None and span.begin < end and span.end + ERROR_WINDOW_S > start
    ]


@lru_cache(maxsize=256)
def background(seed: int, begin: float) -> tuple[Alert, ...]:
    """Alerts that were firing before the world began and never stop."""
    watchdog = Alert(
        "Watchdog",
        {"alertname": "Watchdog", "severity": "none", "namespace": "monitoring"},
        "firing",
        begin - 86_400 * (1 + 9 * draw(seed, "watchdog")),
        1.0,
        "This is an alert meant to ensure that the entire alerting pipeline is functional.",
    )
    if draw(seed, "unrelated") >= NOISE_CHANCE:
        return (watchdog,)
    name, severity, labels, text = _UNRELATED[int(draw(seed, "which") * len(_UNRELATED))]
    since = begin - 3_600 - 36_000 * draw(seed, "unrelated since")
    value = round(1 + 99 * draw(seed, "unrelated value"), 2)
    return (
        watchdog,
        Alert(name, {"alertname": name, "severity": severity, **labels}, "firing", since, value, text),
    )


def jitter(seed: int, name: str, time: float, spread: float = 0.08) -> float:
    """A factor around 1 that changes every half minute."""
    return 1 + spread * (2 * draw(seed, "jitter", name, int(time // 30)) - 1)
