"""Real models: any provider that LiteLLM speaks, behind the Model protocol.

Owns: the request over the wire, typed retries, tokens and money of a call, and LiteLLM's import. Does not
own: the configuration (`endpoint.py`), what an exception means (`failures.py`), rate limits and budgets
across trials (executors), or what the agent makes of a reply: text without a tool call, broken arguments and
empty answers are passed on as they came, because they are the model's doing.

LiteLLM takes seconds and 160 MB to import, so the first use imports it. Its own retries are off: every
attempt that can cost money is made and counted here.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from harness.errors import ConfigurationError, InfrastructureError, Problem
from harness.models.endpoint import LiteLLMConfig
from harness.models.failures import ContextWindowError, Failure, classify, scrub
from harness.models.prices import Prices, Rates, estimate_tokens, find_entry, resolve
from harness.models.wire import requested_calls, sendable, text_of, tool_schemas
from harness.protocols import ModelReply, ModelRequest
from harness.records import Usage

__all__ = ["LiteLLMConfig", "LiteLLMModel", "close_connections", "load"]

UNREACHABLE_RETRIES = 2
"""Nobody listens there: a few more attempts bridge a hiccup, many only delay the message."""
NO_KEY = "none"
"""Sent to an endpoint without a key; sending nothing would make LiteLLM send the user's OPENAI_API_KEY."""
INSTALL = 'pip install "litellm[mcp]"'

logger = logging.getLogger(__name__)


class LiteLLMModel:
    """Answers through LiteLLM. Stateless; one instance serves all trials of a process."""

    Config = LiteLLMConfig
    simulated = False

    def __init__(self, name: str, config: LiteLLMConfig) -> None:
        self.name = name
        self.config = config

    def __repr__(self) -> str:
        return f"LiteLLMModel({self.name!r}, {self.config.model!r})"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the provider. Raises ConfigurationError (key, address, provider string, missing module),
        ContextWindowError, and InfrastructureError("api_error") when the provider kept failing."""
        load()
        key = self._key()
        retrying = AsyncRetrying(
            stop=self._stop, wait=self._wait, retry=retry_if_exception(_is_transient), reraise=True
        )
        failure: Failure | None = None
        try:
            answer: tuple[Any, float] = await retrying(self._send, self._arguments(request, key))
        except _CallError as error:
            failure = error.failure
        retries = int(retrying.statistics["attempt_number"]) - 1
        # Settled outside of the handler: LiteLLM's exceptions quote requests and must not ride along.
        if failure is not None:
            return self._settle(failure, request, retries, key)
        return self._reply(answer, request, retries)

    def price_known(self) -> bool:
        """Whether calls can be priced. Where not, `cost_usd` stays 0 and says nothing."""
        return self._rates() is not None

    def context_window(self) -> int | None:
        """Tokens that a conversation may take, where known."""
        known = self.config.context_window or self._table_entry().get("max_input_tokens")
        return int(known) if known else None

    def problems(self, money_budget: bool = False) -> list[Problem]:
        """What would make every call fail, as far as it shows without a network; an unknown price is one of
        them under a money budget. Raises ConfigurationError when LiteLLM is not installed."""
        found = []
        if importlib.util.find_spec("mcp") is None:
            found.append(Problem("litellm", "needs the Python module mcp for tool calls", INSTALL))
        variable = self.config.api_key_env
        if variable and not os.environ.get(variable):
            found.append(self._missing_key(variable))
        try:
            load().get_llm_provider(self.config.model)
        except Exception:
            what = f"LiteLLM knows no provider of {self.config.model!r}; expected provider/model"
            found.append(Problem(f"models.{self.name}.model", what))
        if money_budget and not self.price_known():
            found.append(self._unknown_price())
        return found

    async def close(self) -> None:
        """Close LiteLLM's connections of this event loop."""
        await close_connections()

    # --- the call ---------------------------------------------------------------------------------------

    def _arguments(self, request: ModelRequest, key: str | None) -> dict[str, Any]:
        config = self.config
        arguments = {
            "model": config.model,
            "messages": [sendable(message) for message in request.messages],
            "tools": tool_schemas(request.tools) or None,
            "seed": request.seed,
            "max_tokens": config.max_output_tokens or request.max_output_tokens,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "api_base": config.api_base,
            "api_key": key,
            "timeout": config.timeout_s,
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        return config.extra | given | {"drop_params": config.drop_params, "num_retries": 0, "max_retries": 0}

    async def _send(self, arguments: dict[str, Any]) -> tuple[Any, float]:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.config.timeout_s):
                response = await load().acompletion(**arguments)
        except Exception as error:
            failure = classify(error)
        else:
            return response, time.perf_counter() - started
        raise _CallError(failure)

    def _key(self) -> str | None:
        variable = self.config.api_key_env
        if variable is None:
            return NO_KEY if self.config.api_base else None
        key = os.environ.get(variable)
        if not key:
            raise ConfigurationError(self._missing_key(variable))
        return key

    def _stop(self, state: RetryCallState) -> bool:
        failure = _failure_of(state)
        most = self.config.max_retries
        if failure.kind == "unreachable":
            most = min(most, UNREACHABLE_RETRIES)
        too_long = (failure.retry_after or 0.0) > self.config.backoff.longest_retry_after_s
        return state.attempt_number > most or too_long

    def _wait(self, state: RetryCallState) -> float:
        backoff, failure, made = self.config.backoff, _failure_of(state), state.attempt_number
        pause = min(backoff.initial_s * 2.0 ** (made - 1), backoff.max_s)
        if failure.retry_after is not None:
            pause = failure.retry_after
        pause += random.uniform(0.0, backoff.jitter_s)
        logger.info("%s: attempt %d failed (%s), next in %.1f s", self.name, made, failure.kind, pause)
        return pause

    # --- the answer -------------------------------------------------------------------------------------

    def _settle(self, failure: Failure, request: ModelRequest, retries: int, key: str | None) -> ModelReply:
        detail = scrub(failure.detail, [key] if key and key != NO_KEY else [])
        model = f"models.{self.name}"
        if failure.kind in ("unreadable", "filtered"):
            finish = "no_choices" if failure.kind == "unreadable" else "content_filter"
            return ModelReply(text="", finish=finish, usage=Usage(calls=1, retries=retries))
        if failure.kind == "context":
            raise ContextWindowError(detail=f"the conversation is too long for {self.config.model}: {detail}")
        if failure.kind == "setup":
            raise ConfigurationError(Problem("litellm", detail, INSTALL))
        if failure.kind == "credentials":
            what = f"{self._address()} refused the call: {detail}"
            raise ConfigurationError(Problem(model, what, self._hint(failure)))
        # A request is the configuration's fault only while nothing but the harness has spoken.
        begins = not any(message.get("role") == "assistant" for message in request.messages)
        if failure.kind == "request" and begins:
            what = f"{self._address()} does not accept the request: {detail}"
            raise ConfigurationError(Problem(model, what, f"check {model}.model and {model}.extra"))
        attempts = f"{retries + 1} attempts" if retries else "1 attempt"
        raise InfrastructureError("api_error", f"{self._address()}: {detail} ({attempts})")

    def _reply(self, answer: tuple[Any, float], request: ModelRequest, retries: int) -> ModelReply:
        response, latency = answer
        choices = getattr(response, "choices", None) or []
        message = getattr(choices[0], "message", None) if choices else None
        text = text_of(getattr(message, "content", None))
        reasoning = text_of(getattr(message, "reasoning_content", None))
        calls = requested_calls(getattr(message, "tool_calls", None) or [], turn=len(request.messages))
        written = (text, reasoning, *(call.arguments for call in calls))
        return ModelReply(
            text=text,
            calls=calls,
            reasoning=reasoning,
            usage=self._usage(response, request, written, retries),
            finish=str(choices[0].finish_reason or "stop") if choices else "no_choices",
            latency_s=latency,
        )

    def _usage(self, response: Any, request: ModelRequest, written: Sequence[str], retries: int) -> Usage:
        given = getattr(response, "usage", None)
        details = getattr(given, "prompt_tokens_details", None)
        cached = int(getattr(details, "cached_tokens", None) or 0)
        prompt = int(getattr(given, "prompt_tokens", None) or 0)
        completion = int(getattr(given, "completion_tokens", None) or 0)
        reported = prompt + completion > 0
        if not reported:
            prompt = estimate_tokens(json.dumps([*request.messages], default=str))
            completion = estimate_tokens(*written)
        rates = self._rates()
        cost = rates.cost(prompt, cached, completion) if rates else 0.0
        if rates and reported and self.config.prices == Prices():
            cost = self._table_cost(response, otherwise=cost)
        return Usage(
            calls=1,
            input_tokens=prompt,
            output_tokens=completion,
            cached_tokens=cached,
            cost_usd=cost,
            retries=retries,
        )

    # --- what is known about the endpoint -----------------------------------------------------------------

    def _table_entry(self) -> Mapping[str, Any]:
        return find_entry(load().model_cost, self.config.model)

    def _table_cost(self, response: Any, otherwise: float) -> float:
        """USD by LiteLLM's own calculator, which knows tiers and cache writes."""
        try:
            return float(load().completion_cost(completion_response=response, model=self.config.model))
        except Exception:
            return otherwise

    def _rates(self) -> Rates | None:
        prices = self.config.prices
        complete = prices.input is not None and prices.output is not None
        return resolve(prices, {} if complete else self._table_entry())

    def _address(self) -> str:
        return f"{self.config.model} at {self.config.api_base}" if self.config.api_base else self.config.model

    def _hint(self, failure: Failure) -> str:
        model = f"models.{self.name}"
        if failure.status == 404:
            served = f"; {self.config.api_base}/models lists what is served" if self.config.api_base else ""
            return f"check {model}.model and {model}.api_base{served}"
        variable = self.config.api_key_env
        return (
            f"check the key in {variable}" if variable else f"name the key's variable in {model}.api_key_env"
        )

    def _missing_key(self, variable: str) -> Problem:
        where = f"models.{self.name}.api_key_env"
        return Problem(where, f"environment variable {variable} is not set", f"export {variable}=...")

    def _unknown_price(self) -> Problem:
        where = f"models.{self.name}.prices"
        what = f"unknown price: neither the configuration nor LiteLLM's table prices {self.config.model!r}"
        hint = f"set {where}.input and {where}.output in USD per million tokens, 0 for a model that is free"
        return Problem(where, f"{what}, so a money budget cannot be kept", hint)


class _CallError(Exception):
    """One attempt failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, _CallError) and error.failure.kind in ("transient", "unreachable")


def _failure_of(state: RetryCallState) -> Failure:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, _CallError)
    return error.failure


# --- LiteLLM itself -------------------------------------------------------------------------------------


@cache
def load() -> Any:
    """The LiteLLM module, imported once and kept at home: no price download, telemetry or chatter.
    Raises ConfigurationError when it is not installed."""
    try:
        with _local_prices():
            import litellm
    except ImportError as error:
        raise ConfigurationError(Problem("litellm", str(error), INSTALL)) from error
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    # Every failure reaches us as an exception; its log lines would only quote requests on stderr.
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    return litellm


async def close_connections() -> None:
    """Close the connections that LiteLLM keeps; await it before an event loop that made calls ends."""
    litellm = load()
    await litellm.close_litellm_async_clients()
    # Clients are cached by the id of their event loop; a later loop of the same id must not get a closed one.
    litellm.in_memory_llm_clients_cache.flush_cache()


@contextmanager
def _local_prices() -> Iterator[None]:
    """LiteLLM takes this one switch from the environment only, and reads it while it is imported."""
    name = "LITELLM_LOCAL_MODEL_COST_MAP"
    before = os.environ.get(name)
    os.environ[name] = "True"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
