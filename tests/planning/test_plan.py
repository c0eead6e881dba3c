"""The dry run: counts, money, time, detectable effects, without a key and without running anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.config import ExperimentConfig
from harness.errors import ConfigurationError
from harness.planning import estimate, pilot_spread
from harness.report.planning import duration, print_plan
from harness.store import RunDirectory
from tests.experiment.test_command_line import harness
from tests.report.factory import experiment

PRICED = {
    "kind": "litellm",
    "model": "openai/x",
    "prices": {"input": 1.0, "cached_input": None, "output": 10.0},
}


def config(**changes: Any) -> ExperimentConfig:
    fields: dict[str, Any] = {
        "name": "x",
        "question": "?",
        "scenario": [2, 16],
        "agents": {"react": {"kind": "react"}},
        "models": {"paid": PRICED, "sim": {"kind": "simulated"}},
        "arms": {"baseline": [], "gate": ["verifier_gate"]},
        "interventions": {"verifier_gate": {}},
        "repeats": 3,
        "executor": {"kind": "local", "in_flight": 4},
    }
    return ExperimentConfig.model_validate(fields | changes)


def test_cost_is_an_interval_from_the_stated_guess_and_prices() -> None:
    found = estimate(config(planning={"input_tokens": (100_000, 200_000), "output_tokens": (1_000, 2_000)}))
    assert (found["trials"], found["scenarios"], found["concurrency"]) == (24, 2, 4)
    # 12 trials of the paid model: 0.1 x 1 + 0.001 x 10 to twice that.
    assert found["totals"]["usd"] == pytest.approx([12 * 0.11, 12 * 0.22])
    assert {cell["basis"] for cell in found["cells"]} == {"configuration", "simulated"}


def test_an_unknown_price_is_unknown_and_not_free() -> None:
    found = estimate(config(models={"unpriced": {"kind": "litellm", "model": "openai/x"}}))
    assert found["totals"]["usd"] == [None, None]
    assert found["unpriced"] == ["unpriced"]


def test_a_trial_budget_caps_the_guess() -> None:
    found = estimate(config(budget={"turns": 5, "tokens": 1_000}))
    assert found["totals"]["model_calls"] == [24 * 5, 24 * 5]
    assert found["totals"]["input_tokens"] == [24_000, 24_000]


def test_a_pilot_supplies_costs_and_spread(tmp_path: Path) -> None:
    plan, records = experiment(models=["sim"], scenarios=10)
    run = RunDirectory(tmp_path)
    run.open_for_writing(plan)
    run.append([(record, b"") for record in records])
    run.close()
    found = estimate(config(models={"sim": {"kind": "simulated"}}, pilot=str(tmp_path)))
    assert all(cell["basis"].startswith("pilot (") for cell in found["cells"])
    low, high = found["cells"][0]["per_trial"]["input_tokens"]
    counted = [r for r in records if r.status != "excluded" and r.spec.arm == "baseline"]
    assert low < sum(r.usage.input_tokens for r in counted) / len(counted) < high
    assert found["metrics"][0]["basis"] == "pilot"
    spread = pilot_spread("recall", counted, "baseline")
    assert spread is not None
    assert spread.effect == 0


def test_a_wanted_effect_says_how_many_repeats_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    found = estimate(config(scenario="all", planning={"effect": 0.08}))
    (primary,) = [entry for entry in found["metrics"] if entry["primary"]]
    assert primary["metric"] == "recall"
    assert primary["detectable_corrected"] > primary["detectable"] > 0.08
    assert primary["repeats_needed"] > 3
    print_plan(found)
    told = capsys.readouterr().out
    assert "Nothing was run" in told
    assert f"needs {primary['repeats_needed']} repeats" in " ".join(told.split())


def test_a_pilot_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no run is stored here"):
        estimate(config(pilot="no/such/run"))


def test_the_verb_needs_no_key_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    run_dir = tmp_path / "run"
    arguments = ["+experiment=verifier_gate", "model=[gemini_3_flash]", f"run_dir={run_dir}"]
    done = harness("plan", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["usd"][0] > 0
    assert not run_dir.exists()
    assert harness("plan", "+experiment=no_such").returncode == 2


def test_planning_does_not_change_the_plan() -> None:
    plain, planned = config(), config(planning={"effect": 0.1}, pilot="x")
    assert plain.digest() == planned.digest()


def test_durations_are_readable() -> None:
    assert [duration(s) for s in (30, 600, 9000, None)] == ["30 s", "10 min", "2.5 h", "unknown"]


def test_a_search_says_what_it_may_take_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    rules = {"held_out": [20], "trials": 500}
    found = estimate(config(arms={"baseline": []}, closed_loop=rules))
    assert found["trials"] == 1000
    assert {cell["trials"] for cell in found["cells"]} == {500}
    print_plan(found)
    assert "1000 trials and forks at most" in capsys.readouterr().out
