"""The decision: which of the waiting calls may be made now.

Synchronous and without a clock of its own, so that every rule can be tested without waiting. Calls wait in lanes (one
per model, arm and purpose); within and between lanes the older trial goes first, so that where money or rates are
short, trials are finished instead of many being begun. What blocks a call blocks younger ones that need the same.
Owns: the order, and what a refusal says. Does not own: asyncio and the disk (`desk`).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.broker.accounts import EXPERIMENT, Accounts, accounts_of, setting_of
from harness.broker.circuit import Circuit
from harness.broker.config import MoneyConfig, OutageConfig, RateConfig
from harness.broker.rates import BURST_S, MINUTE, Congestion, Passed, Window

EVERYTHING = "run"
"""Scope of a refusal that concerns every call."""


class Settings(NamedTuple):
    """What the user set."""

    money: MoneyConfig
    rates: Mapping[str, RateConfig]
    """By name of a model or provider."""
    outage: OutageConfig


class Ask(NamedTuple):
    """A call that wants to be made."""

    call: str
    """Unique in the run."""
    purpose: str
    """`agent` or `judge`."""
    trial: str
    arm: str
    model: str
    provider: str
    tokens: int
    """Most tokens that it can take, reply included."""
    usd: float
    """Most that it can cost; 0 where nothing has a price."""
    key: str = ""
    """Under which its reply is kept; empty: it is not."""


class Refusal(NamedTuple):
    """Why a call will not be made in this run as it is configured."""

    scope: str
    """What it concerns: `run`, an account, or `provider NAME`."""
    why: str

    @property
    def everything(self) -> bool:
        """No other trial can be worked on either."""
        return self.scope in (EVERYTHING, EXPERIMENT)


class Failed(NamedTuple):
    """How a call failed."""

    limited: bool = False
    """The provider said that there were too many (429)."""
    outage: bool = False
    """The provider could not be reached or broke down; else it did answer, with a refusal."""
    unreachable: bool = False
    retry_after: float | None = None
    billed: bool = False
    """The provider may have done the work and may bill it: then the whole reservation counts as spent."""
    why: str = ""


class Decision(NamedTuple):
    """A call may be made, or will not be."""

    ask: Ask
    refusal: Refusal | None = None


@dataclass
class Flight:
    """A call under way."""

    ask: Ask
    wave: int
    passed: list[tuple[Window, Passed]] = field(default_factory=list)


class Broker:
    """All waiting calls and all that they share."""

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        self.accounts = accounts
        self.notices: list[str] = []
        """What a person should be told; whoever reads them empties the list."""
        self._settings = settings
        self._lanes: dict[tuple[str, str, str], list[tuple[int, int, Ask]]] = {}
        self._flights: dict[str, Flight] = {}
        self._seniority: dict[str, int] = {}
        """Trial -> number of its first call."""
        self._begun: set[str] = set()
        """Trials of which a call was admitted."""
        self._asked = 0
        self._circuits: dict[str, Circuit] = {}
        self._congestion: dict[str, Congestion] = {}
        self._windows: dict[str, list[tuple[Window, bool]]] = {}
        self._over: dict[str, Refusal] = {}
        """Nothing more of this scope is admitted."""
        self._closing: dict[str, Refusal] = {}
        """Accounts on which no further trial is begun; those under way go on as long as they can be afforded."""

    # --- what callers tell ----------------------------------------------------------------------------------

    def ask(self, ask: Ask) -> None:
        """A call wants to be made; `decide` answers."""
        self._asked += 1
        lane = self._lanes.setdefault((ask.purpose, ask.model, ask.arm), [])
        heapq.heappush(lane, (self._seniority.setdefault(ask.trial, self._asked), self._asked, ask))

    def withdraw(self, call: str) -> None:
        """A waiting call no longer wants to be made."""
        for lane in self._lanes.values():
            kept = [entry for entry in lane if entry[2].call != call]
            if len(kept) < len(lane):
                heapq.heapify(kept)
                lane[:] = kept
                return

    def answered(self, call: str, usd: float, tokens: int) -> None:
        """A call was answered at this price."""
        flight = self._landed(call, usd, tokens)
        if self._circuit(flight.ask.provider).answered():
            self.notices.append(f"{flight.ask.provider} answers again")
        self._congestion_of(flight.ask.model).answered()

    def failed(self, call: str, failure: Failed, now: float) -> bool:
        """A call failed. True: for reasons that a repetition at the broker's time cures, however often."""
        ask = self._flights[call].ask
        flight = self._landed(call, ask.usd if failure.billed else 0.0, ask.tokens if failure.billed else 0)
        circuit = self._circuit(ask.provider)
        if failure.limited:
            self._congestion_of(ask.model).limited(flight.wave, failure.retry_after, now)
            circuit.silent(now)
            circuit.why = failure.why
            circuit.dropped(call, now)
            return True
        if not failure.outage:
            circuit.answered()
            return False
        if circuit.failed(call, ask.trial, failure.unreachable, failure.why, now):
            patience = max(circuit.ends_at - now, 0.0)
            self.notices.append(
                f"{ask.provider} does not answer ({failure.why}); its calls wait up to {patience:.0f} s"
            )
        return circuit.open

    def dropped(self, call: str, spent: float, now: float) -> None:
        """Nobody will learn how a call ended; `spent` is its worst case, or 0 when it was not made after all."""
        flight = self._landed(call, spent, self._flights[call].ask.tokens)
        self._circuit(flight.ask.provider).dropped(call, now)

    def calls_of(self, trials: Collection[str]) -> list[Ask]:
        """Calls of these trials that wait or are under way."""
        waiting = [entry[2] for lane in self._lanes.values() for entry in lane]
        flying = [flight.ask for flight in self._flights.values()]
        return [ask for ask in (*waiting, *flying) if ask.trial in trials]

    def flying(self, call: str) -> bool:
        """Whether a call was admitted and has not come back."""
        return call in self._flights

    def stop(self, why: str) -> None:
        """Refuse everything from now on."""
        self._over[EVERYTHING] = Refusal(EVERYTHING, why)

    # --- what it decides ------------------------------------------------------------------------------------

    def decide(self, now: float) -> tuple[list[Decision], float]:
        """Every decision that is due, and the seconds after which time alone could bring another one."""
        decisions: list[Decision] = []
        blocked: set[str] = set()
        wake = math.inf
        heads = [(lane[0][:2], key) for key, lane in self._lanes.items() if lane]
        heapq.heapify(heads)
        while heads:
            _, key = heapq.heappop(heads)
            lane = self._lanes[key]
            ask = lane[0][2]
            refusal = self._refusal(ask, now)
            if refusal is None:
                pause, resource = self._obstacle(ask, blocked, now)
                if resource:
                    blocked.add(resource)
                    wake = min(wake, pause, self._patience_left(ask, now))
                    continue
                self._admit(ask, now)
            heapq.heappop(lane)
            decisions.append(Decision(ask, refusal))
            if lane:
                heapq.heappush(heads, (lane[0][:2], key))
        return decisions, max(wake, 0.0)

    def _refusal(self, ask: Ask, now: float) -> Refusal | None:
        """Why a call will never be made, if so."""
        provider = f"provider {ask.provider}"
        if self._out_of_patience(ask, now):
            circuit = self._circuit(ask.provider)
            self._over[provider] = Refusal(provider, f"{ask.provider} does not answer: {circuit.why}")
        names = accounts_of(ask.purpose, ask.model, ask.arm)
        for over in (self._over.get(EVERYTHING), self._over.get(provider)):
            if over is not None:
                return over
        begun = ask.trial in self._begun
        for name in names:
            if name in self._closing and not begun:
                return self._closing[name]
        room, account = self.accounts.room(names, ask.usd)
        if room != "never":
            return None
        return self._closing.setdefault(account, Refusal(account, self._exhausted(account, ask)))

    def _exhausted(self, account: str, ask: Ask) -> str:
        cap, spent = self.accounts.caps[account], self.accounts.spent[account]
        return (
            f"{setting_of(account)}={cap:g} does not allow another call: ${spent:.4f} spent, and a call to "
            f"{ask.model} can cost up to ${ask.usd:.4f}"
        )

    def _out_of_patience(self, ask: Ask, now: float) -> bool:
        circuit, congestion = self._circuit(ask.provider), self._congestion_of(ask.model)
        pause = congestion.paused_until - now
        if pause > self._settings.outage.patience_s:
            circuit.why = f"{circuit.why}; it asks to come back in {pause:.0f} s"
            return True
        return self._patience_left(ask, now) <= 0

    def _patience_left(self, ask: Ask, now: float) -> float:
        """Seconds for which an outage is still borne; infinite where there is none."""
        circuit = self._circuit(ask.provider)
        down = circuit.open or now < self._congestion_of(ask.model).paused_until
        return circuit.ends_at - now if down else math.inf

    def _obstacle(self, ask: Ask, blocked: set[str], now: float) -> tuple[float, str]:
        """The first thing for which a call must wait, and how long; nothing: it may be made."""
        for name, wait in self._waits(ask, now):
            if name in blocked:
                return math.inf, name
            if wait > 0:
                return wait, name
        return 0.0, ""

    def _waits(self, ask: Ask, now: float) -> Iterator[tuple[str, float]]:
        yield f"provider {ask.provider}", self._circuit(ask.provider).wait(now)
        yield f"congestion {ask.model}", self._congestion_of(ask.model).wait(now)
        for limited in self._limited(ask):
            for window, of_tokens in self._windows_of(limited, now):
                yield f"rate {limited}", window.wait(ask.tokens if of_tokens else 1, now)
        names = accounts_of(ask.purpose, ask.model, ask.arm)
        room, account = self.accounts.room(names, ask.usd)
        yield f"account {account}", math.inf if room == "wait" else 0.0

    def _admit(self, ask: Ask, now: float) -> None:
        self._begun.add(ask.trial)
        congestion = self._congestion_of(ask.model)
        congestion.flying += 1
        flight = self._flights[ask.call] = Flight(ask, congestion.wave)
        for limited in self._limited(ask):
            for window, of_tokens in self._windows_of(limited, now):
                passed = window.take(ask.tokens if of_tokens else 1, now)
                if of_tokens:
                    flight.passed.append((window, passed))
        self.accounts.reserve(accounts_of(ask.purpose, ask.model, ask.arm), ask.usd)
        self._circuit(ask.provider).admitted(ask.call)

    def _landed(self, call: str, usd: float, tokens: int) -> Flight:
        flight = self._flights.pop(call)
        ask = flight.ask
        self._congestion_of(ask.model).flying -= 1
        for window, passed in flight.passed:
            window.correct(passed, tokens)
        self.accounts.settle(accounts_of(ask.purpose, ask.model, ask.arm), ask.usd, usd)
        return flight

    # --- what calls share -----------------------------------------------------------------------------------

    def _circuit(self, provider: str) -> Circuit:
        if provider not in self._circuits:
            self._circuits[provider] = Circuit(self._settings.outage)
        return self._circuits[provider]

    def _congestion_of(self, model: str) -> Congestion:
        return self._congestion.setdefault(model, Congestion())

    def _limited(self, ask: Ask) -> list[str]:
        return [name for name in (ask.model, ask.provider) if name in self._settings.rates]

    def _windows_of(self, name: str, now: float) -> list[tuple[Window, bool]]:
        """Windows of a model or provider, and whether each one counts tokens."""
        if name not in self._windows:
            rate, found = self._settings.rates[name], []
            if rate.requests_per_minute is not None:
                share = max(1.0, rate.requests_per_minute * BURST_S / MINUTE)
                found = [(Window(rate.requests_per_minute), False), (Window(share, BURST_S), False)]
            if rate.tokens_per_minute is not None:
                found.append((Window(rate.tokens_per_minute), True))
            self._windows[name] = found
        return self._windows[name]
