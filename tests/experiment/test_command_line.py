"""The command line as users meet it: exit codes, clear errors, resuming."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.openai_server import OpenAIServer

ROOT = Path(__file__).parents[2]
SMALL = ["+experiment=verifier_gate", "scenario=[16,20]", "repeats=1", "model=[sim_isolated]"]


def harness(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "harness", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def results(run_dir: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run_dir / "results.json").read_text())
    return loaded


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from harness.__main__ import main; main(['--help']);"
        "heavy = {'ray', 'litellm', 'pandas', 'matplotlib', 'hydra', 'kubernetes', 'docker'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "+experiment=verifier_gate" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["+experiment=no_such"], "no_such"),
        ([*SMALL, "model=[no_such]"], "no_such"),
        ([*SMALL, "scenario=[16,999]"], "999"),
        ([*SMALL, "arms.mine=[verifier_gat]"], "arms.mine"),
        ([*SMALL, "+arms.mine=[verifier_gat]"], "did you mean verifier_gate?"),
        ([*SMALL, "+frobnicate=1"], "frobnicate: unknown key"),
        ([*SMALL, "repeats=0", "+budget.turnz=1"], "budget.turnz: unknown key"),
        ([*SMALL, "repeats=0", "+budget.turnz=1"], "repeats: "),
        ([*SMALL, "interventions.verifier_gate.max_refusals=0"], "max_refusals"),
        ([*SMALL, "reference_arm=nobody"], "unknown arm nobody"),
        (["scenario=[16]"], "+experiment=verifier_gate"),
        (["report", "no/such/run"], "no run is stored here"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_written(arguments: list[str], told: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    done = harness(*arguments, *([] if arguments[0] == "report" else [f"run_dir={run_dir}"]))
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr
    assert not run_dir.exists()


def test_a_run_resumes_reports_and_refuses_another_plan(tmp_path: Path) -> None:
    arguments = [*SMALL, "executor=local", f"run_dir={tmp_path}"]
    first = harness(*arguments)
    assert first.returncode == 0, first.stderr
    assert "verifier_gate − baseline" in first.stdout
    assert "SIMULATED" in first.stdout
    found = results(tmp_path)
    assert found["simulated"] is True
    assert found["denominators"]["planned"] == 8
    assert found["denominators"]["owed"] == 0
    for name in ("summary.md", "trials.parquet", "report.html", "plan.json"):
        assert (tmp_path / name).stat().st_size > 500

    lines = (tmp_path / "records.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "records.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:50])
    again = harness(*arguments)
    assert again.returncode == 0, again.stderr
    assert results(tmp_path)["arms"] == found["arms"]
    assert (tmp_path / "records.jsonl").read_bytes().startswith(b"".join(lines[:3]))

    changed = harness(*arguments, "seed=5")
    assert changed.returncode == 2
    assert "config.seed: 0 -> 5" in changed.stderr

    (tmp_path / "report.html").unlink()
    rebuilt = harness("report", str(tmp_path))
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert (tmp_path / "report.html").exists()


def test_killed_half_way_and_rerun_gives_the_same(tmp_path: Path) -> None:
    arguments = [*SMALL, "scenario=[2,16,20]", "repeats=2", "executor=local"]
    quiet = harness(*arguments, f"run_dir={tmp_path / 'quiet'}")
    assert quiet.returncode == 0, quiet.stderr

    command = [sys.executable, "-m", "harness", *arguments, f"run_dir={tmp_path / 'killed'}"]
    records = tmp_path / "killed" / "records.jsonl"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (records.exists() and records.read_bytes().count(b"\n") >= 5):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    survived = records.read_bytes().rpartition(b"\n")[0].splitlines()
    assert 5 <= len(survived) < 24

    again = harness(*arguments, f"run_dir={tmp_path / 'killed'}")
    assert again.returncode == 0, again.stderr
    assert records.read_bytes().splitlines()[: len(survived)] == survived
    left, right = results(tmp_path / "killed"), results(tmp_path / "quiet")
    assert left["arms"] == right["arms"]
    assert left["contrasts"] == right["contrasts"]


def test_ray_and_local_give_the_same_numbers(tmp_path: Path) -> None:
    for kind in ("local", "ray"):
        done = harness(*SMALL, f"executor={kind}", f"run_dir={tmp_path / kind}")
        assert done.returncode == 0, done.stderr
    assert results(tmp_path / "ray")["arms"] == results(tmp_path / "local")["arms"]


def test_a_real_endpoint_is_driven_over_http(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        done = harness(
            "+experiment=verifier_gate",
            "model=[openai_compatible]",
            f"models.openai_compatible.api_base={server.api_base}",
            "scenario=[2,16]",
            "repeats=1",
            "executor=local",
            f"run_dir={tmp_path}",
        )
        assert done.returncode == 0, done.stderr
        assert any(
            request.body.get("tools") for request in server.requests if request.path.endswith("completions")
        )
    found = results(tmp_path)
    assert found["simulated"] is False
    assert "SIMULATED" not in done.stdout
    assert found["denominators"] == found["denominators"] | {"planned": 8, "scored": 8}
    baseline = next(arm for arm in found["arms"] if arm["arm"] == "baseline")
    assert baseline["recall"]["mean"] == 1


def test_trials_whose_endpoint_is_unreachable_stay_owed(tmp_path: Path) -> None:
    done = harness(
        "+experiment=verifier_gate",
        "model=[openai_compatible]",
        "models.openai_compatible.api_base=http://127.0.0.1:9/v1",
        "outage.first_contact_s=2",
        "scenario=[16]",
        "repeats=1",
        "executor=local",
        f"run_dir={tmp_path}",
    )
    assert done.returncode == 1, done.stderr
    assert "http://127.0.0.1:9/v1 does not answer" in done.stderr
    assert "the same command goes on" in done.stderr
    denominators = results(tmp_path)["denominators"]
    assert denominators["planned"] == denominators["owed"] == 4


def test_an_unknown_price_is_refused_under_a_money_budget(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    done = harness(
        "+experiment=verifier_gate", "model=[openai_compatible]", "budget.usd=1", f"run_dir={run_dir}"
    )
    assert done.returncode == 2
    assert "price" in done.stderr
    assert not run_dir.exists()
