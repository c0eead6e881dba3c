"""What stands between a model and its provider: every attempt is claimed before it is made and settled after it.

Owns: the protocol, and the meter that lets everything pass. Does not own: who decides and who keeps replies
(`harness/broker`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self, runtime_checkable

from harness.models.failures import Failure
from harness.protocols import Model, ModelReply


class Claim(NamedTuple):
    """The most that one attempt can take, and what it asks."""

    tokens: int
    usd: float | None
    """None: nobody knows its price."""
    content: str = ""
    """Hash of the request and of everything else that determines its reply, but for chance."""


class Permit(Protocol):
    """Leave to make one attempt, unless its reply is known. Exactly one of its methods is called, once; none where
    the reply is known."""

    @property
    def known(self) -> ModelReply | None:
        """A kept reply to the same request: nothing need be asked."""

    def answered(self, reply: ModelReply) -> None:
        """The provider answered."""

    async def failed(self, failure: Failure) -> bool:
        """The attempt failed. True: the provider is to blame, so repeat it however often it was repeated."""

    def lost(self) -> None:
        """The attempt was abandoned; the provider may bill it."""


class Meter(Protocol):
    """Gives leave to the attempts of one trial."""

    async def permit(self, claim: Claim) -> Permit:
        """Wait until an attempt may be made. Raises Postponed when it may not in this run."""


@runtime_checkable
class Metered(Model, Protocol):
    """A model whose calls cost something or are limited."""

    provider: str
    """Whoever answers: shared by models that are limited or down together."""

    def metered(self, meter: Meter) -> Self:
        """The same model, asking this meter before every attempt."""


class Unmetered:
    """Lets everything pass: a model that is used alone."""

    known: ModelReply | None = None

    async def permit(self, claim: Claim) -> Unmetered:
        """At once."""
        return self

    def answered(self, reply: ModelReply) -> None:
        """Nobody counts."""

    async def failed(self, failure: Failure) -> bool:
        """Repetitions are counted."""
        return False

    def lost(self) -> None:
        """Nobody counts."""
