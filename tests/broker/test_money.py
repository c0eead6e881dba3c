"""A budget on the command line, against a real HTTP server: never overspent, clean stop, continued under a higher
one, and nothing forgotten by a kill."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.runner import preflight
from tests.broker.budgeted import (
    MODEL,
    arguments,
    configured,
    execute,
    finished,
    run_in_process,
    spending,
    start,
)
from tests.openai_server import OpenAIServer

PRICES = {f"models.{MODEL}.prices.input": 4.0, f"models.{MODEL}.prices.output": 20.0}
WIDE = {
    "local": {"executor": "local", "executor.in_flight": 64},
    "ray": {"executor": "ray", "executor.workers": 2, "executor.in_flight": 32},
}


def bill(server: OpenAIServer) -> float:
    """USD that the provider would ask for, by its own count; what it read from its cache costs the same here."""
    tokens = ((usage["prompt_tokens"], usage["completion_tokens"]) for usage in server.billed)
    return sum(prompt * 4.0 + written * 20.0 for prompt, written in tokens) / 1e6


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def run(arguments: list[str], in_process: bool) -> str:
    """Why trials were left owed."""
    if in_process:
        return "; ".join(run_in_process(configured(arguments)))
    code, _, err = execute(arguments)
    assert code == 1, err
    return err


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_dollar_is_never_overspent_and_the_run_goes_on_under_a_higher_cap(
    executor: str, tmp_path: Path
) -> None:
    """The matrix would cost about $4.40; 66 trials are in flight at once."""
    directory = tmp_path / "run"
    with OpenAIServer() as server:
        server.latency_s = 0.2
        wide = PRICES | WIDE[executor] | {"repeats": 22, "responses": "off"}
        local = executor == "local"
        why = run(arguments(server, directory, **wide, **{"money.usd": 1.0}), local)
        assert "money.usd=1 does not allow another call" in why
        assert 0.7 < bill(server) <= 1.0
        assert spending(directory).total == pytest.approx(bill(server))
        assert server.most_flying > 16
        before = finished(directory)
        assert before, "older trials are finished rather than many begun"

        why = run(arguments(server, directory, **wide, **{"money.usd": 1.6}), local)
        assert "money.usd=1.6 does not allow another call" in why
        assert 1.0 < bill(server) <= 1.6
        assert spending(directory).total == pytest.approx(bill(server))
        after = finished(directory)
        assert after[: len(before)] == before
        assert len(set(after)) == len(after) > len(before)


def test_what_a_killed_run_spent_counts_and_its_answers_are_not_paid_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with OpenAIServer() as server:
        server.latency_s = 0.3
        small = PRICES | {"repeats": 1, "money.usd": 1.0}
        process = start(arguments(server, run, **small))
        until = time.monotonic() + 120
        while len(server.billed) < 6 and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        paid, asked = bill(server), len(server.requests)
        known = spending(run)
        reserved = sum(call.usd for call in known.open.values())
        assert known.total + reserved >= paid > 0, "nothing was paid that the ledger does not know"

        server.latency_s = 0.0
        assert not run_in_process(configured(arguments(server, run, **small)))
        again = spending(run)
        assert again.unconfirmed_usd == pytest.approx(reserved)
        assert again.total >= bill(server)
        assert len(finished(run)) == 3
        whole = 3 * 7
        assert len(server.requests) - asked < whole, "answers of the killed run were recalled"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({f"models.{MODEL}.prices.input": "null", "money.usd": 1}, "unknown price"),
        ({f"models.{MODEL}.prices.input": "null", "budget.call_usd": 1}, "unknown price"),
        ({"+money.arms.no_such": 1}, "money.arms.no_such"),
        ({"+money.models.no_such": 1}, "money.models.no_such"),
        ({"+rates.no_such.requests_per_minute": 1}, "rates.no_such"),
        ({"money.usd": -1}, "money.usd"),
        ({"agent": "[external]", "money.usd": 1, "agents.external.argv": "[python]"}, "brings its own model"),
    ],
)
def test_a_limit_that_could_not_hold_is_refused(more: dict[str, object], told: str, tmp_path: Path) -> None:
    with OpenAIServer() as server:
        with pytest.raises(ConfigurationError, match=re.escape(told)):
            preflight(configured(arguments(server, tmp_path, **more)))
        assert not server.requests
