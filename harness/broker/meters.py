"""A trial's way to the broker.

Owns: who a call is for, names of calls, keys of kept replies, the trial's own hard caps, and what a failure means to
the broker. `Clerk` is either the desk itself or, in a worker of a cluster, what speaks to it (`remote`).
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from typing import NamedTuple, NoReturn, Protocol

from harness.broker.accounts import accounts_of
from harness.broker.core import EVERYTHING, Ask, Failed, Refusal
from harness.errors import AgentError, Postponed
from harness.models.failures import Failure
from harness.models.kept import pack, unpack
from harness.models.meter import Claim
from harness.protocols import ModelReply
from harness.records import Usage

MAYBE_BILLED = frozenset({None, 200, 408, 504})
"""Statuses of a failed attempt after which the provider may have done the work: none at all, an answer that could not
be read, and time-outs."""


class Clerk(Protocol):
    """Takes calls to the broker."""

    async def admit(self, ask: Ask) -> Refusal | bytes | None:
        """Wait until a call may be made (None); or why it will not be; or its reply, which is known."""

    def answered(self, ask: Ask, usage: Usage, reply: bytes = b"") -> None:
        """A call was answered; `reply` is to be kept."""

    async def failed(self, ask: Ask, failure: Failed) -> bool:
        """A call failed; whether to repeat it however often."""

    def lost(self, ask: Ask) -> None:
        """Nobody will learn how a call ended."""


class Payer(NamedTuple):
    """Who calls are for."""

    purpose: str
    trial: str
    arm: str
    model: str
    provider: str
    repeat: int = 0
    """Repeats share no replies."""
    trial_usd: float | None = None
    """The most that the trial may spend, all attempts together."""
    call_usd: float | None = None
    """The most that one call may cost."""


class Meters:
    """All meters of one process."""

    def __init__(self, clerk: Clerk, keep: bool = True) -> None:
        self.clerk = clerk
        self.keeps = keep
        """Whether replies are kept and recalled."""
        self._numbers = itertools.count()
        self._prefix = secrets.token_hex(4)
        self._refused: dict[str, Refusal] = {}

    def of(self, payer: Payer) -> TrialMeter:
        """The meter of one trial."""
        return TrialMeter(self, payer)

    def require(self, payer: Payer) -> None:
        """Raise Postponed where calls for this payer have been refused before: nothing need be started."""
        accounts = accounts_of(payer.purpose, payer.model, payer.arm)
        for scope in (EVERYTHING, f"provider {payer.provider}", *accounts):
            if scope in self._refused:
                raise_for(self._refused[scope])

    def ask(self, payer: Payer, claim: Claim) -> Ask:
        """A call that wants to be made."""
        key = key_of(payer, claim) if self.keeps and claim.content else ""
        call = f"{self._prefix}.{next(self._numbers)}"
        who = (payer.purpose, payer.trial, payer.arm, payer.model, payer.provider)
        return Ask(call, *who, tokens=claim.tokens, usd=claim.usd or 0.0, key=key)

    async def admit(self, ask: Ask) -> bytes | None:
        """Wait for leave, or take the known reply. Raises Postponed."""
        answer = await self.clerk.admit(ask)
        if isinstance(answer, Refusal):
            self._refused[answer.scope] = answer
            raise_for(answer)
        return answer


class TrialMeter:
    """Implements `models.meter.Meter` for one trial. What its calls have reserved and spent is counted here too: they
    may not pass the trial's own cap, not even all at once."""

    def __init__(self, meters: Meters, payer: Payer) -> None:
        self.meters = meters
        self.payer = payer
        self.usd = 0.0

    async def permit(self, claim: Claim) -> CallPermit:
        """Wait until an attempt may be made. Raises Postponed, and AgentError where the trial's own caps forbid
        it."""
        self._require(claim.usd or 0.0)
        ask = self.meters.ask(self.payer, claim)
        self.usd += ask.usd
        try:
            known = await self.meters.admit(ask)
        except BaseException:
            self.usd -= ask.usd
            raise
        if known is None:
            return CallPermit(self, ask)
        self.usd -= ask.usd
        return CallPermit(self, ask, unpack(known))

    def _require(self, usd: float) -> None:
        call, trial = self.payer.call_usd, self.payer.trial_usd
        if call is not None and usd > call:
            what = f"budget.call_usd={call:g}, and a call to {self.payer.model} can cost up to ${usd:.4f}"
            raise AgentError("budget_cost", what)
        if trial is not None and self.usd + usd > trial:
            what = f"budget.usd={trial:g}, ${self.usd:.4f} used, and the next call can cost up to ${usd:.4f}"
            raise AgentError("budget_cost", what)


class CallPermit(NamedTuple):
    """Implements `models.meter.Permit`."""

    meter: TrialMeter
    ask: Ask
    known: ModelReply | None = None

    def answered(self, reply: ModelReply) -> None:
        """The provider answered."""
        self.meter.usd += reply.usage.cost_usd - self.ask.usd
        kept = pack(reply) if self.ask.key else b""
        self.meter.meters.clerk.answered(self.ask, reply.usage, kept)

    async def failed(self, failure: Failure) -> bool:
        """The attempt failed; whether to repeat it however often."""
        told = read(failure)
        if not told.billed:
            self.meter.usd -= self.ask.usd
        return await self.meter.meters.clerk.failed(self.ask, told)

    def lost(self) -> None:
        """The attempt was abandoned."""
        self.meter.meters.clerk.lost(self.ask)


def key_of(payer: Payer, claim: Claim) -> str:
    """Under which a reply is kept: what was asked of which model with which seed (the claim's content), and for
    which repeat. Arms share replies, as they share seeds; purposes do not."""
    return hashlib.sha256(f"{payer.purpose} {payer.repeat} {claim.content}".encode()).hexdigest()


def read(failure: Failure) -> Failed:
    """What a failed attempt tells about its provider, and whether it may be billed."""
    limited = failure.kind == "transient" and failure.status == 429
    return Failed(
        limited=limited,
        outage=failure.kind in ("transient", "unreachable") and not limited,
        unreachable=failure.kind == "unreachable",
        retry_after=failure.retry_after,
        billed=failure.kind not in ("unreachable", "setup") and failure.status in MAYBE_BILLED,
        why=failure.detail,
    )


def raise_for(refusal: Refusal) -> NoReturn:
    """Raise Postponed for a refusal."""
    raise Postponed(refusal.why, everything=refusal.everything)
