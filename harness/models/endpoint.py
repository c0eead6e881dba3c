"""Where a real model lives and how it is called: the configuration of one LiteLLM endpoint.

Owns: the fields, their bounds and the rule that no secret is ever written into a configuration. Does not own:
the calls (`harness/models/litellm.py`) or the arithmetic of prices (`harness/models/prices.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from harness.addresses import plain_address
from harness.models.prices import Prices

OWN_ARGUMENTS = frozenset(
    {
        "model",
        "messages",
        "tools",
        "api_base",
        "base_url",
        "api_key",
        "seed",
        "temperature",
        "top_p",
        "n",
        "stream",
    }
    | {"max_tokens", "max_completion_tokens", "timeout", "num_retries", "max_retries", "drop_params"}
)
SECRET_NAMES = frozenset({"api_key", "apikey", "authorization", "x-api-key", "password", "token", "secret"})


class Backoff(BaseModel):
    """Seconds between attempts: doubling, with jitter, unless the provider says how long to wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial_s: float = Field(default=1.0, ge=0)
    """Before the first retry."""
    max_s: float = Field(default=60.0, ge=0)
    """The longest wait of our own choosing."""
    jitter_s: float = Field(default=1.0, ge=0)
    """Up to so much is added at random, so that trials do not return all at once."""
    longest_retry_after_s: float = Field(default=300.0, ge=0)
    """A provider that asks for a longer wait than this ends the call."""


class LiteLLMConfig(BaseModel):
    """One model as LiteLLM reaches it. Holds no secret: keys are named by environment variable."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str = Field(pattern=r"^[^/\s]+/\S+$")
    """LiteLLM's provider string, `provider/model`."""
    api_base: str | None = None
    """Where the API lives, if not at the provider's own address."""
    api_key_env: str | None = None
    """Name of the environment variable with the key; read when a call is made. None: a local endpoint without
    a key, or credentials that the provider's SDK finds itself."""
    temperature: float | None = Field(default=None, ge=0)
    """None: the provider's default."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_output_tokens: int | None = Field(default=None, gt=0)
    """Longest reply, reasoning included. None: what the agent asks for."""
    timeout_s: float = Field(default=300.0, gt=0)
    """For one attempt, from request to complete reply."""
    max_retries: int = Field(default=5, ge=0)
    """Further attempts after timeouts, lost connections, rate limits and server errors."""
    backoff: Backoff = Backoff()
    drop_params: bool = True
    """Leave out parameters that the provider does not know (seed, temperature) instead of failing."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of `litellm.acompletion`, e.g. `reasoning_effort`."""
    context_window: int | None = Field(default=None, gt=0)
    """Tokens that a conversation may take. None: LiteLLM's table."""
    prompt_cache: bool = False
    """Mark the conversation for the provider's prompt cache, where it must be asked (Anthropic, Bedrock). Others
    cache by themselves. What was read from a cache is priced as `prices.cached_input`."""
    prices: Prices = Prices()

    @field_validator("api_base", mode="before")
    @classmethod
    def _plain_address(cls, value: Any) -> Any:
        return plain_address(value, "put a key into an environment variable named by api_key_env")

    @field_validator("extra")
    @classmethod
    def _only_further_arguments(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(OWN_ARGUMENTS & value.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)}: set by the harness or by a field of its own")
        if any(str(name).lower() in SECRET_NAMES for name in _names(value)):
            what = "holds a secret; put it into an environment variable named by api_key_env"
            raise PydanticCustomError("secret", what)
        return value


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)
