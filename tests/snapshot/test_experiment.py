"""The itbench_lite experiment on a recording: simulated models, a real endpoint, what the run says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from harness.config import ExperimentConfig, parse_config
from harness.errors import ConfigurationError
from harness.experiment import build_plan, run_experiment
from harness.store import RunDirectory
from tests.experiment.test_command_line import harness, results
from tests.openai_server import OpenAIServer
from tests.snapshot.conftest import Recorded

KEY = "lite/unversioned/16"


def arguments(recorded: Recorded, run_dir: Path, *more: str) -> list[str]:
    return [
        "+experiment=itbench_lite",
        f"environment.root={recorded.root}",
        f"environment.cache_dir={recorded.cache}",
        "executor=local",
        "repeats=1",
        f"run_dir={run_dir}",
        *more,
    ]


def composed(*overrides: str) -> ExperimentConfig:
    """The configuration that a command line means."""
    with initialize_config_module("conf", version_base="1.3"):
        found: Any = OmegaConf.to_container(compose("config", list(overrides)))
    return parse_config(found)


def test_it_runs_with_the_simulated_models_and_records_the_evidence(
    recorded: Recorded, tmp_path: Path
) -> None:
    outcome = run_experiment(composed(*arguments(recorded, tmp_path)))
    assert outcome.unaccounted == 0
    found = results(tmp_path)
    assert found["denominators"]["scored"] == 12
    assert {arm["remediated"]["mean"] for arm in found["arms"]} == {None}
    assert {arm["mutation_recall"] for arm in found["arms"]} == {None}
    assert "nothing can be remediated" in found["policy"]["recorded"]
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert len(plan["hashes"][f"evidence.{KEY}"]) == 64
    assert str(recorded.root) not in (tmp_path / "plan.json").read_text()
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert {(record["can_act"], record["verdict"]) for record in records} == {(False, None)}


def test_it_runs_through_a_real_endpoint_and_finds_the_cause(recorded: Recorded, tmp_path: Path) -> None:
    with OpenAIServer() as server:
        done = harness(
            *arguments(recorded, tmp_path, "model=[openai_compatible]"),
            f"models.openai_compatible.api_base={server.api_base}",
        )
        assert done.returncode == 0, done.stderr
        asked = [request.body for request in server.requests if request.path.endswith("completions")]
    offered = {tool["function"]["name"] for body in asked for tool in body.get("tools", ())}
    assert "get_trace_error_tree" in offered
    assert not offered & {"patch_object", "rollout_undo", "set_feature_flag"}
    assert not any(text in json.dumps(asked) for text in ("ground_truth", "Scenario-16", str(recorded.root)))
    found = results(tmp_path)
    assert {arm["recall"]["mean"] for arm in found["arms"]} == {1}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("environment.root=null", "environment.root: is not set"),
        ("environment.root=no/such", "is no directory"),
        ("scenario=[17]", "no scenario 17"),
        ("primary_metric=remediated", "nothing can be remediated on snapshots"),
        ("environment.red_herrings=99", "environment.red_herrings"),
    ],
)
def test_wrong_input_is_named(recorded: Recorded, tmp_path: Path, override: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        build_plan(composed(*arguments(recorded, tmp_path / "run"), override))


def test_the_listing_names_problems_by_file(recorded: Recorded, tmp_path: Path) -> None:
    index = ["--index", "--cache-dir", str(recorded.cache)]
    assert harness("scenarios", "snapshots", str(recorded.root), *index).returncode == 0
    broken = tmp_path / "Scenario-1" / "k8s_events_raw.tsv"
    broken.parent.mkdir()
    broken.write_text("Timestamp\tBody\n2025-11-20 10:00:00\n")
    done = harness("scenarios", "snapshots", str(tmp_path), "--index", "--cache-dir", str(tmp_path / "c"))
    assert done.returncode == 1
    assert f"{broken}:2: torn row" in done.stderr
    assert "no ground truth" in done.stderr


def test_a_fork_on_a_recording_reproduces_the_rest_event_by_event(recorded: Recorded, tmp_path: Path) -> None:
    stored = RunDirectory(tmp_path / "stored")
    run_experiment(composed(*arguments(recorded, stored.path, "model=[sim_early_stop]")))
    record = next(one for one in stored.records() if one.spec.arm == "verifier_gate")
    events = stored.trace(record)
    at, forked = str(len(events) // 2), tmp_path / "forked"
    done = harness(
        "fork", record.spec.trial_id, "--run", str(stored.path), "--at", at, "--same-seed",
        "--root", str(recorded.root), "--run-dir", str(forked),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (fork,) = RunDirectory(forked).records()
    assert RunDirectory(forked).trace(fork) == events
    assert (fork.score, fork.labels) == (record.score, record.labels)
