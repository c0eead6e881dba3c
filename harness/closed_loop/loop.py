"""The search for one system, readable from top to bottom.

    1. Measure the bare system on the development scenarios.
    2. Rank its failure modes by prevalence x lethality.
    3. From the worst mode on: look up interventions against it, screen them by forks, test the best in full trials.
    4. The first that is kept joins the stack; go on at 2 with the trials of the longer stack.
    5. Stop when nothing helps any more or the budget is used up.
    6. Confirm the whole stack once, on held-out scenarios.

Every step is an entry of the ledger, made durable before the next step reads it. The loop knows nothing beside its
entries and the runs that they name, so a killed search goes on where it was.

Owns: this order. Does not own: what a step does (its module), or any number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from harness.closed_loop.audit import locked_digest
from harness.closed_loop.confirming import confirm, hold_out
from harness.closed_loop.lab import Lab, Measured, Stack, arm_name
from harness.closed_loop.ledger import Entry, Ledger, Step
from harness.closed_loop.page import write_page
from harness.closed_loop.ranking import burden_told, failures, rank_modes, worth_trying
from harness.closed_loop.screening import look_up, screen
from harness.config import ExperimentConfig
from harness.environments import select_scenarios, source_digests
from harness.errors import ConfigurationError, Problem
from harness.executors import executor_session
from harness.experiment import content_hashes
from harness.models.own import OwnModel
from harness.report.metrics import primary_column
from harness.runner import create_agents, pairs, preflight


class Found(NamedTuple):
    """How the search for one system ended."""

    model: str
    agent: str
    stack: Stack
    entries: list[Entry]
    page: Path


def search_all(config: ExperimentConfig) -> list[Found]:
    """Search a stack for every system of the configuration. Raises ConfigurationError before anything runs."""
    declared = declaration(config)
    preflight(config)
    with executor_session(config):
        return [search(config, model, agent, declared) for model, agent in pairs(config)]


def search(config: ExperimentConfig, model: str, agent: str, declared: dict[str, Any]) -> Found:
    """The search for one system."""
    path = config.directory / f"{model}-{agent}"
    ledger = Ledger(path, declared)
    try:
        return Search(Lab(config, model, agent, path), ledger).run()
    finally:
        ledger.close()


class Search:
    """One search, on its way through its ledger."""

    def __init__(self, lab: Lab, ledger: Ledger) -> None:
        self.lab = lab
        self.ledger = ledger
        self.tested: list[str] = []
        self.steps = 0

    def run(self) -> Found:
        """From the bare system to the confirmed stack."""
        stack: Stack = ()
        ground = self.baseline()
        while not (spent := self.spent()):
            longer = self.improve(stack, ground)
            if longer is None:
                break
            stack, ground = longer
        reason = spent or self.spent() or "no registered intervention against the ranked modes helps any more"
        self.decide("stop", arm_name(stack), lambda: self.stop(stack, reason))
        if stack:
            name = self.name("held-out")
            self.decide("held_out", arm_name(stack), lambda: hold_out(self.lab, name, stack, self.steps))
        return Found(
            self.lab.model, self.lab.agent, stack, self.ledger.passed, self.ledger.path / "ledger.md"
        )

    def baseline(self) -> Measured:
        """Step 1."""
        name = self.name("baseline")
        self.decide(
            "baseline", arm_name(()), lambda: measured(self.lab.measure(name, [()], self.steps), name)
        )
        return self.lab.stored(name)

    def improve(self, stack: Stack, ground: Measured) -> tuple[Stack, Measured] | None:
        """Steps 2 to 4: the longer stack and the run that holds its trials, or None when nothing helps."""
        ranking = self.decide("ranking", arm_name(stack), lambda: ranked(self.lab, ground, stack))
        for mode in ranking.evidence["worth_trying"]:
            for candidate in self.finalists(mode, stack, ground):
                if self.spent():
                    return None
                name = self.name(f"confirm-{len(self.tested)}")
                self.tested.append(candidate)
                entry = self.decide(
                    "confirmation",
                    arm_name((*stack, candidate)),
                    partial(confirm, self.lab, name, stack, candidate, self.steps),
                )
                if entry.evidence["kept"]:
                    return (*stack, candidate), self.lab.stored(name)
        return None

    def finalists(self, mode: str, stack: Stack, ground: Measured) -> list[str]:
        """Step 3, without the full trials."""
        found = self.decide("lookup", mode, lambda: look_up(self.lab, mode, stack, self.tested))
        candidates = found.evidence["candidates"]
        if not candidates or self.spent():
            return []
        name = self.name(f"screen-{mode}")
        entry = self.decide(
            "screening", mode, lambda: screen(self.lab, name, ground, stack, mode, candidates)
        )
        return list(entry.evidence["finalists"])

    def spent(self) -> str:
        """Which limit of the search is reached; empty when none is."""
        rules, passed = self.lab.rules, self.ledger.passed
        trials, usd = sum(entry.trials for entry in passed), sum(entry.usd for entry in passed)
        if len(self.tested) >= rules.tests:
            return f"{rules.tests} candidates were tested in full trials, as many as the level allows"
        reserve = self.reserve()
        if trials + reserve > rules.trials:
            most = f"{reserve} of {rules.trials}"
            return f"{trials} trials are used, and the next test and the held-out one may need {most}"
        if rules.usd is not None and usd >= rules.usd:
            return f"{usd:.2f} of {rules.usd:.2f} USD are spent"
        return ""

    def reserve(self) -> int:
        """Trials of one more full test, and of the held-out one."""
        scenarios = len(self.lab.development) + len(self.lab.held_out)
        return 2 * scenarios * self.lab.config.repeats

    def stop(self, stack: Stack, reason: str) -> Entry:
        """Step 5."""
        says = (
            f"The stack is {arm_name(stack)}."
            if stack
            else "Nothing was kept: the bare system stays as it is."
        )
        return Entry(
            step="stop",
            subject=arm_name(stack),
            decision=f"Stopped: {reason}. {says}",
            evidence={"stack": list(stack), "tested": list(self.tested)},
        )

    def name(self, what: str) -> str:
        """Name of the next run directory; its number is also what its seeds are moved by."""
        self.steps += 1
        return f"{self.steps:02d}-{what}"

    def decide(self, step: Step, subject: str, work: Callable[[], Entry]) -> Entry:
        """One entry, and the page with it. Nothing is decided once what decides outcomes was changed."""

        def watched() -> Entry:
            entry = work()
            require_unchanged(self.ledger.declared["locked"])
            return entry

        entry = self.ledger.decide(step, subject, watched)
        write_page(self.lab, self.ledger)
        return entry


def measured(found: Measured, name: str) -> Entry:
    """What the bare system does."""
    rows = found.rows.loc[~found.rows["excluded"].astype(bool)]
    means = {metric: float(rows[metric].mean()) for metric in ("recall", "remediated", "modes")}
    return Entry(
        step="baseline",
        subject=arm_name(()),
        decision=f"{len(rows)} trials of the bare system: recall {means['recall']:.2f}, remediated "
        f"{means['remediated']:.2f}, {means['modes']:.2f} modes per trace.",
        evidence={**means, "trials": len(rows), "excluded": len(found.rows) - len(rows)},
        run=name,
        trials=len(found.records),
        usd=found.cost,
    )


def ranked(lab: Lab, ground: Measured, stack: Stack) -> Entry:
    """Modes of the present stack by what they cost."""
    rows = ground.rows
    rows = rows.loc[(rows["arm"] == arm_name(stack)) & ~rows["excluded"].astype(bool)]
    column = primary_column(lab.config.primary_metric)
    modes = rank_modes(rows, column)
    worth = worth_trying(modes, lab.rules.modes)
    failed = sum(failures(rows, column))
    return Entry(
        step="ranking",
        subject=arm_name(stack),
        decision=f"{failed} of {len(rows)} trials failed. {burden_told(worth)}",
        evidence={"modes": modes, "worth_trying": [one["slug"] for one in worth]},
        run=ground.run.path.name,
    )


def declaration(config: ExperimentConfig) -> dict[str, Any]:
    """What a search fixes before its first trial. Raises ConfigurationError for a split that is none."""
    assert config.closed_loop is not None
    development = select_scenarios(config.environment, config.scenario)
    held_out = select_scenarios(config.environment, config.closed_loop.held_out)
    both = sorted({one.id for one in development} & {one.id for one in held_out})
    if both:
        what = f"{', '.join(map(str, both))} are development scenarios too"
        raise ConfigurationError(
            Problem("closed_loop.held_out", what, "a held-out scenario is seen once, at the end")
        )
    if any(model == OwnModel.name for model, _ in pairs(config)):
        what = "an agent that brings its own model cannot be forked"
        raise ConfigurationError(Problem("agent", what, "choose agents whose model the harness calls"))
    if config.arms[config.reference_arm]:
        raise ConfigurationError(
            Problem("arms", f"{config.reference_arm} is not the bare system", "it starts from []")
        )
    scenarios = [*development, *held_out]
    sources = source_digests(config.environment, scenarios)
    return {
        "config": config.scientific(),
        "development": [one.key for one in development],
        "held_out": [one.key for one in held_out],
        "hashes": content_hashes(scenarios, {}, create_agents(config)) | dict(sources),
        "locked": locked_digest(),
    }


def require_unchanged(locked: str) -> None:
    """Raise ConfigurationError when the code or data that decide outcomes are not what they were."""
    if locked_digest() != locked:
        what = "verdict, scorer, classifier or incidents were changed while the search ran; the step does not count"
        raise ConfigurationError(Problem("closed_loop", what, "restore the packages harness and scenarios"))
