"""One incident for an agent that somebody connects by hand: endpoint and token, then verdict and score.

Owns: what is printed and when. The trial is the same as in an experiment (trial.py), without interventions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from harness.agents.external.desk import Desk
from harness.agents.external.server import serve_http
from harness.budget import BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments import environment_factory
from harness.errors import AgentError
from harness.models.own import OwnModel
from harness.records import TrialRecord, TrialSpec
from harness.session import Session
from harness.trial import Setting, run_trial
from scenarios.loader import catalogue

OUTPUT_BYTES = 64_000_000
Say = Callable[[str], None]


class ConnectedAgent:
    """Whoever connects."""

    def __init__(self, port: int, say: Say) -> None:
        self._port = port
        self._say = say

    async def run(self, session: Session) -> None:
        """Serve until the incident is closed or time is up. Raises the TrialError that ended it."""
        session.open()
        desk = Desk(session, time_factor=1.0, output_bytes=OUTPUT_BYTES)
        async with serve_http(desk, self._port) as endpoint:
            self._say(f"MCP endpoint (streamable HTTP): {endpoint.url}")
            self._say(f"header: Authorization: Bearer {endpoint.token}")
            self._say("Let your agent call read_task first. Waiting for it to submit; Ctrl-C gives up.")
            while not desk.over.is_set():
                left = desk.real_seconds_left()
                if left <= 0:
                    desk.end(AgentError("budget_time", "time was up"))
                try:
                    await asyncio.wait_for(desk.over.wait(), max(left, 0.0))
                except TimeoutError:
                    continue
        await desk.close()
        if desk.crash or desk.failure:
            raise desk.crash or desk.failure  # type: ignore[misc]


def serve_incident(scenario_id: int, seed: int, port: int, budget: BudgetConfig, say: Say) -> TrialRecord:
    """Play one incident on the simulated cluster with whoever connects."""
    (scenario,) = catalogue().select([scenario_id])
    spec = TrialSpec(
        trial_id="by-hand",
        scenario=scenario.key,
        model=OwnModel.name,
        agent="connected",
        arm="baseline",
        repeat=0,
        seed=seed,
    )
    setting = Setting(
        scenario=scenario,
        environment=environment_factory(EnvironmentConfig(), VerdictConfig()),
        model=OwnModel(),
        agent=lambda: ConnectedAgent(port, say),
        guards=tuple,
        prompt_additions=(),
        budget=budget,
        max_attempts=1,
    )
    return asyncio.run(run_trial(spec, setting)).record


def outcome_lines(record: TrialRecord) -> list[str]:
    """Verdict, score and failure modes of a trial, for a terminal."""
    lines = [f"{record.status}{f': {record.reason} ({record.detail})' if record.reason else ''}"]
    if record.verdict is not None:
        verdict = record.verdict
        lines.append(
            f"symptom cleared: {verdict.symptom_cleared}, cause removed: {verdict.cause_removed}, "
            f"collateral damage: {verdict.collateral_damage}"
        )
    if record.score is not None:
        score = record.score
        lines.append(f"recall {score.recall:.2f}, precision {score.precision:.2f}, F1 {score.f1:.2f}")
    modes = sorted({label.slug for label in record.labels if label.present == "present"})
    lines.append(f"failure modes: {', '.join(modes) or 'none found'}")
    lines.append(f"{record.tool_calls} tool calls in {record.agent_seconds:.0f} s on the incident's clock")
    return lines
