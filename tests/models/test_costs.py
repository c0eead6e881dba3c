"""What a call can cost before it is made, and what it did cost; prompt caches; and the meter in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfrastructureError, Postponed
from harness.models.endpoint import LiteLLMConfig
from harness.models.failures import Failure
from harness.models.library import load
from harness.models.litellm import LiteLLMModel
from harness.models.meter import Claim
from harness.models.prices import Prices, Rates, resolve, worst
from harness.models.tariff import Tariff
from harness.models.wire import cache_marked
from harness.protocols import Message, ModelReply, ModelRequest
from tests.openai_server import OpenAIServer

TASK: list[Message] = [
    {"role": "system", "content": "You are an SRE."},
    {"role": "user", "content": "Namespaces: otel-demo. Find the cause."},
]
PRICES = {"input": 2.0, "cached_input": 0.5, "cache_write": 3.0, "output": 10.0}


class Recorder:
    """A meter that notes what it is told; it can refuse, and can have failures repeated."""

    known: ModelReply | None = None

    def __init__(self, refuse: bool = False, again: int = 0) -> None:
        self.told: list[Any] = []
        self._refuse = refuse
        self._again = again

    async def permit(self, claim: Claim) -> Recorder:
        if self._refuse:
            raise Postponed("no money is left", everything=True)
        self.told.append(claim)
        return self

    def answered(self, reply: ModelReply) -> None:
        self.told.append(reply.usage)

    async def failed(self, failure: Failure) -> bool:
        self.told.append(failure.kind)
        self._again -= 1
        return self._again >= 0

    def lost(self) -> None:
        self.told.append("lost")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with OpenAIServer() as running:
        yield running


def model(server: OpenAIServer, behaviour: str = "scripted", **fields: Any) -> LiteLLMModel:
    backoff = {"initial_s": 0.01, "jitter_s": 0.0}
    shared = {"api_base": server.api_base, "backoff": backoff, "prices": PRICES, "max_retries": 1}
    return LiteLLMModel("mine", LiteLLMConfig(model=f"openai/{behaviour}", **(shared | fields)))


def ask(asked: LiteLLMModel) -> ModelReply:
    async def once() -> ModelReply:
        try:
            return await asked.complete(ModelRequest(TASK, (), 7))
        finally:
            await asked.close()

    return asyncio.run(once())


def test_a_call_is_claimed_before_it_is_made_and_settled_after(server: OpenAIServer) -> None:
    meter = Recorder()
    reply = ask(model(server).metered(meter))
    claim, usage = meter.told
    assert usage == reply.usage
    assert usage.cost_usd > 0
    assert claim.usd >= usage.cost_usd
    assert claim.tokens >= usage.input_tokens + usage.output_tokens


def test_a_model_without_a_meter_is_not_changed_by_a_metered_copy(server: OpenAIServer) -> None:
    plain, meter = model(server), Recorder(refuse=True)
    with pytest.raises(Postponed):
        ask(plain.metered(meter))
    assert not server.requests
    assert ask(plain).usage.calls == 1


def test_every_attempt_is_claimed_and_told(server: OpenAIServer) -> None:
    meter = Recorder()
    with pytest.raises(InfrastructureError):
        ask(model(server, "http_500").metered(meter))
    assert [*map(type, meter.told)] == [Claim, str, Claim, str]
    assert len(server.requests) == 2


def test_failures_that_are_the_providers_do_not_count_as_retries(server: OpenAIServer) -> None:
    """With one retry allowed, three failures end a call, unless the meter says that they are not its fault."""
    meter = Recorder(again=2)
    with pytest.raises(InfrastructureError):
        ask(model(server, "http_500").metered(meter))
    assert len(server.requests) == 4


def test_an_abandoned_call_is_told_too(server: OpenAIServer) -> None:
    meter = Recorder()

    async def abandon() -> None:
        call = asyncio.create_task(
            model(server, "timeout").metered(meter).complete(ModelRequest(TASK, (), 7))
        )
        while not server.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(abandon())
    assert meter.told[1:] == ["lost"]


def test_an_endpoint_that_counts_more_tokens_than_bytes_raises_its_own_bound() -> None:
    tariff = Tariff(LiteLLMConfig(model="openai/x", prices=Prices(**PRICES)))
    request = ModelRequest(TASK, (), 7, max_output_tokens=10)
    before = tariff.claim(request)

    class Answer:
        class usage:  # noqa: N801 - the attribute of LiteLLM's response
            prompt_tokens, completion_tokens, prompt_tokens_details = 5_000, 1, None

    tariff.usage(Answer, request, [""], 0)
    after = tariff.claim(request)
    assert before.tokens < 5_000 < after.tokens


@given(
    prompt=st.integers(0, 10**6),
    shares=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
    output=st.integers(0, 10**5),
    rates=st.builds(Rates, *[st.floats(0, 100)] * 4),
)
def test_no_split_of_the_prompt_costs_more_than_the_most(
    prompt: int, shares: tuple[float, float], output: int, rates: Rates
) -> None:
    cached, stored = (int(prompt * share) for share in shares)
    assert rates.cost(prompt, cached, output, stored) <= rates.most(prompt, output) + 1e-9


def test_the_dearest_tier_of_the_table_bounds_a_call() -> None:
    table = {
        "input_cost_per_token": 2e-6,
        "input_cost_per_token_above_272k_tokens": 4e-6,
        "output_cost_per_token": 12e-6,
        "output_cost_per_reasoning_token": 15e-6,
        "cache_creation_input_token_cost": 2.5e-6,
    }
    rates = resolve(Prices(), table)
    assert rates is not None
    assert worst(rates, table) == pytest.approx((4.0, 2.0, 15.0, 2.5))


def test_cache_marks_stand_where_the_next_turn_goes_on() -> None:
    conversation: list[Message] = [
        *TASK,
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    marked = cache_marked(conversation)
    assert [isinstance(message["content"], list) for message in marked] == [True, False, False, True]
    assert marked[-1]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert [message["content"] for message in conversation[2:]] == [None, "ok"]


def test_marks_are_sent_only_to_providers_that_must_be_asked(server: OpenAIServer) -> None:
    """LiteLLM drops the marks for the ones that cache by themselves; the text arrives either way."""
    for marked in (False, True):
        ask(model(server, prompt_cache=marked))
        sent = server.requests[-1].body["messages"][0]["content"]
        assert "You are an SRE." in str(sent)


def test_the_marks_reach_a_provider_that_must_be_asked() -> None:
    load()
    from litellm.llms.anthropic.chat.transformation import AnthropicConfig

    sent = AnthropicConfig().transform_request(
        model="claude-sonnet-5-5",
        messages=cache_marked(TASK),
        optional_params={"max_tokens": 10},
        litellm_params={},
        headers={},
    )
    mark = {"type": "ephemeral"}
    assert sent["system"][0]["cache_control"] == mark
    assert sent["messages"][-1]["content"][-1]["cache_control"] == mark
