"""What calls to one endpoint consume and cost: the most before a call, the truth after it.

Owns: reading token counts from answers, and the bounds of a claim. Does not own: rates (`prices`) or caps (`broker`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.models.endpoint import LiteLLMConfig
from harness.models.library import load
from harness.models.meter import Claim
from harness.models.prices import Prices, Rates, estimate_tokens, find_entry, resolve, worst
from harness.protocols import ModelRequest
from harness.records import Usage

TOKENS_PER_BYTE = 0.5
"""Most tokens that a byte of a request is taken for. English and JSON are 0.2 to 0.35 with every tokenizer in use; an
endpoint that ever reports more raises its own bound."""
SAFETY = 1.1
FRAME_TOKENS = 200
"""What a provider adds around messages and tools."""
NO_INFLUENCE = {
    "api_key_env",
    "timeout_s",
    "max_retries",
    "backoff",
    "context_window",
    "prompt_cache",
    "prices",
}
"""Fields of an endpoint that change nothing in a reply."""


class Tariff:
    """Tokens and money of one endpoint."""

    def __init__(self, config: LiteLLMConfig) -> None:
        self._config = config
        self._tokens_per_byte = TOKENS_PER_BYTE
        self._endpoint = config.model_dump_json(exclude=NO_INFLUENCE).encode()

    def rates(self) -> Rates | None:
        """Prices, where they are known."""
        return resolve(self._config.prices, {} if self._complete else self.entry())

    def entry(self) -> Mapping[str, Any]:
        """The endpoint's entry in LiteLLM's table; empty when there is none."""
        return find_entry(load().model_cost, self._config.model)

    def output_limit(self, request: ModelRequest) -> int:
        """Longest reply that is asked for."""
        return self._config.max_output_tokens or request.max_output_tokens

    def claim(self, request: ModelRequest) -> Claim:
        """The most that a call can take: every byte counted, the longest reply, the highest of all tiers."""
        written = wire_form(request)
        prompt = int(len(written) * self._tokens_per_byte) + FRAME_TOKENS
        output = self.output_limit(request)
        content = hashlib.sha256(b"%d %d " % (request.seed, output) + self._endpoint + written).hexdigest()
        rates = self.rates()
        if rates is None:
            return Claim(prompt + output, None, content)
        highest = rates if self._complete else worst(rates, self.entry())
        return Claim(prompt + output, highest.most(prompt, output), content)

    def usage(self, response: Any, request: ModelRequest, written: Sequence[str], retries: int) -> Usage:
        """What an answered call consumed: as the provider counts, else as its text is long."""
        given = getattr(response, "usage", None)
        details = getattr(given, "prompt_tokens_details", None)
        cached = int(getattr(details, "cached_tokens", None) or 0)
        stored = int(getattr(details, "cache_creation_tokens", None) or 0)
        prompt = int(getattr(given, "prompt_tokens", None) or 0)
        completion = int(getattr(given, "completion_tokens", None) or 0)
        reported = prompt + completion > 0
        if reported:
            self._learn(prompt, request)
        else:
            prompt = estimate_tokens(json.dumps([*request.messages], default=str))
            completion = estimate_tokens(*written)
        rates = self.rates()
        cost = rates.cost(prompt, cached, completion, stored) if rates else 0.0
        if rates and reported and self._config.prices == Prices():
            cost = self._table_cost(response, otherwise=cost)
        return Usage(
            calls=1,
            input_tokens=prompt,
            output_tokens=completion,
            cached_tokens=cached,
            cost_usd=cost,
            retries=retries,
        )

    @property
    def _complete(self) -> bool:
        return self._config.prices.input is not None and self._config.prices.output is not None

    def _learn(self, prompt: int, request: ModelRequest) -> None:
        seen = (prompt - FRAME_TOKENS) / len(wire_form(request))
        self._tokens_per_byte = max(self._tokens_per_byte, seen * SAFETY)

    def _table_cost(self, response: Any, otherwise: float) -> float:
        """USD by LiteLLM's own calculator, which knows tiers and cache writes."""
        try:
            return float(load().completion_cost(completion_response=response, model=self._config.model))
        except Exception:  # a model that its table does not know, said in several types
            return otherwise


def wire_form(request: ModelRequest) -> bytes:
    """Messages and tools, about as they go over the wire; never empty."""
    tools = [[tool.name, tool.description, tool.parameters] for tool in request.tools]
    return json.dumps([*request.messages, *tools], ensure_ascii=False, default=str).encode()
