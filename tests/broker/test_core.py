"""The broker's decisions: money, order, rates, outages. Time is handed in, so nothing here waits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.broker.accounts import Accounts, caps
from harness.broker.circuit import Circuit
from harness.broker.config import MoneyConfig, OutageConfig, RateConfig
from harness.broker.core import Ask, Broker, Failed, Settings
from harness.broker.rates import Congestion, Window

DOWN = Failed(outage=True, unreachable=True, why="connection refused")
BROKEN = Failed(outage=True, why="HTTP 500")
LIMITED = Failed(limited=True, why="HTTP 429")


def broker(
    money: MoneyConfig | None = None, outage: OutageConfig | None = None, **rates: RateConfig
) -> Broker:
    money = money or MoneyConfig()
    return Broker(Settings(money, rates, outage or OutageConfig()), Accounts(caps(money)))


def ask(call: str, trial: str = "t", usd: float = 0.0, arm: str = "baseline", tokens: int = 10) -> Ask:
    return Ask(call, "agent", trial, arm, "gpt", "openai", tokens, usd)


def decided(broker: Broker, now: float = 0.0) -> dict[str, str]:
    """Call -> `yes` or why not."""
    decisions, _ = broker.decide(now)
    return {one.ask.call: one.refusal.why if one.refusal else "yes" for one in decisions}


# --- money ------------------------------------------------------------------------------------------------


@dataclass
class Bank:
    """A provider's view: what calls really cost, and the most that could ever be owed to it."""

    paid: float = 0.0
    flying: dict[str, float] = field(default_factory=dict)


@settings(max_examples=60, deadline=None)
@given(
    cap=st.floats(0.05, 2.0),
    calls=st.lists(
        st.tuples(st.integers(0, 5), st.floats(0.001, 0.4), st.floats(0, 1), st.sampled_from("afl")),
        max_size=60,
    ),
    width=st.integers(1, 64),
)
def test_no_order_of_calls_and_failures_overspends(
    cap: float, calls: list[tuple[int, float, float, str]], width: int
) -> None:
    """At every moment, what was paid and what calls under way could cost stays under the cap."""
    under = broker(MoneyConfig(usd=cap))
    bank, ends = Bank(), {}
    for number, (trial, most, share, end) in enumerate(calls):
        call = f"c{number}"
        under.ask(ask(call, f"t{trial}", most))
        ends[call] = (most, most * share, end)
        for name, answer in decided(under).items():
            if answer == "yes":
                bank.flying[name] = ends[name][0]
        assert bank.paid + sum(bank.flying.values()) <= cap + 1e-6
        while len(bank.flying) >= width:
            finish(under, bank, ends)
    while bank.flying:
        finish(under, bank, ends)
        for name, answer in decided(under).items():
            if answer == "yes":
                bank.flying[name] = ends[name][0]
        assert bank.paid + sum(bank.flying.values()) <= cap + 1e-6
    assert under.accounts.spent["experiment"] == pytest.approx(bank.paid)
    assert under.accounts.reserved["experiment"] == pytest.approx(0.0)


def finish(under: Broker, bank: Bank, ends: dict[str, tuple[float, float, str]]) -> None:
    """The oldest call under way comes back: answered, failed without cost, or lost."""
    call = next(iter(bank.flying))
    del bank.flying[call]
    most, real, end = ends[call]
    if end == "a":
        under.answered(call, real, 10)
        bank.paid += real
    elif end == "f":
        under.failed(call, Failed(why="HTTP 400"), 0.0)
    else:
        under.dropped(call, most, 0.0)
        bank.paid += most


def test_a_call_waits_for_reservations_and_is_refused_once_they_are_spent() -> None:
    under = broker(MoneyConfig(usd=1.0))
    under.ask(ask("c1", "t1", 0.7))
    under.ask(ask("c2", "t2", 0.7))
    assert decided(under) == {"c1": "yes"}
    under.answered("c1", 0.1, 5)
    assert decided(under) == {"c2": "yes"}
    under.answered("c2", 0.5, 5)
    under.ask(ask("c3", "t3", 0.7))
    why = decided(under)["c3"]
    assert "money.usd=1" in why
    assert "$0.6000 spent" in why


def test_no_trial_is_begun_on_an_account_that_refused_but_those_under_way_go_on() -> None:
    under = broker(MoneyConfig(usd=1.0))
    under.ask(ask("c1", "old", 0.5))
    decided(under)
    under.answered("c1", 0.5, 5)
    under.ask(ask("c2", "greedy", 0.9))
    under.ask(ask("c3", "new", 0.1))
    under.ask(ask("c4", "old", 0.1))
    answers = decided(under)
    assert answers["c4"] == "yes"
    assert "money.usd" in answers["c2"]
    assert "money.usd" in answers["c3"]


def test_an_arms_cap_stops_that_arm_alone() -> None:
    under = broker(MoneyConfig(arms={"costly": 0.1}))
    under.ask(ask("c1", "t1", 0.2, arm="costly"))
    under.ask(ask("c2", "t2", 0.2))
    answers = decided(under)
    assert "money.arms.costly" in answers["c1"]
    assert answers["c2"] == "yes"


def test_where_money_is_short_the_older_trial_goes_first() -> None:
    under = broker(MoneyConfig(usd=1.0))
    for trial in ("t1", "t2"):
        under.ask(ask(f"{trial}.1", trial, 0.5))
    assert [*decided(under)] == ["t1.1", "t2.1"]
    under.ask(ask("t2.2", "t2", 0.4))
    under.ask(ask("t1.2", "t1", 0.4))
    under.answered("t1.1", 0.1, 1)
    assert [*decided(under)] == ["t1.2"]


# --- rates ------------------------------------------------------------------------------------------------


@given(st.floats(1, 50), st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 60)), min_size=1, max_size=60))
def test_no_window_of_a_minute_holds_more_than_the_limit(
    limit: float, steps: list[tuple[float, float]]
) -> None:
    window, now, passed = Window(limit), 0.0, []
    for pause, amount in steps:
        now += pause
        wait = window.wait(amount, now)
        now += wait
        assert window.wait(amount, now) <= 1e-6
        window.take(amount, now)
        passed.append((now, min(amount, limit)))
    for end, _ in passed:
        within = sum(amount for at, amount in passed if end - 60 + 1e-6 < at <= end)
        assert within <= limit + 1e-6


def test_a_minutes_requests_are_not_sent_at_once() -> None:
    limited = broker(gpt=RateConfig(requests_per_minute=60))
    for number in range(20):
        limited.ask(ask(f"c{number}", f"t{number}"))
    assert len(decided(limited, 0.0)) == 5
    assert len(decided(limited, 4.9)) == 0
    assert len(decided(limited, 5.1)) == 5


def test_tokens_count_with_the_longest_reply_until_the_answer_tells() -> None:
    limited = broker(gpt=RateConfig(tokens_per_minute=100))
    limited.ask(ask("c1", tokens=90))
    limited.ask(ask("c2", tokens=90))
    assert [*decided(limited)] == ["c1"]
    limited.answered("c1", 0.0, 10)
    assert [*decided(limited)] == ["c2"]


def test_a_limit_of_a_provider_holds_for_all_its_models() -> None:
    limited = broker(openai=RateConfig(tokens_per_minute=100))
    limited.ask(ask("c1", tokens=80))
    limited.ask(Ask("c2", "agent", "t", "baseline", "other", "openai", 80, 0.0))
    assert [*decided(limited)] == ["c1"]


def test_a_429_halves_the_calls_at_a_time_and_answers_raise_them_again() -> None:
    congestion = Congestion()
    congestion.flying = 15
    congestion.limited(wave=0, retry_after=None, now=0.0)
    assert congestion.limit == 8
    congestion.limited(wave=0, retry_after=None, now=0.0)
    assert congestion.limit == 8, "calls of the same wave tell nothing new"
    for _ in range(8):
        congestion.answered()
    assert 8.9 < congestion.limit < 9.1


def test_a_429_is_repeated_after_as_long_as_the_provider_asks() -> None:
    limited = broker()
    limited.ask(ask("c1"))
    decided(limited)
    assert limited.failed("c1", LIMITED._replace(retry_after=7.0), 10.0)
    limited.ask(ask("c2"))
    assert decided(limited, 16.9) == {}
    assert decided(limited, 17.1) == {"c2": "yes"}


# --- outages ----------------------------------------------------------------------------------------------


def fail(down: Broker, calls: int, failure: Failed, now: float) -> None:
    for number in range(calls):
        down.ask(ask(f"f{now}.{number}", f"t{number}"))
    for call in decided(down, now):
        down.failed(call, failure, now)


def test_an_outage_pauses_all_calls_and_one_at_a_time_tries_again() -> None:
    down = broker(outage=OutageConfig(probe_s=5))
    fail(down, 2, DOWN, 0.0)
    assert "does not answer (connection refused)" in down.notices.pop()
    for number in range(3):
        down.ask(ask(f"c{number}", f"t{number}"))
    assert decided(down, 4.9) == {}
    assert decided(down, 5.1) == {"c0": "yes"}
    assert decided(down, 59.0) == {}, "the probe is under way"
    down.answered("c0", 0.0, 1)
    assert decided(down, 61.0) == {"c1": "yes", "c2": "yes"}
    assert down.notices == ["openai answers again"]


def test_server_errors_of_one_trial_are_no_outage() -> None:
    down = broker(outage=OutageConfig(failures=3))
    for number in range(4):
        down.ask(ask(f"c{number}", "t1"))
        decided(down)
        assert not down.failed(f"c{number}", BROKEN, 0.0)
    down.ask(ask("c9", "t2"))
    decided(down)
    assert down.failed("c9", BROKEN, 0.0)


def test_patience_ends_and_the_providers_trials_are_left_owed() -> None:
    down = broker(outage=OutageConfig(patience_s=100, first_contact_s=30, probe_s=5))
    fail(down, 2, DOWN, 0.0)
    down.ask(ask("c1", "t1"))
    down.ask(Ask("c2", "agent", "t2", "baseline", "claude", "anthropic", 10, 0.0))
    assert decided(down, 1.0) == {"c2": "yes"}, "another provider is not concerned"
    (decision,), _ = down.decide(31.0)
    assert decision.refusal is not None
    assert decision.refusal.scope == "provider openai"
    assert not decision.refusal.everything


def test_a_provider_that_asks_for_a_longer_wait_than_is_borne_is_given_up() -> None:
    limited = broker(outage=OutageConfig(patience_s=100))
    limited.ask(ask("c1"))
    decided(limited)
    limited.failed("c1", LIMITED._replace(retry_after=3600.0), 0.0)
    limited.ask(ask("c2"))
    assert "asks to come back in 3600 s" in decided(limited)["c2"]


def test_a_lost_probe_is_followed_by_another() -> None:
    circuit = Circuit(OutageConfig(probe_s=5))
    for call in "ab":
        circuit.failed(call, call, True, "refused", 0.0)
    circuit.admitted("p")
    assert circuit.wait(6.0) == math.inf
    circuit.dropped("p", 6.0)
    assert circuit.wait(6.0) == 10.0


def test_stopping_refuses_what_waits_and_what_comes() -> None:
    stopped = broker()
    stopped.stop("the disk is full")
    stopped.ask(ask("c1"))
    (decision,), _ = stopped.decide(0.0)
    assert decision.refusal is not None
    assert decision.refusal.everything


def test_calls_of_a_lost_worker_are_found_wherever_they_are() -> None:
    under = broker(MoneyConfig(usd=1.0))
    under.ask(ask("c1", "t1", 0.9))
    under.ask(ask("c2", "t1", 0.9))
    under.ask(ask("c3", "t2", 0.9))
    decided(under)
    assert {one.call for one in under.calls_of({"t1"})} == {"c1", "c2"}
