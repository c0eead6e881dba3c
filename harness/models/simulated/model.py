"""The simulated model: one request in, one reply out, nothing kept in between.

Owns: the `Model` protocol's side: reply, usage, latency. Does not own: reading, deciding or failing.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import Problem
from harness.models.simulated.beliefs import form_beliefs
from harness.models.simulated.config import SimulatedModelConfig
from harness.models.simulated.dice import draw
from harness.models.simulated.failures import Failing, arguments_text
from harness.models.simulated.memory import recollect
from harness.models.simulated.teamwork import hear, passed_on
from harness.models.simulated.temper import Temper
from harness.models.simulated.transcript import CHARS_PER_TOKEN, read_transcript
from harness.protocols import ModelReply, ModelRequest, RequestedCall
from harness.records import PlantedFailure, Usage

TOKENS_PER_TOOL = 150
"""Estimated size of one tool schema."""


class SimulatedModel:
    """A test double of a model. Its numbers are no evidence about any LLM."""

    Config = SimulatedModelConfig
    simulated = True

    def __init__(self, name: str, config: SimulatedModelConfig) -> None:
        self.name = name
        self.config = config

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        """None: it needs no key, and its notional price is part of its configuration."""
        return ()

    def context_window(self) -> int | None:
        """What it can read."""
        return self.config.context_tokens

    async def close(self) -> None:
        """It holds nothing."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer from the request alone: identical messages, tools and seed give an identical reply."""
        return self.reply(request)

    def reply(self, request: ModelRequest) -> ModelReply:
        """`complete` without the coroutine."""
        config, seed = self.config, request.seed
        transcript = read_transcript(request.messages, config.context_tokens)
        temper = Temper(config, seed, transcript)
        beliefs = form_beliefs(transcript, temper)
        hear(beliefs)
        temper.slips = beliefs.slips
        recollect(beliefs, temper)
        tools = frozenset(tool.name for tool in request.tools)
        step = passed_on(Failing(beliefs, temper, tools).step(), request.tools, beliefs)
        arguments = arguments_text(step.args)
        turn = transcript.turn
        low, high = config.latency_s
        return ModelReply(
            text=step.said,
            calls=(RequestedCall(f"call_{turn}", step.name, arguments),),
            usage=self._usage(
                transcript.tokens + TOKENS_PER_TOOL * len(tools), len(step.said) + len(arguments)
            ),
            finish="tool_calls",
            latency_s=low + (high - low) * draw(seed, "latency", turn),
            planted=tuple(PlantedFailure(turn=turn, slug=slug, note=note) for slug, note in step.planted),
        )

    def _usage(self, input_tokens: int, output_characters: int) -> Usage:
        output_tokens = output_characters // CHARS_PER_TOKEN + 1
        per_million = self.config.usd_per_million_input, self.config.usd_per_million_output
        cost = (input_tokens * per_million[0] + output_tokens * per_million[1]) / 1e6
        return Usage(calls=1, input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost)
