"""A reply as bytes, to be kept and taken out again.

Owns: the form. Does not own: where it is kept (`harness/broker/replies.py`) and what a kept reply counts as being
recalled.
"""

from __future__ import annotations

import msgspec

from harness.protocols import ModelReply, RequestedCall
from harness.records import Usage


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What a provider answered, and what that cost."""

    text: str
    calls: list[tuple[str, str, str]]
    """(id, name, arguments)."""
    reasoning: str
    finish: str
    latency_s: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float


_decoder = msgspec.msgpack.Decoder(Kept)


def pack(reply: ModelReply) -> bytes:
    """A reply without anything that concerns only the call it came from (retries)."""
    used = reply.usage
    calls = [(call.id, call.name, call.arguments) for call in reply.calls]
    spent = (used.input_tokens, used.output_tokens, used.cached_tokens, used.cost_usd)
    kept = Kept(reply.text, calls, reply.reasoning, reply.finish, reply.latency_s, *spent)
    return msgspec.msgpack.encode(kept)


def unpack(data: bytes) -> ModelReply:
    """The reply again: same words, same tokens, same latency on a virtual clock; its cost was paid before."""
    kept = _decoder.decode(data)
    usage = Usage(
        calls=1,
        input_tokens=kept.input_tokens,
        output_tokens=kept.output_tokens,
        cached_tokens=kept.cached_tokens,
        cost_usd=kept.cost_usd,
        recalled_calls=1,
        recalled_usd=kept.cost_usd,
    )
    calls = tuple(RequestedCall(*call) for call in kept.calls)
    return ModelReply(kept.text, calls, kept.reasoning, usage, kept.finish, kept.latency_s)
