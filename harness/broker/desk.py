"""The broker for asyncio: calls wait here until they may be made, and a reservation is on disk before its call is.
A call whose reply is known need not be made at all.

Owns: waking up, and writing many reservations at once. Does not own: decisions (`core`), or where lines are put (a
`Journal`: a file here, the driver's file from an actor).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from harness.broker.core import EVERYTHING, Ask, Broker, Failed, Refusal
from harness.broker.ledger import Ledger, Line, Noticed, Reserved, Settled
from harness.broker.replies import Replies
from harness.records import Usage

SETTLE_S = 0.2
"""Settlements wait so long for company before they are written; a kill in between counts their reservations."""


class Journal(Protocol):
    """Where the ledger's lines are made durable."""

    async def write(self, lines: Sequence[Line]) -> None:
        """Return when they are. Raises OSError."""


class FileJournal:
    """A ledger on this machine."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def write(self, lines: Sequence[Line]) -> None:
        """Write without blocking the loop."""
        await asyncio.to_thread(self._ledger.append, lines)


class Desk:
    """One broker in one event loop."""

    def __init__(
        self, broker: Broker, journal: Journal, replies: Replies, notice: Callable[[str], None]
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._replies = replies
        self._notice = notice
        self._waiting: dict[str, asyncio.Future[Refusal | None]] = {}
        self._lines: list[Line] = []
        self._granted: list[str] = []
        self._due = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._turning = False
        self._closing = False

    async def admit(self, ask: Ask) -> Refusal | bytes | None:
        """Wait until a call may be made (None). Bytes are its reply, which is known. A refusal says that it will not
        be made."""
        known = self._replies.get(ask.key)
        if known is not None:
            return known
        future: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        self._waiting[ask.call] = future
        self._broker.ask(ask)
        self._turn_soon()
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(ask.call, None)
            if self._broker.flying(ask.call):
                self._drop(ask, 0.0)
            else:
                self._broker.withdraw(ask.call)
            raise

    def answered(self, ask: Ask, usage: Usage, reply: bytes = b"") -> None:
        """A call was answered."""
        self._replies.put(ask.key, reply)
        self._broker.answered(ask.call, usage.cost_usd, usage.input_tokens + usage.output_tokens)
        if ask.usd > 0:
            tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
            self._settle(Settled(ask.call, usage.cost_usd, *tokens))
        self._turn_soon()

    async def failed(self, ask: Ask, failure: Failed) -> bool:
        """A call failed; whether it shall be repeated however often (`core.Broker.failed`)."""
        again = self._broker.failed(ask.call, failure, time.monotonic())
        if ask.usd > 0:
            self._settle(Settled(ask.call, ask.usd if failure.billed else 0.0, confirmed=not failure.billed))
        self._turn_soon()
        return again

    def lost(self, ask: Ask) -> None:
        """Nobody will learn how a call ended: its worst case is spent."""
        self._drop(ask, ask.usd)

    def abandoned(self, trials: Collection[str]) -> None:
        """Whoever ran these trials is gone: their calls are lost."""
        for ask in self._broker.calls_of(trials):
            if ask.call in self._waiting and not self._broker.flying(ask.call):
                self._broker.withdraw(ask.call)
                self._waiting.pop(ask.call).cancel()
            elif self._broker.flying(ask.call):
                self.lost(ask)

    async def close(self) -> None:
        """Write what is left."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._closing = True
        if self._writer is not None:
            self._due.set()
            await self._writer

    # --- inside ---------------------------------------------------------------------------------------------

    def _turn_soon(self) -> None:
        """One round of decisions for everything that happens in this turn of the loop."""
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        decisions, wake = self._broker.decide(time.monotonic())
        for ask, refusal in decisions:
            if refusal is not None or ask.usd <= 0:
                self._tell(ask.call, refusal)
                continue
            self._lines.append(Reserved(ask.call, ask.purpose, ask.trial, ask.arm, ask.model, ask.usd))
            self._granted.append(ask.call)
        if self._granted:
            self._wake_writer()
        for notice in self._broker.notices:
            self._notice(notice)
            self._lines.append(Noticed(round(time.time(), 3), notice))
            self._wake_writer(SETTLE_S)
        self._broker.notices.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if self._waiting and wake < math.inf:
            self._alarm = asyncio.get_running_loop().call_later(wake, self._turn)

    def _tell(self, call: str, refusal: Refusal | None) -> None:
        future = self._waiting.pop(call, None)
        if future is not None and not future.done():
            future.set_result(refusal)

    def _drop(self, ask: Ask, spent: float) -> None:
        self._broker.dropped(ask.call, spent, time.monotonic())
        if ask.usd > 0:
            self._settle(Settled(ask.call, spent, confirmed=spent == 0))
        self._turn_soon()

    def _settle(self, line: Settled) -> None:
        self._lines.append(line)
        self._wake_writer(SETTLE_S)

    def _wake_writer(self, later: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        if self._writer is None:
            self._writer = loop.create_task(self._write_on())
        if later:
            loop.call_later(later, self._due.set)
        else:
            self._due.set()

    async def _write_on(self) -> None:
        while not self._closing:
            await self._due.wait()
            self._due.clear()
            await self._write()

    async def _write(self) -> None:
        """Make everything durable that has come up, then let the calls go."""
        lines, self._lines = self._lines, []
        granted, self._granted = self._granted, []
        refusal: Refusal | None = None
        try:
            if lines:
                await self._journal.write(lines)
        except OSError as error:
            refusal = Refusal(EVERYTHING, f"what is spent cannot be written down: {error}")
            self._broker.stop(refusal.why)
        for call in granted:
            self._tell(call, refusal)
