"""Somebody's own agent, in a container: what it can do, and what it cannot."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest

from harness.sandbox.engine import OWNER, connect, find_image
from harness.trace import ProgramOutput, ToolCall
from tests.agents.trials import ANSWER, Played, play

pytestmark = pytest.mark.docker
PRELUDE = """
import json, os, sys, time
number = 0
def ask(method, params):
    global number
    number += 1
    print(json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params}), flush=True)
    return json.loads(sys.stdin.readline())['result']
def call(tool, /, **arguments):
    return ask('tools/call', {'name': tool, 'arguments': arguments})
def say(*words):
    print(*words, file=sys.stderr, flush=True)
client = {'name': 'agent', 'version': '1'}
ask('initialize', {'protocolVersion': '2025-06-18', 'capabilities': {}, 'clientInfo': client})
print(json.dumps({'jsonrpc': '2.0', 'method': 'notifications/initialized'}), flush=True)
"""


def run(image: str, code: str, **fields: Any) -> Played:
    """One trial of an agent image that runs this code after shaking hands."""
    given = {
        "kind": "external",
        "image": image,
        "argv": ["python3", "-c", PRELUDE + code],
        "grace_seconds": 1,
    }
    return play({**given, **fields})


def said(played: Played) -> str:
    return "".join(one.text for one in played.of(ProgramOutput) if one.stream == "stderr")


def left_over() -> list[str]:
    found = connect().containers(all=True, filters={"label": OWNER})
    return [each["Id"] for each in found if f"/{os.getpid()}/" in each["Labels"][OWNER]]


def test_it_solves_an_incident_over_stdio_without_any_network(docker_image: str) -> None:
    played = run(
        docker_image,
        "call('rollout_undo', name='shipping', namespace='otel-demo')\n"
        "call('wait', seconds=600)\n"
        "call('submit', **json.loads(os.environ['ANSWER']))\n"
        "say(os.listdir('/sys/class/net'))",
        env={"ANSWER": json.dumps(ANSWER)},
    )
    assert played.record.status == "scored", played.record.detail
    assert played.record.verdict is not None
    assert played.record.verdict.all_clear
    assert [one.name for one in played.of(ToolCall)] == ["rollout_undo", "wait", "submit"]
    assert played.record.images == {"agent": find_image(docker_image, "image").digest}
    assert "eth0" not in said(played)
    assert left_over() == []


def test_it_reads_its_task_and_nothing_of_the_machine(
    docker_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    monkeypatch.setenv("WANTED_KEY", "w4nted")
    played = run(
        docker_image,
        "say(json.dumps({'env': dict(os.environ), 'task': open(os.environ['HARNESS_TASK_FILE']).read(), "
        "'ids': [os.getuid(), os.getgid()], 'status': open('/proc/self/status').read()}))\n"
        "for path in ('/harness/x', '/x', '/etc/x', '/usr/x'):\n"
        "    try: open(path, 'w'); say('WROTE', path)\n"
        "    except OSError: pass\n"
        "open('/tmp/x', 'w')",
        pass_env=["WANTED_KEY"],
    )
    assert played.record.reason == "no_output", played.record.detail
    text = said(played)
    told = json.loads(text.splitlines()[0])
    assert told["env"]["WANTED_KEY"] == "w4nted"
    assert "otel-demo" in told["task"]
    assert told["ids"] == [65534, 65534]
    assert "CapBnd:\t0000000000000000" in told["status"]
    assert "NoNewPrivs:\t1" in told["status"]
    assert "WROTE" not in text
    for hidden in ("s3cret", str(os.uname().nodename), os.getcwd(), "baseline"):
        assert hidden not in text


def test_one_that_hangs_is_killed_with_all_that_it_started(docker_image: str) -> None:
    began = time.monotonic()
    code = "if os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\ncall('alert_summary')\ntime.sleep(600)"
    played = run(docker_image, code, wall_seconds=4)
    assert played.record.reason == "budget_time"
    assert time.monotonic() - began < 25
    assert left_over() == []


def test_one_that_dies_is_told_by_its_exit_code_and_last_words(docker_image: str) -> None:
    played = run(docker_image, "say('out of ideas')\nsys.exit(3)")
    assert played.record.reason == "agent_error"
    assert "exit code 3: out of ideas" in played.record.detail


def test_a_flood_is_cut_off(docker_image: str) -> None:
    played = run(docker_image, "while True: say('x' * 60_000)", output_bytes=300_000)
    assert played.record.reason == "budget_output"
    assert left_over() == []


def test_an_image_that_changed_is_another_agent(docker_image: str) -> None:
    from harness.agents import create_agent

    agent: Any = create_agent("x", {"kind": "external", "image": docker_image})
    assert agent.digest == find_image(docker_image, "image").id
