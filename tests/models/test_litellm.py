"""Real models through LiteLLM, over real HTTP to an OpenAI-compatible server on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from harness.errors import AgentError, ConfigurationError, InfrastructureError
from harness.models import litellm as adapter
from harness.models.failures import ContextWindowError, classify, scrub
from harness.models.litellm import LiteLLMConfig, LiteLLMModel
from harness.protocols import Message, ModelReply, ModelRequest, ToolSchema
from tests.openai_server import BROKEN_ARGUMENTS, OpenAIServer

KEY = "sk-test-0123456789abcdef"
KEY_ENV = "HARNESS_TEST_KEY"
FAST = {"initial_s": 0.01, "jitter_s": 0.0}
KUBECTL_GET = ToolSchema(
    "kubectl_get", "Objects of a kind.", {"type": "object", "properties": {"kind": {"type": "string"}}}
)
TASK: list[Message] = [
    {"role": "system", "content": "You are an SRE."},
    {"role": "user", "content": "Namespaces: otel-demo. Find the cause."},
]
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def model(server: OpenAIServer, behaviour: str = "default", **fields: Any) -> LiteLLMModel:
    given = {"api_base": server.api_base, "api_key_env": KEY_ENV, "backoff": FAST, "timeout_s": 20.0} | fields
    return LiteLLMModel("mine", LiteLLMConfig.model_validate({"model": f"openai/{behaviour}"} | given))


def ask(asked: LiteLLMModel, messages: list[Message] | None = None, **fields: Any) -> ModelReply:
    async def once() -> ModelReply:
        try:
            request = ModelRequest(messages or TASK, fields.pop("tools", [KUBECTL_GET]), seed=7, **fields)
            return await asked.complete(request)
        finally:
            await adapter.close_connections()

    return asyncio.run(once())


# --- a round trip -----------------------------------------------------------------------------------


def test_a_tool_call_makes_the_round_trip(server: OpenAIServer) -> None:
    asked = model(server, temperature=0.25)
    first = ask(asked)
    (call,) = first.calls
    assert (call.name, first.finish) == ("kubectl_get", "tool_calls")
    assert json.loads(call.arguments) == {"kind": "Pod"}
    answered = [
        *TASK,
        {
            "role": "assistant",
            "content": "I look at the pods.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "[c1] {}"},
    ]
    second = ask(asked, answered)
    assert (second.text, second.calls, second.finish) == ("Nothing is left to do.", (), "stop")
    assert first.latency_s > 0

    sent = server.requests[0]
    assert sent.body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": KUBECTL_GET.name,
                "description": KUBECTL_GET.description,
                "parameters": KUBECTL_GET.parameters,
            },
        }
    ]
    assert (sent.body["seed"], sent.body["temperature"], sent.body["max_tokens"]) == (7, 0.25, 4096)
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert KEY.encode() not in sent.raw
    assert server.requests[1].body["messages"] == answered


def test_reasoning_is_kept_apart_from_text(server: OpenAIServer) -> None:
    reply = ask(model(server, "reasoning"))
    assert (reply.text, reply.reasoning) == ("Two and two is four.", "I counted.")


def test_the_models_own_limit_on_replies_wins(server: OpenAIServer) -> None:
    ask(model(server, max_output_tokens=99), max_output_tokens=50)
    ask(model(server), max_output_tokens=50)
    assert [request.body["max_tokens"] for request in server.requests] == [99, 50]


def test_further_arguments_reach_the_provider(server: OpenAIServer) -> None:
    ask(model(server, extra={"extra_body": {"chat_template_kwargs": {"thinking": False}}}))
    assert server.requests[0].body["chat_template_kwargs"] == {"thinking": False}


def test_an_endpoint_without_a_key_never_gets_the_users_openai_key(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-belongs-to-somebody-else")
    ask(model(server, api_key_env=None))
    assert server.requests[0].headers["authorization"] == "Bearer none"


def test_history_with_broken_arguments_is_sent_in_a_form_that_every_provider_parses(
    server: OpenAIServer,
) -> None:
    function = {"name": "", "arguments": BROKEN_ARGUMENTS}
    said = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    ask(model(server), [*TASK, said, {"role": "tool", "tool_call_id": "c1", "content": "[c1] not JSON"}])
    sent = server.requests[0].body["messages"][2]["tool_calls"][0]["function"]
    assert sent["name"] == "unnamed"
    assert json.loads(sent["arguments"]) == {"malformed_arguments": BROKEN_ARGUMENTS}
    assert function["arguments"] == BROKEN_ARGUMENTS, "the session's own messages stay as they were"


def test_empty_text_beside_a_call_is_left_out(server: OpenAIServer) -> None:
    function = {"name": "kubectl_get", "arguments": "{}"}
    call = {"id": "c1", "type": "function", "function": function}
    said = {"role": "assistant", "content": "", "tool_calls": [call]}
    ask(model(server), [*TASK, said, {"role": "tool", "tool_call_id": "c1", "content": "[c1] {}"}])
    assert server.requests[0].body["messages"][2].get("content") is None


def test_many_calls_in_flight_share_the_event_loop(server: OpenAIServer) -> None:
    async def all_at_once() -> list[ModelReply]:
        asked = model(server)
        try:
            request = ModelRequest(TASK, [KUBECTL_GET], seed=7)
            return await asyncio.gather(*(asked.complete(request) for _ in range(30)))
        finally:
            await adapter.close_connections()

    assert {reply.finish for reply in asyncio.run(all_at_once())} == {"tool_calls"}
    assert len(server.requests) == 30


# --- replies that are no use: the model's doing, passed on ----------------------------------------------


def test_broken_arguments_are_passed_on_as_written(server: OpenAIServer) -> None:
    (call,) = ask(model(server, "broken_json_arguments")).calls
    assert call.arguments == BROKEN_ARGUMENTS


@pytest.mark.parametrize(("behaviour", "finish"), [("empty", "stop"), ("garbage", "no_choices")])
@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_an_answer_without_content_is_an_empty_reply(
    server: OpenAIServer, provider: str, behaviour: str, finish: str
) -> None:
    reply = ask(model(server, model=f"{provider}/{behaviour}"))
    assert (reply.text, reply.calls, reply.finish, reply.usage.calls) == ("", (), finish, 1)
    assert len(server.requests) == 1


# --- failures ---------------------------------------------------------------------------------------


def test_server_errors_are_retried_and_counted(server: OpenAIServer) -> None:
    reply = ask(model(server, "http_500_then_ok"))
    assert (reply.usage.retries, reply.usage.calls, len(server.requests)) == (2, 1, 3)
    assert reply.calls


@pytest.mark.parametrize("behaviour", ["http_500", "not_json"])
def test_exhausted_retries_are_an_infrastructure_error(server: OpenAIServer, behaviour: str) -> None:
    with pytest.raises(InfrastructureError, match=rf"openai/{behaviour} at http://.*3 attempts") as caught:
        ask(model(server, behaviour, max_retries=2))
    assert caught.value.cause == "api_error"
    assert len(server.requests) == 3


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_a_rate_limit_waits_as_long_as_the_provider_asks(server: OpenAIServer, provider: str) -> None:
    server.retry_after_s = 0.4
    reply = ask(model(server, model=f"{provider}/rate_limited"))
    assert reply.usage.retries == 1
    assert server.times[1] - server.times[0] >= 0.4
    assert reply.latency_s < 0.4, "waiting for permission is not the model's latency"


def test_a_wait_that_is_too_long_ends_the_call(server: OpenAIServer) -> None:
    server.retry_after_s = 3600
    with pytest.raises(InfrastructureError, match="rate limit reached"):
        ask(model(server, "rate_limited"))
    assert len(server.requests) == 1


def test_a_slow_answer_is_a_timeout(server: OpenAIServer) -> None:
    began = time.monotonic()
    with pytest.raises(InfrastructureError, match=r"Timeout.*2 attempts"):
        ask(model(server, "timeout", timeout_s=0.3, max_retries=1))
    assert time.monotonic() - began < 5
    assert len(server.requests) == 2


def test_nobody_listening_is_told_soon() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/v1"
    config = LiteLLMConfig.model_validate({"model": "openai/x", "api_base": address, "backoff": FAST})
    with pytest.raises(InfrastructureError, match=rf"{address}.*3 attempts") as caught:
        ask(LiteLLMModel("mine", config))
    assert caught.value.cause == "api_error"


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("refuse", f"check the key in {KEY_ENV}"),
        ("not_found", "check models.mine.model and models.mine.api_base"),
        ("no_credit", "exceeded your current quota"),
        ("bad_request", "does not accept the request"),
    ],
)
def test_what_the_user_must_mend_is_not_retried(server: OpenAIServer, behaviour: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        ask(model(server, behaviour))
    assert caught.value.problems[0].where == "models.mine"
    assert len(server.requests) == 1


def test_a_request_refused_in_mid_conversation_is_not_the_configurations_fault(server: OpenAIServer) -> None:
    with pytest.raises(InfrastructureError) as caught:
        ask(model(server, "bad_request"), [*TASK, {"role": "assistant", "content": "Let me think."}])
    assert caught.value.cause == "api_error"
    assert len(server.requests) == 1


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_a_conversation_that_is_too_long_has_its_own_outcome(server: OpenAIServer, provider: str) -> None:
    with pytest.raises(ContextWindowError, match="too long") as caught:
        ask(model(server, model=f"{provider}/too_long"))
    assert isinstance(caught.value, AgentError)
    assert caught.value.cause == "budget_tokens"
    assert len(server.requests) == 1
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_python_module_is_not_mistaken_for_a_network_failure() -> None:
    disguised = adapter.load().APIConnectionError("No module named 'mcp'", "openai", "gpt")
    disguised.__cause__ = ModuleNotFoundError("No module named 'mcp'")
    assert classify(disguised).kind == "setup"


# --- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_the_key_appears_nowhere(
    server: OpenAIServer, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = model(server, model=f"{provider}/refuse")
    with caplog.at_level("DEBUG", logger="harness"), pytest.raises(ConfigurationError) as caught:
        ask(asked)
    assert server.last_key == KEY, "the server quotes it"
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    shown += repr(asked) + repr(asked.config) + asked.config.model_dump_json() + repr(caught.value)
    assert "[secret]" in shown
    assert KEY not in shown


def test_scrubbing_knows_keys_by_sight() -> None:
    text = scrub("key AIzaSyA1234567890abcdefgh, Bearer abc.def http://x/?key=123&a=1, mine", ["mine"])
    assert text == "key [secret], Bearer [secret] http://x/?key=[secret]&a=1, [secret]"


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"api_key": KEY}},
        {"extra": {"extra_headers": {"Authorization": f"Bearer {KEY}"}}},
        {"extra": {"messages": []}},
        {"api_base": f"http://user:{KEY}@127.0.0.1/v1"},
        {"api_base": "127.0.0.1:8000"},
        {"api_key": KEY},
        {"model": "gpt"},
        {"prices": {"input": -1}},
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LiteLLMConfig.model_validate({"model": "openai/x"} | fields)


# --- money ------------------------------------------------------------------------------------------


def test_configured_prices_count_cached_tokens_apart(server: OpenAIServer) -> None:
    usage = ask(model(server, prices={"input": 2.0, "cached_input": 0.5, "output": 10.0})).usage
    assert usage.cached_tokens == usage.input_tokens // 2 > 0
    fresh = usage.input_tokens - usage.cached_tokens
    expected = (fresh * 2.0 + usage.cached_tokens * 0.5 + usage.output_tokens * 10.0) / 1e6
    assert usage.cost_usd == pytest.approx(expected)


def test_litellms_table_prices_what_the_configuration_does_not(server: OpenAIServer) -> None:
    asked = model(server, model="openai/gpt-5-mini")
    usage = ask(asked).usage
    entry = adapter.load().model_cost["gpt-5-mini"]
    fresh = usage.input_tokens - usage.cached_tokens
    expected = (
        fresh * entry["input_cost_per_token"]
        + usage.cached_tokens * entry["cache_read_input_token_cost"]
        + usage.output_tokens * entry["output_cost_per_token"]
    )
    assert asked.price_known()
    assert usage.cost_usd == pytest.approx(expected)


def test_a_price_override_keeps_the_rest_of_the_table(server: OpenAIServer) -> None:
    usage = ask(model(server, model="openai/gpt-5-mini", prices={"output": 1000.0})).usage
    assert usage.cost_usd >= usage.output_tokens * 1000.0 / 1e6


def test_an_unknown_price_is_said_and_refused_under_a_budget(server: OpenAIServer) -> None:
    asked = model(server)
    assert not asked.price_known()
    assert asked.problems() == []
    (problem,) = asked.problems(money_budget=True)
    assert problem.where == "models.mine.prices"
    assert "models.mine.prices.input and models.mine.prices.output" in problem.hint
    assert ask(asked).usage.cost_usd == 0.0


def test_a_price_of_nothing_is_known_only_when_the_user_says_so(server: OpenAIServer) -> None:
    assert model(server, prices={"input": 0, "output": 0}).price_known()
    assert not model(server, prices={"input": 1}).price_known()
    assert not model(server, model="ollama/llama3").price_known(), "LiteLLM's table says 0"


def test_tokens_are_estimated_where_the_endpoint_does_not_count(server: OpenAIServer) -> None:
    usage = ask(model(server, "no_usage", prices={"input": 1, "output": 1})).usage
    assert usage.output_tokens == len("word " * 400) // 4
    assert usage.cost_usd > 0


# --- before a run -----------------------------------------------------------------------------------


def test_problems_are_found_before_the_first_call_and_all_at_once(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_ENV)
    asked = model(server, model="nonsense/model")
    found = "\n".join(str(problem) for problem in asked.problems(money_budget=True))
    assert f"environment variable {KEY_ENV} is not set" in found
    assert "LiteLLM knows no provider of 'nonsense/model'" in found
    assert "unknown price" in found
    with pytest.raises(ConfigurationError, match=f"{KEY_ENV} is not set"):
        ask(asked)
    assert server.requests == []


def test_the_context_window_comes_from_the_configuration_or_the_table(server: OpenAIServer) -> None:
    assert model(server, context_window=4096).context_window() == 4096
    assert model(server, model="openai/gpt-5-mini").context_window() == 272000
    assert model(server).context_window() is None


def test_importing_the_adapter_does_not_import_litellm() -> None:
    code = "import sys, harness.models.litellm; sys.exit('litellm' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=60)


def test_loading_litellm_leaves_the_environment_as_it_was() -> None:
    adapter.load()
    assert "LITELLM_LOCAL_MODEL_COST_MAP" not in os.environ


REAL = [
    path for path in sorted((REPOSITORY / "conf/model").glob("*.yaml")) if "kind: litellm" in path.read_text()
]


@pytest.mark.parametrize("path", REAL, ids=[path.stem for path in REAL])
def test_ready_configurations_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = path.read_text()
    assert text.startswith(f"# @package models.{path.stem}\n")
    fields = yaml.safe_load(text)
    assert fields.pop("kind") == "litellm"
    assert fields.keys() == LiteLLMConfig.model_fields.keys(), "every field can be overridden by name"
    config = LiteLLMConfig.model_validate(fields)
    if config.api_key_env:
        monkeypatch.setenv(config.api_key_env, KEY)
    assert LiteLLMModel(path.stem, config).problems() == []


def test_the_models_of_the_reference_study_and_three_more_are_there() -> None:
    expected = {"gemini_3_flash", "kimi_k2", "gpt_oss_120b", "gpt", "claude", "openai_compatible"}
    assert expected <= {path.stem for path in REAL}
