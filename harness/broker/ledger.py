"""The ledger of a run, `spending.jsonl`: one line when money is reserved, before the call is made, and one when it is
settled. What a killed process had reserved and not settled counts as spent, in full. Outages stand there too.

Owns: the file, its totals, and that one process writes it at a time.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from harness.broker.accounts import Accounts, accounts_of
from harness.errors import ConfigurationError, Problem

FILE = "spending.jsonl"
LOCK = ".spending.lock"
LOCK_WAIT_S = 30.0
"""A Ray actor outlives its killed driver for some seconds."""


class Reserved(msgspec.Struct, frozen=True, tag_field="type", tag="reserved"):
    """Up to `usd` may be spent on a call from here on."""

    call: str
    purpose: str
    trial: str
    arm: str
    model: str
    usd: float


class Settled(msgspec.Struct, frozen=True, tag_field="type", tag="settled", omit_defaults=True):
    """A call is over."""

    call: str
    usd: float
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    confirmed: bool = True
    """False: the provider did not say what it cost (time-out, kill), so that all that was reserved counts."""


class Noticed(msgspec.Struct, frozen=True, tag_field="type", tag="noticed"):
    """Something that a person should know."""

    at: float
    """Seconds since the epoch."""
    text: str


Line = Reserved | Settled | Noticed
_decoder = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()


@dataclass
class Spending:
    """What a ledger adds up to."""

    usd: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(purpose, model, arm) -> USD."""
    tokens: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unconfirmed_usd: float = 0.0
    unconfirmed_calls: int = 0
    open: dict[str, Reserved] = field(default_factory=dict)
    """Calls that have not been settled."""
    notices: list[Noticed] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Count one line."""
        if isinstance(line, Noticed):
            self.notices.append(line)
            return
        if isinstance(line, Reserved):
            self.open[line.call] = line
            return
        call = self.open.pop(line.call)
        key = (call.purpose, call.model, call.arm)
        self.usd[key] += line.usd  # type: ignore[assignment]  # typeshed: Counter of int; USD are floats
        self.tokens[key] += line.input_tokens + line.output_tokens
        self.calls[key] += 1
        if not line.confirmed:
            self.unconfirmed_usd += line.usd
            self.unconfirmed_calls += 1

    def of(self, purpose: str) -> float:
        """USD for one purpose."""
        return sum(usd for key, usd in self.usd.items() if key[0] == purpose)

    @property
    def total(self) -> float:
        """USD for everything."""
        return sum(self.usd.values())


class Ledger:
    """The ledger of one run directory. Nothing is written before the first priced call."""

    def __init__(self, run: Path) -> None:
        self.path = run / FILE
        self._lock: IO[str] | None = None

    def read(self) -> Spending:
        """What stands there; a torn last line is left out. Raises ConfigurationError for any other bad line."""
        spending = Spending()
        if not self.path.exists():
            return spending
        with open(self.path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    spending.add(_decoder.decode(line))
                except (msgspec.MsgspecError, KeyError) as error:
                    what = f"not a line of a ledger: {error}"
                    raise ConfigurationError(Problem(f"{self.path}:{number}", what)) from None
        return spending

    def open(self) -> tuple[Spending, list[Reserved]]:
        """Take the ledger up again: a torn line is cut off, and what a killed process left unsettled is counted as
        spent; the totals, and those calls. Raises ConfigurationError while another process writes here."""
        self._take_lock()
        self._cut_torn_line()
        spending = self.read()
        left = [*spending.open.values()]
        settled = [Settled(call.call, call.usd, confirmed=False) for call in left]
        if settled:
            self.append(settled)
            for line in settled:
                spending.add(line)
        return spending, left

    def append(self, lines: Sequence[Line]) -> None:
        """Make lines durable. Raises OSError; the file then holds what it held before."""
        data = _encoder.encode_lines(lines)
        with open(self.path, "ab", buffering=0) as file:
            before = file.tell()
            try:
                if file.write(data) != len(data):
                    raise OSError(f"{self.path} took only a part: the disk is full")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise

    def close(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(self.path.with_name(LOCK), "w")  # noqa: SIM115 - held until close()
        until = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(0.2)
                    continue
                lock.close()
                hint = "wait for it, or choose another run_dir"
                raise ConfigurationError(
                    Problem(str(self.path), "another process spends here", hint)
                ) from None
            self._lock = lock
            return

    def _cut_torn_line(self) -> None:
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self.path, whole)


def accounts_from(caps: dict[str, float], spending: Spending) -> Accounts:
    """Accounts that know what earlier processes spent."""
    accounts = Accounts(caps)
    for (purpose, model, arm), usd in spending.usd.items():
        accounts.settle(accounts_of(purpose, model, arm), 0.0, usd)
    return accounts
