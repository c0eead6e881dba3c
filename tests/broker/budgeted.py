"""Runs of the smoke experiment against a local OpenAI-compatible server, for tests of money."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from harness.broker.ledger import Ledger, Spending
from harness.config import ExperimentConfig, parse_config
from harness.experiment import build_plan, run_owed
from harness.runner import preflight
from harness.store import RunDirectory
from tests.openai_server import OpenAIServer

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = "openai_compatible"


def arguments(server: OpenAIServer, run: Path, **more: Any) -> list[str]:
    """The command line of an experiment on the server: two arms of one scenario."""
    given = {
        "model": f"[{MODEL}]",
        f"models.{MODEL}.model": "openai/scripted",
        f"models.{MODEL}.api_base": server.api_base,
        f"models.{MODEL}.max_output_tokens": 200,
        f"models.{MODEL}.prices.input": 1.0,
        f"models.{MODEL}.prices.output": 5.0,
        "scenario": "[16]",
        "repeats": 2,
        "executor": "local",
        "run_dir": run,
    }
    return ["+experiment=smoke", *(f"{key}={value}" for key, value in (given | more).items())]


def configured(arguments: list[str]) -> ExperimentConfig:
    """The configuration that a command line stands for."""
    with initialize_config_module("conf", version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", arguments), resolve=True)
    assert isinstance(composed, dict)
    return parse_config({str(key): value for key, value in composed.items() if key != "hydra"})


def run_in_process(config: ExperimentConfig) -> Sequence[str]:
    """Run what is owed, without a report; why trials are left owed."""
    plan = build_plan(config)
    preflight(config)
    run = RunDirectory(config.directory)
    run.open_for_writing(plan)
    try:
        return run_owed(config, plan, run)
    finally:
        run.close()


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    env = {**os.environ, "NO_PROXY": "127.0.0.1", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=REPOSITORY,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def execute(arguments: list[str], **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    process = start(arguments, **environment)
    out, err = process.communicate(timeout=900)
    return process.returncode, out, err


def spending(run: Path) -> Spending:
    """What the ledger says."""
    return Ledger(run).read()


def finished(run: Path) -> list[str]:
    """Ids of finished trials."""
    return [record.spec.trial_id for record in RunDirectory(run).records()]
