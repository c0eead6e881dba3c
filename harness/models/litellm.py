"""Real models: any provider that LiteLLM speaks, behind the Model protocol.

Owns: the request over the wire, typed retries, and the way back to a reply. Does not own: the configuration
(`endpoint`), LiteLLM's import (`library`), what an exception means (`failures`), what a call costs (`tariff`), limits
across trials (`harness/broker`, reached through a `Meter`), or what the agent makes of a reply: text without a tool
call, broken arguments and empty answers are passed on as they came, because they are the model's doing.

LiteLLM's own retries are off: every attempt that can cost money is made and counted here.
"""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception

from harness.errors import ConfigurationError, InfrastructureError, Problem
from harness.models.complaints import Complaints
from harness.models.endpoint import LiteLLMConfig
from harness.models.failures import ContextWindowError, Failure, classify, scrub
from harness.models.library import INSTALL, close_connections, load
from harness.models.meter import Meter, Unmetered
from harness.models.retries import Attempts, CallError
from harness.models.tariff import Tariff
from harness.models.wire import cache_marked, requested_calls, sendable, text_of, tool_schemas
from harness.protocols import ModelReply, ModelRequest, RequestedCall
from harness.records import Usage

__all__ = ["LiteLLMConfig", "LiteLLMModel", "close_connections", "load"]

NO_KEY = "none"
"""Sent to an endpoint without a key; sending nothing would make LiteLLM send the user's OPENAI_API_KEY."""
SHORTEST_SECRET = 8
"""A shorter key is a dummy, and may be a word that a model writes."""


class LiteLLMModel:
    """Answers through LiteLLM. Stateless; one instance serves all trials of a process."""

    Config = LiteLLMConfig
    simulated = False

    def __init__(self, name: str, config: LiteLLMConfig) -> None:
        self.name = name
        self.config = config
        self._says = Complaints(name, config)
        self._tariff = Tariff(config)
        self._meter: Meter = Unmetered()

    def __repr__(self) -> str:
        return f"LiteLLMModel({self.name!r}, {self.config.model!r})"

    @property
    def provider(self) -> str:
        """The address where one was configured, else LiteLLM's name of the provider."""
        return self.config.api_base or self.config.model.partition("/")[0]

    def metered(self, meter: Meter) -> LiteLLMModel:
        """The same model, asking this meter before every attempt."""
        model = copy.copy(self)
        model._meter = meter
        return model

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the provider. Raises ConfigurationError (key, address, provider string, missing module),
        ContextWindowError, Postponed (`Meter.permit`), and InfrastructureError("api_error") when the provider kept
        failing."""
        load()
        key = self._key()
        attempts = Attempts(self.name, self.config)
        worth = retry_if_exception(attempts.worth_another)
        retrying = AsyncRetrying(stop=attempts.stop, wait=attempts.wait, retry=worth, reraise=True)
        failure: Failure | None = None
        try:
            reply: ModelReply = await retrying(self._attempt, request, key)
        except CallError as error:
            failure = error.failure
        retries = int(retrying.statistics["attempt_number"]) - 1
        # Settled outside of the handler: LiteLLM's exceptions quote requests and must not ride along.
        if failure is not None:
            return self._settle(failure, request, retries)
        return _with_retries(reply, retries)

    def price_known(self) -> bool:
        """Whether calls can be priced. Where not, `cost_usd` stays 0 and says nothing."""
        return self._tariff.rates() is not None

    def context_window(self) -> int | None:
        """Tokens that a conversation may take, where known."""
        known = self.config.context_window or self._tariff.entry().get("max_input_tokens")
        return int(known) if known else None

    def problems(self, money_budget: bool = False) -> list[Problem]:
        """What would make every call fail, as far as it shows without a network; an unknown price is one of
        them under a money budget. Raises ConfigurationError when LiteLLM is not installed."""
        found = []
        if importlib.util.find_spec("mcp") is None:
            found.append(self._says.missing_module())
        variable = self.config.api_key_env
        if variable and not os.environ.get(variable):
            found.append(self._says.missing_key(variable))
        try:
            load().get_llm_provider(self.config.model)
        except Exception:  # whatever it raises, it knows no provider of that name
            found.append(self._says.unknown_provider())
        if money_budget and not self.price_known():
            found.append(self._says.unknown_price())
        return found

    async def close(self) -> None:
        """Close LiteLLM's connections of this event loop."""
        await close_connections()

    # --- the call ---------------------------------------------------------------------------------------

    async def _attempt(self, request: ModelRequest, key: str | None) -> ModelReply:
        """One attempt: leave to make it, the call, and the settlement of both."""
        permit = await self._meter.permit(self._tariff.claim(request))
        if permit.known is not None:
            return permit.known
        try:
            response, latency = await self._send(self._arguments(request, key))
            reply = self._reply(response, latency, request, key)
        except CallError as error:
            error.again = await permit.failed(error.failure)
            raise
        except BaseException:
            permit.lost()
            raise
        permit.answered(reply)
        return reply

    async def _send(self, arguments: dict[str, Any]) -> tuple[Any, float]:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.config.timeout_s):
                response = await load().acompletion(**arguments)
        except Exception as error:
            failure = classify(error)
        else:
            return response, time.perf_counter() - started
        secret = arguments.get("api_key")
        raise CallError(failure._replace(detail=scrub(failure.detail, _secrets(secret))))

    def _arguments(self, request: ModelRequest, key: str | None) -> dict[str, Any]:
        config = self.config
        messages = [sendable(message) for message in request.messages]
        arguments = {
            "model": config.model,
            "messages": cache_marked(messages) if config.prompt_cache else messages,
            "tools": tool_schemas(request.tools) or None,
            "seed": request.seed,
            "max_tokens": self._tariff.output_limit(request),
            "temperature": config.temperature,
            "top_p": config.top_p,
            "api_base": config.api_base,
            "api_key": key,
            "timeout": config.timeout_s,
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        return config.extra | given | {"drop_params": config.drop_params, "num_retries": 0, "max_retries": 0}

    def _key(self) -> str | None:
        variable = self.config.api_key_env
        if variable is None:
            return NO_KEY if self.config.api_base else None
        key = os.environ.get(variable)
        if not key:
            raise ConfigurationError(self._says.missing_key(variable))
        return key

    # --- the answer -------------------------------------------------------------------------------------

    def _settle(self, failure: Failure, request: ModelRequest, retries: int) -> ModelReply:
        detail = failure.detail
        if failure.kind in ("unreadable", "filtered"):
            finish = "no_choices" if failure.kind == "unreadable" else "content_filter"
            return ModelReply(text="", finish=finish, usage=Usage(calls=1, retries=retries))
        if failure.kind == "context":
            raise ContextWindowError(detail=f"the conversation is too long for {self.config.model}: {detail}")
        if failure.kind == "setup":
            raise ConfigurationError(Problem("litellm", detail, INSTALL))
        if failure.kind == "credentials":
            raise ConfigurationError(self._says.refused(failure, detail))
        # A request is the configuration's fault only while nothing but the harness has spoken.
        begins = not any(message.get("role") == "assistant" for message in request.messages)
        if failure.kind == "request" and begins:
            raise ConfigurationError(self._says.not_accepted(detail))
        attempts = f"{retries + 1} attempts" if retries else "1 attempt"
        raise InfrastructureError("api_error", f"{self._says.address}: {detail} ({attempts})")

    def _reply(self, response: Any, latency: float, request: ModelRequest, key: str | None) -> ModelReply:
        choices = getattr(response, "choices", None) or []
        message = getattr(choices[0], "message", None) if choices else None
        hide = _hider(key)
        text = hide(text_of(getattr(message, "content", None)))
        reasoning = hide(text_of(getattr(message, "reasoning_content", None)))
        requested = requested_calls(getattr(message, "tool_calls", None) or [], turn=len(request.messages))
        calls = tuple(RequestedCall(*map(hide, (call.id, call.name, call.arguments))) for call in requested)
        written = (text, reasoning, *(call.arguments for call in calls))
        return ModelReply(
            text=text,
            calls=calls,
            reasoning=reasoning,
            usage=self._tariff.usage(response, request, written, 0),
            finish=hide(str(choices[0].finish_reason or "stop")) if choices else "no_choices",
            latency_s=latency,
        )


def _with_retries(reply: ModelReply, retries: int) -> ModelReply:
    return replace(reply, usage=reply.usage.model_copy(update={"retries": retries})) if retries else reply


def _hider(key: str | None) -> Callable[[str], str]:
    """Takes the key out of what an endpoint echoes."""
    if key is None or len(key) < SHORTEST_SECRET:
        return lambda text: text
    return lambda text: text.replace(key, "[secret]")


def _secrets(key: str | None) -> list[str]:
    return [key] if key and key != NO_KEY else []
