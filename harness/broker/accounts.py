"""Money accounts: what is spent, what is reserved, and whether another call can be afforded.

Owns: the arithmetic of caps. Does not own: durability (`ledger`) or the order of calls (`core`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.broker.config import MoneyConfig

EXPERIMENT, JUDGE = "experiment", "judge"
Room = Literal["yes", "wait", "never"]
EPSILON = 1e-9
"""USD by which sums of floats may differ."""


def accounts_of(purpose: str, model: str, arm: str) -> tuple[str, ...]:
    """The accounts that a call draws on, widest first."""
    if purpose == JUDGE:
        return (EXPERIMENT, JUDGE)
    return (EXPERIMENT, f"model {model}", f"arm {arm}")


def setting_of(account: str) -> str:
    """The configuration key of an account's cap."""
    kind, _, name = account.partition(" ")
    return {EXPERIMENT: "money.usd", JUDGE: "money.judge_usd"}.get(kind, f"money.{kind}s.{name}")


def caps(config: MoneyConfig) -> dict[str, float]:
    """Account -> cap, for those that have one."""
    found = {f"arm {name}": usd for name, usd in config.arms.items()}
    found |= {f"model {name}": usd for name, usd in config.models.items()}
    single = {EXPERIMENT: config.usd, JUDGE: config.judge_usd}
    return found | {name: usd for name, usd in single.items() if usd is not None}


@dataclass
class Accounts:
    """All accounts of an experiment."""

    caps: Mapping[str, float]
    spent: Counter[str] = field(default_factory=Counter)
    reserved: Counter[str] = field(default_factory=Counter)

    def room(self, names: Sequence[str], usd: float) -> tuple[Room, str]:
        """Whether `usd` more can be reserved, and the account that says no. `wait`: only once reservations of
        calls under way have been settled. `never`: not even then, because what is spent stays spent."""
        answer: tuple[Room, str] = ("yes", "")
        for name in names:
            cap = self.caps.get(name)
            if cap is None or usd <= 0:
                continue
            if self.spent[name] + usd > cap + EPSILON:
                return "never", name
            if self.spent[name] + self.reserved[name] + usd > cap + EPSILON:
                answer = ("wait", name)
        return answer

    def reserve(self, names: Sequence[str], usd: float) -> None:
        """Put money aside for a call."""
        for name in names:
            self.reserved[name] += usd  # type: ignore[assignment]  # typeshed: Counter of int; sums of USD are floats

    def settle(self, names: Sequence[str], reserved: float, spent: float) -> None:
        """A call is over: its reservation is given back, and what it cost is spent."""
        for name in names:
            self.reserved[name] -= reserved  # type: ignore[assignment]  # typeshed: Counter of int; sums of USD are floats
            self.spent[name] += spent  # type: ignore[assignment]  # typeshed: Counter of int; sums of USD are floats
