"""The third-party agent of docs/examples through the command line, as its documentation shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "external_agent.py"


def test_the_example_has_no_more_than_40_lines() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40


def test_the_example_solves_an_incident_in_an_experiment(tmp_path: Path) -> None:
    run = tmp_path / "run"
    argv = ["agent=external", "agents.external.argv=[python,docs/examples/external_agent.py]"]
    options = [
        "scenario=[16]",
        "repeats=1",
        "executor=local",
        "~arms.placebo",
        "~arms.verifier_gate_prompt",
        "contrasts=[]",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "+experiment=verifier_gate", *argv, *options, f"run_dir={run}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (run / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = {record["spec"]["arm"]: record for record in map(json.loads, lines)}
    assert sorted(records) == ["baseline", "verifier_gate"]
    for record in records.values():
        assert (record["spec"]["agent"], record["spec"]["model"]) == ("external", "own")
        assert record["status"] == "scored", record["detail"]
        assert record["score"]["recall"] == 1.0
        assert record["verdict"]["symptom_cleared"]
        assert record["verdict"]["cause_removed"]
        assert record["usage_source"] == "unknown"
        assert not record["simulated"]


def test_an_incident_can_be_served_by_hand() -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "harness", "serve", "--scenario", "16"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with serving:
        try:
            assert serving.stderr is not None
            assert serving.stdout is not None
            url = serving.stderr.readline().split()[-1]
            token = serving.stderr.readline().split()[-1]
            subprocess.run(
                [sys.executable, str(EXAMPLE)],
                env={**os.environ, "HARNESS_MCP_URL": url, "HARNESS_MCP_TOKEN": token},
                timeout=60,
                check=True,
            )
            printed = serving.stdout.read()
        finally:
            serving.kill()
    assert "symptom cleared: True, cause removed: True, collateral damage: False" in printed
    assert "recall 1.00" in printed
