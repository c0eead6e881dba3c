"""What a workload does on a request: its own time, its calls, its failures."""

import json
import os
import sys
import time

from .flags import FLAGS, START_FLAGS, every
from .messages import BROKER, TOPICS
from .telemetry import log, passed, span
from .wire import Failure, Headers, ask, parse_address
from .workload import FLAG_STORE, ME, NAME, Described, Path, env_of


def perform(operation: str, path: Path, kind: str) -> None:
    """Run an operation and count its span. Raises Failure."""
    began, failure = time.monotonic(), None
    try:
        run(operation, path)
    except Failure as error:
        failure = str(error)
    ms = (time.monotonic() - began) * 1000
    if ME["traced"]:
        span(operation, kind, failure is None, ms)
        if ME["internal_spans"]:
            span(operation, "SPAN_KIND_INTERNAL", True)
        if len(path) == 1:
            passed(path, operation, failure is None, failure or "")
    if failure is not None:
        log("ERROR", f"{operation}: {failure}")
        raise Failure(failure)
    if every(operation, 0.05):
        log("INFO", f"{operation} handled")


def run(operation: str, path: Path) -> None:
    described = ME["operations"][operation]
    pause, unreachable = described["ms"], {}
    for effect, value in FLAGS.effects(operation):
        pause += effect["latency_ms"] * value
        pause += effect["tail_ms"] * value if every(f"tail {operation}", 0.1) else 0
        if effect["unreachable"]:
            unreachable[effect["unreachable"]] = effect["message"]
        if effect["error_share"] and every(f"error {operation}", min(1.0, effect["error_share"] * value)):
            raise Failure(effect["message"])
    time.sleep(pause / 1000)
    reported = None
    for call in described["calls"]:
        for _ in range(max(1, round(call["times"]))):
            try:
                make(call, path, unreachable.get(call["to"]))
            except Failure as error:
                told = call["error"].replace("{cause}", str(error))
                log("ERROR", f"{operation}: {told}")
                if call["on_error"] == "stop":
                    raise Failure(told) from None
                reported = told if call["on_error"] == "report" else reported
    if reported:
        raise Failure(reported)


def make(call: Described, path: Path, unreachable: str | None) -> None:
    """One outgoing call, counted at the caller: it also counts those that reach nobody. Raises Failure."""
    callee, _, operation = call["to"].partition("/")
    address = env_of(call["address"]) if call["address"] else callee
    host, port = parse_address(address, call["port"])
    headers = {"X-Path": "/".join(path)}
    if call["password"]:
        headers["X-Password"] = env_of(call["password"])
    failure = ""
    try:
        if unreachable:
            raise Failure(unreachable)
        ask(host, port, operation, headers, call["timeout_ms"] / 1000)
    except Failure as error:
        failure = str(error)
    if ME["traced"]:
        span(f"{callee}/{operation}", "SPAN_KIND_CLIENT", not failure)
        passed((*path, callee), operation, not failure, failure)
    if failure:
        raise Failure(failure)


def demanded() -> str:
    """The password that callers must show; empty for none."""
    variable = (ME.get("password") or {}).get("variable", "")
    words = sys.argv[1:]
    if f"--{variable}" in words[:-1]:
        return words[words.index(f"--{variable}") + 1]
    return os.environ.get(variable, "")


def handle(target: str, headers: Headers, peer: str) -> tuple[str, str]:
    """Answer a request of another workload."""
    operation = target.lstrip("/").replace("%20", " ")
    if FLAG_STORE["workload"] == NAME and operation == "flags":
        return "200 OK", json.dumps(START_FLAGS)
    if operation.startswith("poll:"):
        return "200 OK", str(BROKER.poll(operation.partition(":")[2], peer))
    if operation not in ME["operations"]:
        return "404 Not Found", f"Unimplemented: {NAME} does not serve {operation}"
    password = demanded()
    if password and headers.get("x-password", "") != password:
        time.sleep(ME["password"]["refusal_ms"] / 1000)
        return "500 Internal Server Error", ME["password"]["refusal"]
    path = tuple(part for part in headers.get("x-path", "").split("/") if part)
    try:
        perform(operation, (*path, NAME), "SPAN_KIND_SERVER")
    except Failure as error:
        return "500 Internal Server Error", str(error)
    if f"{NAME}/{operation}" in TOPICS:
        BROKER.publish()
    return "200 OK", ""
