"""What a model's tokens cost: configured prices first, LiteLLM's table second, otherwise unknown.

Owns: rates and the arithmetic. Does not own: budgets (session, executors) or the table itself. An unknown
price is `None`, never 0: a cap on money that counts an unpriced model as free would never fire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

MILLION = 1_000_000
CHARACTERS_PER_TOKEN = 4
"""Rule of thumb for endpoints that report no usage; without it their token budget would never run out."""


class Prices(BaseModel):
    """Prices in USD per million tokens; each one that is set overrides LiteLLM's table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float | None = Field(default=None, ge=0)
    """Prompt tokens that were not read from the provider's cache."""
    cached_input: float | None = Field(default=None, ge=0)
    """Prompt tokens read from the provider's cache; unset, they cost as much as other prompt tokens."""
    cache_write: float | None = Field(default=None, ge=0)
    """Prompt tokens that the provider stores for later; unset, they cost as much as other prompt tokens."""
    output: float | None = Field(default=None, ge=0)
    """Completion tokens, reasoning included."""


class Rates(NamedTuple):
    """Resolved prices in USD per million tokens."""

    input: float
    cached_input: float
    output: float
    cache_write: float

    def cost(
        self, input_tokens: int, cached_tokens: int, output_tokens: int, stored_tokens: int = 0
    ) -> float:
        """USD for one call; `cached_tokens` and `stored_tokens` are the parts of `input_tokens` that were read from
        and written to the provider's cache."""
        fresh = max(input_tokens - cached_tokens - stored_tokens, 0)
        cached = cached_tokens * self.cached_input + stored_tokens * self.cache_write
        return (fresh * self.input + cached + output_tokens * self.output) / MILLION

    def most(self, input_tokens: int, output_tokens: int) -> float:
        """USD for one call if every prompt token has the highest price."""
        dearest = max(self.input, self.cached_input, self.cache_write)
        return (input_tokens * dearest + output_tokens * self.output) / MILLION


def resolve(configured: Prices, table: Mapping[str, Any]) -> Rates | None:
    """The rates of a model, or None when neither the configuration nor its entry in the table prices it.

    A table entry that says 0 for both counts as unknown: LiteLLM writes 0 where it knows no price.
    """
    listed = _listed(table)
    prompt = _first(configured.input, listed.get("input_cost_per_token"))
    completion = _first(configured.output, listed.get("output_cost_per_token"))
    if prompt is None or completion is None:
        return None
    own = configured.input is not None
    discount = None if own else listed.get("cache_read_input_token_cost")
    premium = None if own else listed.get("cache_creation_input_token_cost")
    return Rates(
        prompt,
        _first(configured.cached_input, discount, prompt) or 0.0,
        completion,
        _first(configured.cache_write, premium, prompt) or 0.0,
    )


def worst(rates: Rates, table: Mapping[str, Any]) -> Rates:
    """The rates with the highest of the table's tiers (long contexts, reasoning) in place of lower ones."""

    def highest(prefix: str, known: float) -> float:
        tiers = [v for name, v in table.items() if name.startswith(prefix) and isinstance(v, int | float)]
        return max(known, *(MILLION * v for v in tiers), known)

    return rates._replace(
        input=highest("input_cost_per_token", rates.input),
        output=max(
            highest("output_cost_per_token", rates.output), highest("output_cost_per_reasoning", rates.output)
        ),
        cache_write=highest("cache_creation_input_token_cost", rates.cache_write),
    )


def find_entry(table: Mapping[str, Mapping[str, Any]], model: str) -> Mapping[str, Any]:
    """The entry of LiteLLM's table for a provider string; empty when there is none.

    Some providers are listed without prefix (`claude-...`); such an entry must belong to the same provider.
    """
    if model in table:
        return table[model]
    provider, _, bare = model.partition("/")
    entry = table.get(bare, {})
    return entry if str(entry.get("litellm_provider", "")).startswith(provider) else {}


def estimate_tokens(*texts: str) -> int:
    """Roughly how many tokens the texts are, for endpoints that do not say."""
    return sum(len(text) for text in texts) // CHARACTERS_PER_TOKEN


def _listed(table: Mapping[str, Any]) -> dict[str, float]:
    plain = ("input_cost_per_token", "output_cost_per_token")
    cache = ("cache_read_input_token_cost", "cache_creation_input_token_cost")
    names = (*plain, *cache)
    prices = {name: float(table[name]) * MILLION for name in names if table.get(name) is not None}
    free = not any(prices.get(name) for name in plain)
    return {} if free else prices


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
