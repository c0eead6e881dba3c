"""Measures a snapshot: export, index, two processes at once, every tool.

    python benchmarks/snapshot.py [--directory DIR] [--minutes 40] [--scale 9] [--calls 5]

Writes a recording of scenario 16 (370 MB with the defaults) unless DIR holds one already, and prints one JSON object.
The bars: index below 60 s, each tool below 200 ms at the median, memory below 1 GB per worker, one build for two
processes that start together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import shutil
import statistics
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments import environment_factory, select_scenarios
from harness.environments.snapshot import cache
from harness.environments.snapshot.recording import export
from harness.tools.toolbox import Toolbox
from scenarios.loader import catalogue

SCENARIO = 16
DEPLOYMENT = "otel-demo/Deployment/checkout"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("alert_summary", {}),
    ("alert_analysis", {"group_by": ["alertname", "state"]}),
    ("event_analysis", {}),
    ("log_analysis", {}),
    ("log_analysis", {"service_name": "checkout", "body_contains": "connection refused"}),
    ("log_analysis", {"body_contains": "text that nobody logged"}),
    ("metric_analysis", {"k8_object_name": DEPLOYMENT}),
    ("metric_analysis", {"object_pattern": "*", "metric_names": ["request_rate"]}),
    ("get_metric_anomalies", {"k8_object_name": DEPLOYMENT}),
    ("get_trace_error_tree", {}),
    ("get_trace_error_tree", {"delta_time": "30m"}),
    ("topology_analysis", {"entity": "checkout"}),
    ("k8s_spec_change_analysis", {}),
    ("get_k8_spec", {"k8_object_name": DEPLOYMENT}),
    ("get_context_contract", {"k8_object": DEPLOYMENT, "page": 0}),
    ("kubectl_get", {"kind": "Pod", "namespace": "otel-demo"}),
    ("kubectl_describe", {"kind": "Deployment", "name": "shipping", "namespace": "otel-demo"}),
    ("kubectl_rollout_history", {"name": "shipping", "namespace": "otel-demo"}),
]


def main() -> None:
    """Run everything and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--minutes", type=int, default=40)
    parser.add_argument("--scale", type=float, default=9)
    parser.add_argument("--calls", type=int, default=5)
    asked = parser.parse_args()
    root = asked.directory or Path(tempfile.mkdtemp(prefix="snapshot-benchmark-"))
    figures: dict[str, Any] = {}
    if not (root / f"Scenario-{SCENARIO}").exists():
        began = time.perf_counter()
        export(catalogue().get(SCENARIO), root, asked.minutes, asked.scale)
        figures["export_s"] = round(time.perf_counter() - began, 1)
    files = [path for path in root.rglob("*") if path.is_file()]
    figures["source_mb"] = round(sum(path.stat().st_size for path in files) / 1e6, 1)
    indexes = Path(tempfile.mkdtemp(prefix="snapshot-indexes-"))
    try:
        figures |= two_at_once(root, indexes)
        figures["index_mb"] = round(sum(p.stat().st_size for p in indexes.glob("*/*.sqlite")) / 1e6, 1)
        figures |= in_new_process(tools, root, indexes, asked.calls)
    finally:
        shutil.rmtree(indexes)
        if asked.directory is None:
            shutil.rmtree(root)
    print(json.dumps(figures, indent=1))


def two_at_once(root: Path, indexes: Path) -> dict[str, Any]:
    """Two trials in two processes that open the same snapshot at the same moment."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    workers = [context.Process(target=opening, args=(root, indexes, barrier, answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    return {
        "builds_by_two_processes": sum(each["built"] for each in found),
        "index_s": max(each["seconds"] for each in found),
        "index_peak_mb": max(each["peak_mb"] for each in found),
    }


def opening(root: Path, indexes: Path, barrier: Barrier, answers: Any) -> None:
    """Start a trial's environment; report whether this process built the index."""
    built = []
    build = cache.build
    cache.build = lambda *args: (built.append(1), build(*args))[1]  # type: ignore[func-returns-value]
    config = configured(root, indexes)
    (scenario,) = select_scenarios(config, SCENARIO)
    environment = environment_factory(config, VerdictConfig())()
    barrier.wait()
    began = time.perf_counter()
    asyncio.run(environment.start(scenario, seed=1))
    seconds = round(time.perf_counter() - began, 1)
    answers.put({"built": len(built), "seconds": seconds, "peak_mb": peak_mb()})


def tools(root: Path, indexes: Path, repeats: int, answers: Any) -> None:
    """Milliseconds of each tool call on the finished index, and the memory of this process."""
    config = configured(root, indexes)
    (scenario,) = select_scenarios(config, SCENARIO)
    environment = environment_factory(config, VerdictConfig())()
    briefing = asyncio.run(environment.start(scenario, seed=1))
    toolbox = Toolbox(environment.cluster, environment.telemetry, briefing.namespaces, allow_actions=False)
    medians, first = {}, {}
    for name, arguments in CALLS:
        taken = []
        for _ in range(repeats):
            began = time.perf_counter()
            outcome = toolbox.call(name, arguments)
            taken.append(1000 * (time.perf_counter() - began))
            if not outcome.ok:
                raise RuntimeError(f"{name}: {outcome.text}")
        label = f"{name} {json.dumps(arguments)}"
        medians[label], first[label] = round(statistics.median(taken), 1), round(taken[0], 1)
    answers.put(
        {
            "worst_tool_median_ms": max(medians.values()),
            "worst_first_call_ms": max(first.values()),
            "tool_median_ms": medians,
            "worker_peak_mb": peak_mb(),
        }
    )


def in_new_process(work: Any, *args: Any) -> dict[str, Any]:
    """Run `work` where nothing is cached yet."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=work, args=(*args, answers))
    process.start()
    found: dict[str, Any] = answers.get()
    process.join()
    return found


def configured(root: Path, indexes: Path) -> EnvironmentConfig:
    """A snapshot environment over the recording."""
    return EnvironmentConfig(kind="snapshot", root=str(root), cache_dir=str(indexes))


def peak_mb() -> float:
    """Highest resident memory of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


if __name__ == "__main__":
    main()
