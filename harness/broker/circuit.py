"""The circuit breaker of one provider: an outage pauses it, instead of failing one trial after the other.

Owns: when a provider counts as down, who probes it, and when patience ends. Time is handed in.
"""

from __future__ import annotations

import math

from harness.broker.config import OutageConfig

LONGEST_PROBE_S = 60.0
REFUSED_IN_A_ROW = 2
"""Connections in a row that nobody takes: no request can be the reason."""


class Circuit:
    """Closed while calls are answered; open while a provider is down."""

    def __init__(self, config: OutageConfig) -> None:
        self._config = config
        self._reached = False
        self._failures = 0
        self._refused = 0
        self._trials: set[str] = set()
        self._since: float | None = None
        """Time of the first failure since the last answer."""
        self._probe: str | None = None
        self._probe_at = -math.inf
        self._probes = 0
        self.open = False
        self.why = ""

    def wait(self, now: float) -> float:
        """Seconds until a call may be made; infinite while a probe is under way."""
        if not self.open:
            return 0.0
        return math.inf if self._probe is not None else max(0.0, self._probe_at - now)

    def admitted(self, call: str) -> None:
        """A call is made; while the circuit is open it is the probe."""
        if self.open:
            self._probe = call

    def answered(self) -> bool:
        """Somebody is there; whether that ends an outage."""
        ended, self.open = self.open, False
        self._reached = True
        self._failures = self._refused = self._probes = 0
        self._trials.clear()
        self._since = self._probe = None
        return ended

    def failed(self, call: str, trial: str, unreachable: bool, why: str, now: float) -> bool:
        """A call failed for the provider's reasons; whether that opens the circuit."""
        self.why = why
        self._failures += 1
        self._refused = self._refused + 1 if unreachable else 0
        self._trials.add(trial)
        self.silent(now)
        if self.open:
            if call == self._probe:
                self._schedule(now)
            return False
        several = self._failures >= self._config.failures and len(self._trials) > 1
        if several or self._refused >= REFUSED_IN_A_ROW:
            self.open = True
            self._schedule(now)
            return True
        return False

    def silent(self, now: float) -> None:
        """From now on the provider has not answered, if it did before."""
        if self._since is None:
            self._since = now

    def dropped(self, call: str, now: float) -> None:
        """A call ended without telling anything; if it was the probe, another one follows."""
        if call == self._probe:
            self._schedule(now)

    @property
    def ends_at(self) -> float:
        """When patience ends; infinite while the provider answers."""
        if self._since is None:
            return math.inf
        patience = self._config.patience_s
        if not self._reached and self._refused:
            patience = min(patience, self._config.first_contact_s)
        return self._since + patience

    def _schedule(self, now: float) -> None:
        self._probe = None
        self._probe_at = now + min(self._config.probe_s * 2**self._probes, LONGEST_PROBE_S)
        self._probes += 1
