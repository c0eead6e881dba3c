"""The process: everything that a workload does on its own, and its life."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .flags import FLAGS
from .messages import BROKER
from .operations import handle, perform
from .telemetry import METRICS, log
from .wire import Failure, Headers, ask, connect, parse_address, serve
from .workload import APPLICATION, ME, NAME, Described, env_of

METRICS_PORT = 9464
POLL_S = 0.5
STARTING_S, LOST_S = 60, 6
"""How long a peer may refuse connections, and how long it may not be found, before that is fatal."""
USERS = 10.0
EXTRA_RATE = 20.0


def consume(operation: str, described: Described) -> None:
    """Read messages and run an operation for each, for ever."""
    connected = False
    while True:
        host, port = parse_address(env_of(described["address"]), 9092)
        try:
            due = int(ask(host, port, f"poll:{NAME}", {}, 5.0))
            connected = True
        except (Failure, ValueError) as error:
            if connected:
                METRICS.add("kafka_connection_closures_total", service_name=NAME)
            log("ERROR", f"{operation}: {error}")
            due = 0
        for _ in range(due):
            try:
                perform(operation, (NAME,), "SPAN_KIND_CONSUMER")
            except Failure:
                continue
        time.sleep(POLL_S)


def generate(operation: str, described: Described, delay: float) -> None:
    """Run an operation so many times a second, evenly spaced, for ever."""
    if any(os.environ.get(name) != value for name, value in described["when"].items()):
        return
    time.sleep(delay)
    while True:
        rate = described["per_second"] * float(os.environ.get("LOCUST_USERS") or USERS) / USERS
        rate += sum(
            min(EXTRA_RATE, effect["extra_rate"] * value) for effect, value in FLAGS.effects(operation)
        )
        if rate > 0 and threading.active_count() < 64:
            threading.Thread(target=_attempt, args=(operation,), daemon=True).start()
        time.sleep(1 / rate if rate > 0 else 1.0)


def _attempt(operation: str) -> None:
    try:
        perform(operation, (), "SPAN_KIND_INTERNAL")
    except Failure:
        return


def await_dependencies() -> None:
    """Wait for what the workload cannot start without; leave when its address is wrong or nobody comes up. An address
    that the application has is waited for, since who listens there may just be starting; any other is tried once."""
    for name in ME["needs_at_start"]:
        host, port = parse_address(env_of(name), 0)
        until = time.monotonic() + (STARTING_S if is_described(host, port) else 0)
        while True:
            try:
                with connect(host, port, 3):
                    break
            except ConnectionRefusedError:
                why = "connection refused"
            except (OSError, Failure) as error:
                why, until = str(error), min(until, time.monotonic() + LOST_S)
            if time.monotonic() > until:
                log("FATAL", f"cannot reach {name}={host}:{port}: {why}")
                sys.exit(1)
            time.sleep(1)


def is_described(host: str, port: int) -> bool:
    """Whether the application has a Service with that port."""
    there = APPLICATION["workloads"].get(host.partition(".")[0], {"ports": []})
    return any(one["port"] == port for one in there["ports"])


def metrics(target: str, headers: Headers, peer: str) -> tuple[str, str]:
    """Answer a scrape."""
    if not target.startswith("/metrics"):
        return "404 Not Found", ""
    BROKER.observe()
    return "200 OK", METRICS.text()


def main() -> None:
    """Play the workload until the container is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if not ME:
        sys.exit(f"OTEL_SERVICE_NAME: found {NAME!r}; expected one of {', '.join(APPLICATION['workloads'])}")
    threading.stack_size(256 * 1024)
    await_dependencies()
    FLAGS.of()
    work: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(serve, (METRICS_PORT, metrics))]
    work += [(serve, (port["target"], handle)) for port in ME["ports"]]
    for number, (operation, described) in enumerate(ME["operations"].items()):
        if described["consumes"]:
            work.append((consume, (operation, described)))
        if described["per_second"]:
            work.append((generate, (operation, described, 0.37 * number)))
    for target, arguments in work:
        threading.Thread(target=target, args=arguments, daemon=True).start()
    log("INFO", ME["start_log"])
    while True:
        signal.pause()
