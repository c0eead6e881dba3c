"""One trial, readable as the method section of a paper.

    1. The environment starts the scenario: healthy, then injected, then confirmed active.
    2. The agent works through a session (budgets, guards, trace) until it submits or is stopped.
    3. The environment decides the verdict from alerts, the faults' predicates and a diff of objects; on recorded
       data, where nothing can be remediated, there is none.
    4. The diagnosis is scored against the ground truth.
    5. The trace is labelled with MAST modes.

Owns: this order, and what a failure at each step does to the record (through errors.CAUSES). Does not own:
where trials run (executors) or how records are stored (store).
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.agents.prompts import system_prompt, task_prompt
from harness.budget import Budget, BudgetConfig
from harness.context import ContextConfig
from harness.errors import CAUSES, AgentError, HarnessError, InfrastructureError, TrialError
from harness.journal import Journal
from harness.mast.classify import classify
from harness.models.own import OwnModel
from harness.operator_channel import OperatorChannel
from harness.protocols import Agent, Briefing, Environment, Guard, Model
from harness.records import EarlierAttempt, Score, TrialRecord, TrialSpec, Variant, Verdict
from harness.sandbox.tools import SandboxTools
from harness.scoring.diagnosis import score_diagnosis
from harness.scoring.matcher import root_groups
from harness.session import Session
from harness.telemetry import firing_spans
from harness.tools.toolbox import Toolbox
from harness.trace import (
    AlertHistory,
    AlertsObserved,
    Ended,
    ToolCall,
    ToolResult,
    TraceWriter,
    encode,
    of_type,
)
from scenarios.faults import injected_objects
from scenarios.schema import GroundTruthPolicy, Scenario

LEAD_S = 600.0
"""Environment seconds before the agent's start with which the history of alerts begins."""
NO_SCORE = Score(recall=0, precision=0, f1=0, recall_strict=0, mutation_recall=0)


class TrialOutput(NamedTuple):
    """What a trial leaves: its record, and the traces of its attempts as JSON lines."""

    record: TrialRecord
    trace: bytes
    earlier: tuple[bytes, ...] = ()
    """Traces of `record.earlier`, in the same order."""


@dataclass(frozen=True)
class Setting:
    """Everything that a trial is made of, built fresh for each attempt."""

    scenario: Scenario
    environment: Callable[[], Environment]
    model: Model
    agent: Callable[[], Agent]
    guards: Callable[[], Sequence[Guard]]
    prompt_additions: Sequence[str]
    budget: BudgetConfig
    context: ContextConfig = field(default_factory=ContextConfig)
    variant: Variant = "plain"
    max_attempts: int = 2
    """Attempts for causes that errors.CAUSES marks for retry."""
    ground_truth: GroundTruthPolicy = "corrected"
    """Which ground truth is scored."""
    sandbox: Callable[[Environment, Briefing], AbstractAsyncContextManager[SandboxTools]] | None = None
    """Opens the place where the agent can run code of its own; None where it cannot."""
    journal: Journal | None = None
    """Where events are written as they happen; without one they are kept in memory until the trial ends."""


async def run_trial(spec: TrialSpec, setting: Setting) -> TrialOutput:
    """Run a trial to its record. A failure is data, also a crash: only ConfigurationError is raised."""
    earlier: list[TrialOutput] = []
    while True:
        output = await Attempt(spec, setting, len(earlier) + 1).run()
        reason = output.record.reason
        if reason is None or not CAUSES[reason].retry or output.record.attempts >= setting.max_attempts:
            return preceded(output, earlier)
        earlier.append(output)


def preceded(output: TrialOutput, earlier: Sequence[TrialOutput]) -> TrialOutput:
    """The output, with attempts that came before all that it knows of."""
    if not earlier:
        return output
    attempts = tuple(
        EarlierAttempt(
            reason=str(one.record.reason),
            detail=one.record.detail,
            usage=one.record.usage,
            wall_seconds=one.record.wall_seconds,
        )
        for one in earlier
    )
    all_earlier = (*attempts, *output.record.earlier)
    record = output.record.model_copy(update={"earlier": all_earlier, "attempts": len(all_earlier) + 1})
    return TrialOutput(record, output.trace, (*(one.trace for one in earlier), *output.earlier))


class Attempt:
    """One execution of a trial."""

    def __init__(self, spec: TrialSpec, setting: Setting, number: int) -> None:
        self.spec = spec
        self.setting = setting
        self.number = number
        journal = setting.journal
        self.trace = TraceWriter(journal.attempt(spec.trial_id, number) if journal else None)
        self.budget = Budget(setting.budget)
        self.session: Session | None = None
        self.began = time.perf_counter()
        self.agent_seconds = 0.0
        self.can_act = True

    async def run(self) -> TrialOutput:
        """Start, work, decide, score, label."""
        try:
            record = await self._to_record()
        except HarnessError:
            raise
        except Exception as error:  # a bug of ours, which must not take other trials along
            record = self._record(InfrastructureError("harness_crash", crash_text(error)), None)
        return TrialOutput(record, self._events())

    async def _to_record(self) -> TrialRecord:
        verdict: Verdict | None = None
        try:
            failure, verdict = await self._play()
        except TrialError as error:
            failure = error
        return self._record(failure, verdict)

    async def _play(self) -> tuple[TrialError | None, Verdict | None]:
        """Steps 1 to 3: the error that ended the agent's work, if any, and the verdict, where there is one."""
        environment = self.setting.environment()
        verdict: Verdict | None = None
        try:
            failure = self._blamed(await self._work(environment))
            if failure is None or CAUSES[failure.cause].grade == "zero":
                self._observe_alerts(environment)
                if self.can_act:
                    verdict = await environment.verdict()
                    self._observe_alerts(environment)
                self._keep_alert_history(environment)
        finally:
            await environment.close()
        return failure, verdict

    def _blamed(self, failure: TrialError | None) -> TrialError | None:
        """The agent system is not to blame for an attempt in which its model was never asked anything."""
        asked = self.budget.usage.calls > 0 or isinstance(self.setting.model, OwnModel)
        if failure is None or asked or CAUSES[failure.cause].grade == "exclude":
            return failure
        return InfrastructureError("model_not_reached", str(failure))

    async def _work(self, environment: Environment) -> TrialError | None:
        """Steps 1 and 2; the error that ended the agent's work, if any."""
        briefing = await environment.start(self.setting.scenario, self.spec.seed)
        self.can_act = briefing.can_act
        if self.setting.sandbox is None:
            return await self._agent_works(environment, briefing, None)
        async with self.setting.sandbox(environment, briefing) as sandbox:
            return await self._agent_works(environment, briefing, sandbox)

    async def _agent_works(
        self, environment: Environment, briefing: Briefing, sandbox: SandboxTools | None
    ) -> TrialError | None:
        """Step 2."""
        toolbox = Toolbox(
            environment.cluster,
            environment.telemetry,
            briefing.namespaces,
            allow_actions=briefing.can_act,
        )
        ambiguity = self.setting.scenario.ambiguity if self.setting.variant == "ambiguous" else None
        self.session = Session(
            environment=environment,
            toolbox=toolbox,
            model=self.setting.model,
            guards=self.setting.guards(),
            budget=self.budget,
            trace=self.trace,
            system=system_prompt(self.setting.prompt_additions),
            task=task_prompt(briefing, ambiguity.request if ambiguity else ""),
            seed=self.spec.seed,
            context_tokens=self.setting.context.tokens or self.setting.model.context_window(),
            channel=OperatorChannel(ambiguity) if ambiguity else None,
            sandbox=sandbox,
        )
        self._observe_alerts(environment)
        failure: TrialError | None = None
        try:
            await self.setting.agent().run(self.session)
            if not self.session.done:
                failure = AgentError(self.session.rejected or "no_output", "ended without a submission")
        except TrialError as error:
            failure = error
        self.agent_seconds = round(self.session.elapsed, 3)
        how, detail = (failure.cause, failure.detail) if failure else ("submitted", "")
        self.trace.add(Ended(how=how, detail=detail), at=self.agent_seconds)
        return failure

    def _observe_alerts(self, environment: Environment) -> None:
        firing = sorted(
            f"{alert.name} {alert.entity}"
            for alert in environment.telemetry.alerts()
            if alert.state == "firing"
        )
        self.trace.add(AlertsObserved(firing=firing), at=self.session.elapsed if self.session else 0.0)

    def _keep_alert_history(self, environment: Environment) -> None:
        if self.session is None:
            return
        now, elapsed = environment.now(), self.session.elapsed
        began = now - elapsed
        history = environment.telemetry.alert_history(began - LEAD_S, now)
        spans = firing_spans(history, began, elapsed)
        self.trace.add(AlertHistory(begin=-LEAD_S, end=elapsed, firing=spans), at=elapsed)

    def _score(self) -> Score:
        """Step 4; zero where nothing was submitted."""
        if self.session is None or self.session.submission is None:
            return NO_SCORE
        truth = self.setting.scenario.scored_ground_truth(self.setting.ground_truth)
        roots = root_groups(truth.groups, truth.aliases)
        return score_diagnosis(
            self.session.submission.diagnosis, roots, injected_objects(self.setting.scenario)
        )

    def _record(self, failure: TrialError | None, verdict: Verdict | None) -> TrialRecord:
        excluded = failure is not None and CAUSES[failure.cause].grade == "exclude"
        session, events = self.session, self.trace.events
        denied = sum(not result.executed and not result.ok for result in of_type(events, ToolResult))
        return TrialRecord(
            spec=self.spec,
            status="excluded" if excluded else "failed" if failure else "scored",
            reason=failure.cause if failure else None,
            detail=failure.detail if failure else "",
            attempts=self.number,
            submission=session.submission if session else None,
            can_act=self.can_act,
            verdict=verdict,
            score=None if excluded else self._score(),
            labels=() if excluded else classify(events),
            planted=tuple(session.planted) if session else (),
            usage=self.budget.usage,
            usage_source=session.usage_source if session else "measured",
            turns=self.budget.usage.calls,
            tool_calls=sum(1 for _ in of_type(events, ToolCall)),
            denied_calls=denied,
            guard_firings=dict(session.firings) if session else {},
            agent_seconds=self.agent_seconds,
            wall_seconds=round(time.perf_counter() - self.began, 4),
            images=session.images if session else {},
            simulated=self.setting.model.simulated,
        )

    def _events(self) -> bytes:
        return encode(self.trace.events)


def crash_text(error: Exception) -> str:
    """What went wrong and where, in one line."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = "/".join(where.filename.split("/")[-3:])
    return f"{type(error).__name__}: {error} ({place}:{where.lineno} in {where.name})"[:500]


def unplayed(spec: TrialSpec, cause: str, detail: str, attempts: int = 1) -> TrialOutput:
    """A trial that left nothing but the infrastructure's reason for it."""
    record = TrialRecord(spec=spec, status="excluded", reason=cause, detail=detail[:500], attempts=attempts)
    return TrialOutput(record, b"")
