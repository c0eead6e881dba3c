"""Trials in which a guard turned the outcome, and trials in which it interfered with a run that needed no help.

    python tests/interventions/turning_points.py > tests/interventions/turning_points.yaml

finds them anew after a change of a guard or of the simulated model, in each guard's own experiment. Owns: playing
such a pair through the real loop, and what makes it a turn for the better or a cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import hydra
import yaml
from omegaconf import OmegaConf

from harness.config import ExperimentConfig, parse_config
from harness.experiment import expand, seed_of
from harness.records import TrialRecord
from harness.runner import TrialRunner
from harness.statistics.false_alarms import success
from harness.trial import TrialOutput
from interventions.registry import GUARDS
from scenarios.loader import catalogue

FILE = Path(__file__).with_suffix(".yaml")
PROFILES = ("sim_isolated", "sim_early_stop", "sim_cascading")
REPEATS = 5


class Point(NamedTuple):
    """One pair: the same model, incident and seed, with a guard and without."""

    guard: str
    turn: str
    """`better`: the run fails without the guard and succeeds with it. `worse`: the other way round. `needless`: both
    succeed, nothing that the guard targets was committed without it, and the guard made the run longer."""
    model: str
    scenario: int
    seed: int
    """Of the trial."""


class Pair(NamedTuple):
    """The two trials of a point."""

    without: TrialOutput
    guarded: TrialOutput

    def turn(self, guard: str) -> str:
        """What the guard did to the outcome; empty where it is no case for or against it."""
        alone, held = self.without.record, self.guarded.record
        if not held.guard_firings.get(guard) or not (success(alone) or success(held)):
            return ""
        if success(alone) != success(held):
            return "better" if success(held) else "worse"
        committed = {failure.slug for failure in alone.planted}
        needed = committed & set(target_modes(guard))
        return "needless" if not needed and held.turns > alone.turns else ""


def points() -> list[Point]:
    """The recorded points."""
    return [Point(**one) for one in yaml.safe_load(FILE.read_text(encoding="utf-8"))]


def play(guard: str, model: str, scenario: int, seed: int) -> Pair:
    """Both trials of a point, through the loop that experiments use."""
    config = experiment(guard, model)
    specs = [one.model_copy(update={"seed": seed}) for one in expand(config, [catalogue().get(scenario)])]

    async def both() -> Pair:
        runner = TrialRunner(config)
        by_arm = {spec.arm: await runner.run(spec) for spec in specs}
        return Pair(by_arm["baseline"], by_arm[guard])

    return asyncio.run(both())


@cache
def experiment(guard: str, model: str) -> ExperimentConfig:
    """A guard's own experiment with one model, the guard and the baseline."""
    overrides = [f"+experiment={guard}", f"model=[{model}]", "repeats=1"]
    with hydra.initialize_config_module("conf", version_base="1.3"):
        raw = OmegaConf.to_container(hydra.compose("config", overrides), resolve=True)
    assert isinstance(raw, dict)
    fields = {str(key): value for key, value in raw.items() if key != "hydra"}
    return parse_config({**fields, "arms": {"baseline": [], guard: [guard]}, "contrasts": []})


def target_modes(guard: str) -> tuple[str, ...]:
    """The modes that a guard is meant to reduce."""
    from interventions.registry import load

    return load(guard).targets


def outcome(record: TrialRecord) -> str:
    """An outcome in words, for whoever reads a failed test."""
    recall = record.score.recall if record.score else 0
    return f"recall {recall:.2f}, {record.verdict}, {record.turns} turns, ended by {record.reason or 'submission'}"


def search(guard: str) -> Iterator[Point]:
    """The first turn for the better, and the first for the worse or else the first needless one."""
    found: dict[str, Point] = {}
    for repeat, model in product(range(REPEATS), PROFILES):
        for scenario in catalogue().select(experiment(guard, model).scenario):
            seed = seed_of(0, scenario.key, repeat)
            turn = play(guard, model, scenario.id, seed).turn(guard)
            if turn:
                found.setdefault(turn, Point(guard, turn, model, scenario.id, seed))
        if "better" in found and "worse" in found:
            break
    yield from (found[turn] for turn in ("better", "worse") if turn in found)
    if "worse" not in found and "needless" in found:
        yield found["needless"]


def main() -> None:
    """Print the points of every guard as the file that the tests read."""
    print(
        "# Written by turning_points.py. Simulated models: test doubles, no evidence about any language model."
    )
    for guard in GUARDS:
        for point in search(guard):
            print(
                f"- {{{', '.join(f'{key}: {value}' for key, value in point._asdict().items())}}}", flush=True
            )


if __name__ == "__main__":
    main()
