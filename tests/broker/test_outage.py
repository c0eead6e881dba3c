"""A provider that is down for a while: trials wait for it instead of failing one after the other."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from harness.store import RunDirectory
from tests.broker.budgeted import MODEL, arguments, configured, finished, run_in_process, spending
from tests.openai_server import BEHAVIOURS, Answer, Json, OpenAIServer, error, scripted

BROKEN_FOR = 12
QUICK = {
    f"models.{MODEL}.backoff.initial_s": 0.01,
    f"models.{MODEL}.backoff.jitter_s": 0.0,
    f"models.{MODEL}.max_retries": 2,
    "max_attempts": 1,
    "executor.in_flight": 4,
    "outage.failures": 3,
    "outage.probe_s": 0.05,
}


def recovers(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Breaks down under the first requests."""
    return error(503, "overloaded") if count <= BROKEN_FOR else scripted(server, body, count)


BEHAVIOURS |= {"recovers": recovers}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_an_outage_costs_time_and_no_trial(tmp_path: Path) -> None:
    """Twelve failures with two retries and one attempt would end four trials."""
    with OpenAIServer() as server:
        more = QUICK | {f"models.{MODEL}.model": "openai/recovers", "repeats": 2}
        assert not run_in_process(configured(arguments(server, tmp_path, **more)))
    assert {record.status for record in RunDirectory(tmp_path).records()} == {"scored"}
    paused, again = (notice.text for notice in spending(tmp_path).notices)
    assert "does not answer" in paused
    assert "overloaded" in paused
    assert again.endswith("answers again")


def test_trials_of_a_provider_that_stays_down_are_left_owed(tmp_path: Path) -> None:
    """Nobody listens any more: both trials in flight notice, and none is recorded as failed."""
    with OpenAIServer() as server:
        given = arguments(server, tmp_path, **QUICK, repeats=4, **{"outage.first_contact_s": 0.5})
    reasons = run_in_process(configured(given))
    assert any("does not answer" in why for why in reasons)
    assert finished(tmp_path) == []


def test_a_429_that_says_when_is_obeyed_by_all_trials(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        server.retry_after_s = 1.0
        more = QUICK | {f"models.{MODEL}.model": "openai/rate_limited", f"models.{MODEL}.max_retries": 0}
        assert not run_in_process(configured(arguments(server, tmp_path, **more)))
        times = server.times
    assert len(finished(tmp_path)) == 6
    assert max(later - earlier for earlier, later in pairwise(times)) > 0.8, "nobody asked meanwhile"
