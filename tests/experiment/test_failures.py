"""What becomes of a trial is what the table says: retried, graded zero, excluded, or the run stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.budget import BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.errors import CAUSES, ConfigurationError, Problem, RunStopped, TrialError
from harness.records import TrialSpec
from harness.session import Session
from harness.trace import ModelCall, decode, of_type
from harness.trial import Setting, TrialOutput, run_trial
from scenarios.loader import catalogue
from tests.experiment.sessions import ALERTS
from tests.scripted_model import ScriptedModel

OF_TRIALS = [name for name, row in CAUSES.items() if row.grade != "stop"]


class Failing:
    """Asks its model once, unless it is `mute`, and then fails."""

    def __init__(self, error: Exception, mute: bool = False) -> None:
        self._error, self._mute = error, mute

    async def run(self, session: Session) -> None:
        session.open()
        if not self._mute:
            await session.ask([{"role": "user", "content": "what now?"}])
        raise self._error


def run(agent: Any, max_attempts: int = 3) -> TrialOutput:
    scenario = catalogue().get(16)
    setting = Setting(
        scenario=scenario,
        environment=lambda: SimulatedEnvironment(EnvironmentConfig(), VerdictConfig()),
        model=ScriptedModel([[ALERTS]]),
        agent=lambda: agent,
        guards=tuple,
        prompt_additions=(),
        budget=BudgetConfig(),
        max_attempts=max_attempts,
    )
    spec = TrialSpec(trial_id="t", scenario=scenario.key, model="m", agent="a", arm="b", repeat=0, seed=7)
    return asyncio.run(run_trial(spec, setting))


@pytest.mark.parametrize("cause", OF_TRIALS)
def test_every_row_is_obeyed(cause: str) -> None:
    row = CAUSES[cause]
    output = run(Failing(TrialError(cause, "as told")))
    record = output.record
    assert record.reason == cause
    assert record.status == {"zero": "failed", "exclude": "excluded"}[row.grade]
    assert (record.score is None) == (row.grade == "exclude")
    assert record.attempts == (3 if row.retry else 1)
    assert [one.reason for one in record.earlier] == [cause] * (record.attempts - 1)
    assert all(one.usage.calls == 1 for one in record.earlier)
    for trace in (*output.earlier, output.trace):
        assert len(list(of_type(decode(trace), ModelCall))) == 1, "each attempt has a trace of its own"


def test_an_attempt_in_which_no_model_was_reached_is_infrastructure() -> None:
    record = run(Failing(TrialError("agent_error", "no idea"), mute=True), max_attempts=1).record
    assert (record.status, record.reason) == ("excluded", "model_not_reached")


def test_a_bug_of_ours_is_no_result_of_the_agent_and_says_where() -> None:
    class Buggy:
        async def start(self, *arguments: Any) -> Any:
            raise KeyError("kaboom")

        async def close(self) -> None:
            pass

    scenario = catalogue().get(16)
    setting = Setting(
        scenario=scenario,
        environment=Buggy,
        model=ScriptedModel([[ALERTS]]),
        agent=lambda: Failing(ValueError()),
        guards=tuple,
        prompt_additions=(),
        budget=BudgetConfig(),
    )
    spec = TrialSpec(trial_id="t", scenario=scenario.key, model="m", agent="a", arm="b", repeat=0, seed=7)
    record = asyncio.run(run_trial(spec, setting)).record
    assert (record.status, record.reason) == ("excluded", "harness_crash")
    assert "kaboom" in record.detail
    assert "test_failures.py" in record.detail


def test_what_concerns_all_trials_is_no_trials_result() -> None:
    for error in (ConfigurationError(Problem("x", "y")), RunStopped("run_dir_refuses", "full")):
        with pytest.raises(type(error)):
            run(Failing(error))


def test_causes_of_trials_and_of_runs_are_not_confused() -> None:
    with pytest.raises(ValueError, match="unknown cause"):
        TrialError("no_worker")
    with pytest.raises(ValueError, match="does not stop a run"):
        RunStopped("api_error", "")
