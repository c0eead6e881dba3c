"""Forks: exact replay, continuation under another arm, choice of steps, bisection, refusals."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from harness.config import ExperimentConfig
from harness.errors import ConfigurationError
from harness.experiment import run_experiment
from harness.forks.bisection import decisive, next_turn
from harness.forks.points import detected, parents
from harness.forks.replay import Gated, divergence, instructed, recorded_replies, turn_of, turns
from harness.forks.run import run_forks
from harness.protocols import GuardEvent, Operator, ProposedModelCall, ProposedToolCall, Ruling
from harness.records import TrialRecord
from harness.store import RunDirectory
from harness.trace import Event, GuardFired, ModelCall, ToolResult, of_type

CLUMSY: dict[str, Any] = {
    "kind": "simulated",
    "competence": {"recognise": 0.4, "doubt": 0.3, "remedy": 0.8},
    "propensities": {
        "stop_early": 0.1,
        "skip_evidence": 0.5,
        "step_repetition": 0.3,
        "fake_verification": 0.6,
    },
    "compliance_feedback": 1.0,
}


def config(run_dir: Path, **changes: Any) -> ExperimentConfig:
    fields: dict[str, Any] = {
        "name": "base",
        "question": "?",
        "scenario": [16, 20],
        "agents": {"react": {"kind": "react"}},
        "models": {"clumsy": CLUMSY},
        "arms": {"baseline": [], "gate": ["verifier_gate"], "gate_prompt": ["verifier_gate_prompt"]},
        "interventions": {"verifier_gate": {}},
        "repeats": 2,
        "executor": {"kind": "local"},
        "run_dir": str(run_dir),
    }
    return ExperimentConfig.model_validate(fields | changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base")
    run_experiment(config(path))
    return path


def stored(base: Path, arm: str = "baseline") -> list[tuple[TrialRecord, list[Event]]]:
    run = RunDirectory(base)
    return [(record, run.trace(record)) for record in run.records() if record.spec.arm == arm]


def forks(base: Path, run_dir: Path, repeats: int = 1, **fork: Any) -> RunDirectory:
    settings = {"run": str(base), **fork}
    outcome = run_forks(config(run_dir, name="fork", fork=settings, repeats=repeats))
    assert outcome.run_dir == run_dir
    return RunDirectory(run_dir)


@pytest.mark.parametrize("arm", ["baseline", "gate"])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_the_same_seed_without_a_change_reproduces_the_rest(
    base: Path, tmp_path: Path, arm: str, where: float
) -> None:
    for number, (record, events) in enumerate(stored(base, arm)):
        at = int(where * (len(events) - 1))
        run = forks(base, tmp_path / str(number), trials=[record.spec.trial_id], at=at, same_seed=True)
        (fork,) = run.records()
        assert run.trace(fork) == events
        same = {"spec", "trace", "wall_seconds"}
        assert fork.model_dump(exclude=same) == record.model_dump(exclude=same)


def test_a_fork_shares_the_past_and_not_the_future(base: Path, tmp_path: Path) -> None:
    record, events = max(stored(base), key=lambda pair: len(pair[1]))
    at = len(events) // 2
    run = forks(base, tmp_path, repeats=4, trials=[record.spec.trial_id], at=at, arms=["gate"])
    found = run.records()
    assert len(found) == 8
    first = [one.i for one in of_type(events, ModelCall)][turn_of(events, at)]
    futures = set()
    for fork in found:
        assert fork.status != "excluded"
        trace = run.trace(fork)
        assert trace[:first] == events[:first]
        futures.add(str(trace[first:]))
    assert len(futures) > 1
    rerolls = {f.spec.repeat: f.spec.fork for f in found if f.spec.arm == "reroll"}
    assert all(rerolls[f.spec.repeat] == f.spec.fork for f in found)


def test_a_guard_of_the_arm_acts_only_after_the_fork(base: Path, tmp_path: Path) -> None:
    record, events = stored(base)[0]
    last = [one.i for one in of_type(events, ModelCall)][-1]
    run = forks(base, tmp_path, repeats=3, trials=[record.spec.trial_id], at=last, arms=["gate"])
    fired = [one for f in run.records() if f.spec.arm == "gate" for one in of_type(run.trace(f), GuardFired)]
    assert all(one.i > last for one in fired)
    rerolls = [run.trace(f) for f in run.records() if f.spec.arm == "reroll"]
    assert not any(list(of_type(trace, GuardFired)) for trace in rerolls)


def test_the_turn_before_the_fork_is_out_of_reach_of_the_arms_guard() -> None:
    live = False
    guard = Gated(Refusing(), lambda: live)
    rule = lambda event: asyncio.run(guard.review(event, None)).kind  # type: ignore[arg-type]  # noqa: E731 - short
    assert rule(ProposedModelCall(())) == "allow"
    live = True  # the recorded replies are used up; the last one's calls are still made
    assert rule(ProposedToolCall("c1", "events", {}, False)) == "allow"
    assert rule(ProposedModelCall(())) == "deny"
    assert rule(ProposedToolCall("c2", "events", {}, False)) == "deny"


class Refusing:
    """A guard that refuses everything."""

    name = "refusing"

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        return Ruling("deny")


def test_detected_steps_give_causal_lethality_and_the_run_resumes(base: Path, tmp_path: Path) -> None:
    run = forks(base, tmp_path, repeats=2, arms=["gate", "gate_prompt"], limit=2)
    found = json.loads((tmp_path / "forks.json").read_text())
    assert found["simulated"]
    assert found["excluded"] == 0
    assert {entry["arm"] for entry in found["lethality"]} == {"gate", "gate_prompt"}
    for entry in found["lethality"]:
        assert entry["estimate"] == pytest.approx(entry["fixed"] - entry["reroll"])
        assert -1 <= entry["low"] <= entry["high"] <= 1 if entry["low"] is not None else True
    assert "Simulated" in (tmp_path / "forks.md").read_text()
    lines = run.records_file.read_bytes().splitlines(keepends=True)
    run.records_file.write_bytes(b"".join(lines[:-3]))
    forks(base, tmp_path, repeats=2, arms=["gate", "gate_prompt"], limit=2)
    assert json.loads((tmp_path / "forks.json").read_text()) == found


def test_bisection_measures_few_turns(base: Path, tmp_path: Path) -> None:
    forks(base, tmp_path, repeats=3, at="bisection", limit=1)
    (curve,) = json.loads((tmp_path / "forks.json").read_text())["value_of_state"]
    assert {"0", str(curve["turns"] - 1)} <= curve["values"].keys()
    assert len(curve["values"]) <= 8
    assert all(count == 3 for count in curve["rerolls"].values())


def test_bisection_finds_a_planted_turn() -> None:
    for lost in range(1, 30):
        values: dict[int, float] = {}
        while (turn := next_turn(values, 30)) is not None:
            values[turn] = 0.8 if turn < lost else 0.1
        assert decisive(values, 30) == lost - 1
        assert len(values) <= 7


def test_bisection_gives_up_where_nothing_was_lost() -> None:
    hopeless = {0: 0.0, 9: 0.0}
    assert next_turn(hopeless, 10) is None
    assert decisive(hopeless, 10) is None
    assert decisive({0: 0.6, 9: 0.5}, 10) is None


def test_replies_are_rebuilt_from_the_trace(base: Path) -> None:
    record, events = stored(base)[0]
    replies = recorded_replies(events, record.planted)
    assert len(replies) == turns(events) == record.turns
    assert sum(len(reply.planted) for reply in replies) == len(record.planted)
    assert turn_of(events, 0) == 0
    assert turn_of(events, len(events) - 1) == record.turns - 1


def test_a_replay_that_leaves_the_record_is_noticed(base: Path) -> None:
    _, events = stored(base)[0]
    changed = list(events)
    place = next(i for i, one in enumerate(events) if isinstance(one, ToolResult))
    changed[place] = ToolResult(i=place, call_id="c1", name="x", ok=False, text="other")
    assert divergence(events, events, turns(events)) == ""
    assert f"event {place} (ToolResult)" in divergence(events, changed, turns(events))
    assert divergence(events, changed, 0) == ""


def test_added_instructions_reach_the_system_message_only() -> None:
    assert instructed({"role": "system", "content": "a"}, ["b"])["content"] == "a\n\nb"
    assert instructed({"role": "user", "content": "a"}, ["b"])["content"] == "a"


def test_steps_come_from_present_modes_of_failed_trials(base: Path) -> None:
    records = RunDirectory(base).records()
    chosen = parents(records, config(base, fork={"run": str(base)}).fork, "baseline")  # type: ignore[arg-type]
    assert chosen
    assert all(record.spec.arm == "baseline" and record.score.recall < 1 for record in chosen)  # type: ignore[union-attr]
    points = detected(chosen, ["step_repetition"])
    assert {point.slug for point in points} <= {"step_repetition"}


@pytest.mark.parametrize(
    ("fork", "told"),
    [
        ({"trials": ["nobody"]}, "nobody is not stored"),
        ({"at": 9999}, "not 9999"),
        ({"arms": ["nothing"]}, "unknown arm nothing"),
        ({"modes": ["no_such_mode"]}, "no detector marked"),
        ({"run": ""}, "no stored run was named"),
        ({"run": "no/such"}, "no run is stored here"),
    ],
)
def test_wrong_input_is_named(base: Path, tmp_path: Path, fork: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        run_forks(config(tmp_path / "x", fork={"run": str(base), **fork}))
    assert not (tmp_path / "x").exists()


def test_a_live_cluster_is_refused(base: Path, tmp_path: Path) -> None:
    plan = json.loads((base / "plan.json").read_text())
    plan["config"]["environment"]["kind"] = "kubernetes"
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(ConfigurationError, match="cannot be brought back"):
        run_forks(config(tmp_path / "x", fork={"run": str(tmp_path)}))
