"""The alert rules, evaluated at each scrape of a live cluster.

Owns: pending and firing, and the record of what fired when. Does not own: the rules (`harness/environments/rules.py`)
or their signals (`signals.py`). Windows and hold times are those of the rules times the pace of the trial.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.environments.kubernetes.history import History
from harness.environments.kubernetes.signals import WINDOWED, values
from harness.environments.rules import Labels, Rule, load_rules
from harness.telemetry import Alert
from scenarios.applications.schema import Application

Key = tuple[int, Labels]
"""Number of the rule, affected thing."""


class Alerting:
    """The alerts of one trial."""

    def __init__(self, application: Application, pace: float) -> None:
        self._application = application
        self._pace = pace
        self._rules = [(n, rule) for n, rule in enumerate(load_rules()) if rule.watches(application)]
        self._since: dict[Key, float] = {}
        self._last_true: dict[Key, float] = {}
        self.current: tuple[Alert, ...] = ()
        """Pending and firing alerts at the last evaluation."""
        self.fired: list[tuple[float, Alert]] = []
        """(time, alert) of each evaluation at which an alert fired."""

    def evaluate(self, history: History, now: float) -> None:
        """Take in the newest sample."""
        found: dict[Key, tuple[Rule, float]] = {}
        for number, rule in self._rules:
            for labels, value in self._true(number, rule, history, now):
                found[number, labels] = (rule, value)
        self._since = {key: self._since.get(key, now) for key in found}
        alerts = [self._alert(key, rule, value, now) for key, (rule, value) in found.items()]
        self.current = tuple(sorted(alerts, key=lambda one: (one.name, one.entity, one.active_at)))
        self.fired += [(now, alert) for alert in self.current if alert.state == "firing"]

    def _true(self, number: int, rule: Rule, history: History, now: float) -> Iterator[tuple[Labels, float]]:
        """The things for which the rule's expression holds now, its window included."""
        window = rule.window_s * self._pace
        if rule.signal in WINDOWED:
            full = history.samples[0].time <= now - window
            for labels, value in values(rule, history, now, window):
                if rule.holds(value) and (full or rule.equal is None):
                    yield labels, value
            return
        holds = {labels: value for labels, value in values(rule, history, now, 0) if rule.holds(value)}
        self._last_true.update(dict.fromkeys(((number, labels) for labels in holds), now))
        yield from holds.items()
        for (other, labels), last in self._last_true.items():
            if other == number and labels not in holds and now - last <= window:
                yield labels, 1.0

    def _alert(self, key: Key, rule: Rule, value: float, now: float) -> Alert:
        since = self._since[key]
        labels: dict[str, str] = {
            "alertname": rule.alert,
            "severity": rule.severity,
            "namespace": self._application.namespace,
            **dict(key[1]),
        }
        state = "firing" if now - since >= rule.for_s * self._pace else "pending"
        text = rule.description.format(**labels)
        return Alert(rule.alert, labels, state, since, round(value, 4), text)  # type: ignore[arg-type]
