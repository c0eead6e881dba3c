"""A program that misbehaves as its first argument says. Run by the harness as an external agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any


def post(body: bytes, token: str | None = None) -> tuple[int, bytes]:
    headers = {
        "Authorization": f"Bearer {os.environ['HARNESS_MCP_TOKEN'] if token is None else token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    request = urllib.request.Request(os.environ["HARNESS_MCP_URL"], body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def call(name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.loads(post(json.dumps(message).encode())[1])["result"]


def hang() -> None:
    call("alert_summary")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    time.sleep(600)


def flood() -> None:
    while True:
        sys.stdout.write("x" * 65_536)


def flood_of_calls() -> None:
    while not call("kubectl_get", kind="Pod", namespace="otel-demo")["isError"]:
        pass
    time.sleep(600)


def flood_of_requests() -> None:
    while True:
        post(b'{"padding": "' + b"x" * 200_000 + b'"}')


def die() -> None:
    call("alert_summary")
    sys.stderr.write("out of ideas\n")
    sys.exit(3)


def crash() -> None:
    os.abort()


def leave() -> None:
    """Ends in good order, without an answer."""


def nonsense() -> None:
    """Nothing that it sends can be served."""
    print("\x00\xff{]", flush=True)
    post(b"\x00\xff{]")
    post(b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": 7}')
    call("make_coffee", sugar=2)
    call("kubectl_get", kind=["Pod"], colour="red")
    call("submit", diagnosis="it is broken")


def stranger() -> None:
    """Has no token, then a wrong one."""
    codes = [post(b"{}", token)[0] for token in ("", "guess")]
    sys.exit(0 if codes == [401, 401] else 1)


def report() -> None:
    """Says what its model consumed, once properly and once not."""
    call("read_task")
    call("report_usage", model="mine", input_tokens=100, output_tokens=20, cost_usd=0.5)
    call("report_usage", model="mine", input_tokens=-1, output_tokens=20)
    call("alert_summary")


def reveal() -> None:
    """Writes all that it was given."""
    with open(os.environ["HARNESS_TASK_FILE"], encoding="utf-8") as file:
        task = json.load(file)
    print(json.dumps({"env": dict(os.environ), "task": task, "argv": sys.argv, "cwd": os.getcwd()}))


def speak_stdio() -> None:
    """MCP over stdin and stdout, one line of rubbish included."""
    import asyncio

    from mcp import Client
    from mcp.server.stdio import stdio_server

    async def talk() -> None:
        sys.stdout.write("Starting up...\n")
        sys.stdout.flush()
        async with Client(stdio_server()) as tools:
            offered = {tool.name for tool in (await tools.list_tools()).tools}
            assert {"read_task", "rollout_undo", "submit"} <= offered, offered
            await tools.call_tool("rollout_undo", {"name": "shipping", "namespace": "otel-demo"})
            await tools.call_tool("wait", {"seconds": 600})
            await tools.call_tool("submit", json.loads(os.environ["ANSWER"]))

    asyncio.run(talk())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
