"""Trials whose agent has `shell` and `python`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.config import ExperimentConfig
from harness.records import TrialRecord, TrialSpec
from harness.runner import TrialRunner
from harness.sandbox.engine import OWNER, connect
from harness.trace import ToolResult, decode, of_type
from harness.trial import run_trial
from tests.sandbox.conftest import config
from tests.scripted_model import Call, ScriptedModel, answer

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_image")]
SPEC = TrialSpec(
    trial_id="t", scenario="sre/v1/16", model="scripted", agent="react", arm="baseline", repeat=0, seed=7
)


def play(
    *calls: Call, trials: int = 1, environment: dict[str, Any] | None = None, **sandbox: Any
) -> tuple[TrialRecord, list[dict[str, Any]], ScriptedModel]:
    """Trials side by side in which the agent makes these calls; record and results of the last one."""
    experiment = ExperimentConfig(
        name="sandbox",
        question="?",
        scenario=(16,),
        environment=environment or {},
        sandbox=config(ready=1, **sandbox),
        agents={"react": {"kind": "react"}},
        models={"unused": {"kind": "simulated"}},
        arms={"baseline": ()},
    )
    models = [ScriptedModel([[call] for call in (*calls, answer(("x", "[c1]")))]) for _ in range(trials)]

    async def main() -> Sequence[Any]:
        runner = TrialRunner(experiment)
        (key,) = runner._scenarios
        spec = SPEC.model_copy(update={"scenario": key})
        try:
            settings = [
                replace(runner.setting(spec.model_copy(update={"model": "unused"})), model=m) for m in models
            ]
            return await asyncio.gather(*(run_trial(spec, setting) for setting in settings))
        finally:
            await runner.close()

    output = asyncio.run(main())[-1]
    results = [
        one
        for one in of_type(decode(output.trace), ToolResult)
        if "Error" not in one.text and one.name != "submit"
    ]
    return output.record, [json.loads(one.text.partition(" ")[2]) for one in results], models[-1]


def left_over() -> list[str]:
    """Containers of this process."""
    found = connect().containers(all=True, filters={"label": OWNER})
    return [each["Id"] for each in found if f"/{os.getpid()}/" in each["Labels"][OWNER]]


COUNT = """
import json
rows = [json.loads(line) for line in open('/evidence/changes.jsonl')]
print([row['entity_id'] for row in rows if row['kind'] == 'Deployment' and row['change_count']])
"""


def test_an_agent_computes_over_the_evidence() -> None:
    record, (listed, found), model = play(
        ("shell", {"command": "cd /evidence; ls; grep -ci shipping alerts.jsonl"}),
        ("python", {"code": COUNT}),
    )
    assert record.status == "scored", record.detail
    assert (listed["exit_code"], found["exit_code"]) == (0, 0)
    assert "alerts.jsonl" in listed["stdout"]
    assert "otel-demo/Deployment/shipping" in found["stdout"]
    assert {"shell", "python"} <= {tool.name for tool in model.requests[0].tools}
    assert record.images["sandbox"].startswith("sha256:")
    assert left_over() == []


def test_a_call_takes_the_same_time_on_the_virtual_clock_however_long_it_takes() -> None:
    quick, _, _ = play(("shell", {"command": "true"}))
    slow, _, _ = play(("shell", {"command": "sleep 1"}))
    assert quick.agent_seconds == slow.agent_seconds


def test_nothing_in_the_container_tells_the_answer() -> None:
    words = "ground.?truth|root_cause|fault.?id|itbench|baseline|sre/v1"
    search = f"grep -rliE '{words}' /evidence /workspace /tmp; env; grep -iE '{words}' /proc/self/mountinfo"
    _, (found,), _ = play(("shell", {"command": search}))
    assert "/evidence" not in found["stdout"]
    assert not any(word in found["stdout"].lower() for word in ("truth", "baseline", "itbench", "sre/"))


def test_wrong_arguments_are_explained() -> None:
    record, _, model = play(("shell", {"cmd": "ls"}))
    assert record.status == "scored"
    told = model.requests[1].messages[-1]["content"]
    assert "Error: shell: " in told
    assert "command" in told


def test_a_killed_call_tells_its_limits() -> None:
    _, (slow, flood), _ = play(
        ("shell", {"command": "echo began; sleep 60"}),
        ("python", {"code": "while True: print('x' * 1000)"}),
        call_seconds=2,
        output_bytes=50_000,
        shown_bytes=1_000,
    )
    assert slow["stdout"] == "began\n"
    assert slow["killed"].startswith("time was up (limits: 2 s, 96 MB")
    assert "more than 50,000 bytes" in flood["killed"]
    assert "bytes left out" in flood["stdout"]
    assert len(flood["stdout"]) < 1_100


def test_trials_side_by_side_have_a_sandbox_each() -> None:
    record, (found,), _ = play(
        ("shell", {"command": "ls /workspace; hostname > /workspace/mine; sleep 1; ls /workspace"}), trials=4
    )
    assert record.status == "scored"
    assert found["stdout"] == "mine\n"
    assert left_over() == []
