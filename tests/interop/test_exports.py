"""Exports of a real run to other systems' formats: what a format can carry is not lost on the way there and back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.interop import atif, otel
from harness.interop.imported import Imported
from harness.mast.classify import classify
from harness.records import TrialRecord
from harness.store import RunDirectory
from harness.trace import AssistantMessage, Event, SystemMessage, ToolCall, ToolResult, UserMessage


def harness(*args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *map(str, args)], capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A guarded team and a guarded single agent on one incident."""
    path = tmp_path_factory.mktemp("exports") / "run"
    harness("+experiment=smoke", "scenario=[16]", "agent=[react,team]", "executor=local", f"run_dir={path}")
    return RunDirectory(path)


def trials(run: RunDirectory) -> Iterator[tuple[TrialRecord, list[Event]]]:
    for record in run.records():
        yield record, run.trace(record)


def said(events: list[Event]) -> list[tuple[Any, ...]]:
    """What was said and done, without times."""
    kept: list[tuple[Any, ...]] = []
    for event in events:
        match event:
            case SystemMessage() | UserMessage() | AssistantMessage():
                reasoning = event.reasoning if isinstance(event, AssistantMessage) else ""
                kept.append((type(event).__name__, event.role, reasoning, event.text))
            case ToolCall():
                kept.append(("call", event.role, event.call_id, event.name, event.args))
            case ToolResult():
                kept.append(("result", event.role, event.call_id, event.ok, event.executed, event.text))
    return kept


def test_atif_is_read_back_as_the_trace_that_it_was_written_from(run: RunDirectory, tmp_path: Path) -> None:
    harness("export", run.path, "--to", tmp_path / "out", "--layout", "atif")
    read = {item.trace_id: item for path in (tmp_path / "out").rglob("*.json") for item in atif.read(path)}
    assert len(read) == len(run.records())
    for record, events in trials(run):
        item = read[record.spec.trial_id]
        assert isinstance(item, Imported)
        assert item.events == events


def test_atif_satisfies_the_published_schema(run: RunDirectory, tmp_path: Path) -> None:
    from nat.atif.trajectory import Trajectory

    harness("export", run.path, "--to", tmp_path / "out", "--layout", "atif", "--arm", "verifier_gate")
    files = list((tmp_path / "out").rglob("*.trajectory.json"))
    assert len(files) == 2
    for path in files:
        parsed = Trajectory.model_validate_json(path.read_bytes())
        assert parsed.schema_version == "ATIF-v1.7"
        assert parsed.final_metrics
        assert parsed.final_metrics.total_steps == len(parsed.steps)


def test_spans_carry_the_conversation_and_give_the_same_labels(run: RunDirectory, tmp_path: Path) -> None:
    harness("export", run.path, "--to", tmp_path / "out", "--layout", "otlp")
    items = list(otel.read(tmp_path / "out" / "traces.otlp.jsonl"))
    assert len(items) == len(run.records())
    for item, (_, events) in zip(items, trials(run), strict=True):
        assert isinstance(item, Imported)
        assert sorted(map(repr, said(item.events))) == sorted(map(repr, said(events)))
        order = [entry[2] for entry in said(item.events) if entry[0] == "call"]
        assert order == [entry[2] for entry in said(events) if entry[0] == "call"]


def test_step_repetition_is_found_in_spans_where_it_is_found_in_the_trace(
    run: RunDirectory, tmp_path: Path
) -> None:
    harness("export", run.path, "--to", tmp_path / "out", "--layout", "otlp")
    for item, (record, _) in zip(otel.read(tmp_path / "out" / "traces.otlp.jsonl"), trials(run), strict=True):
        assert isinstance(item, Imported)
        mine = {label.slug: label.present for label in record.labels}
        theirs = {label.slug: label.present for label in classify(item.events)}
        assert theirs["step_repetition"] == mine["step_repetition"]


class Collector(BaseHTTPRequestHandler):
    """An OTLP/HTTP collector that keeps what it gets."""

    received: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        self.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[ThreadingHTTPServer]:
    Collector.received = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_spans_reach_a_collector_over_http(run: RunDirectory, collector: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{collector.server_port}/v1/traces"
    done = harness("export", run.path, "--layout", "otlp", "--endpoint", url, "--arm", "baseline")
    assert done.stdout.strip() == f"2 trials sent to {url}"
    spans = [
        span
        for request in Collector.received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    roots = [span for span in spans if not span.parent_span_id]
    assert len(roots) == 2
    assert {span.name.split()[0] for span in spans} == {"invoke_agent", "chat", "execute_tool"}
    scope = Collector.received[0].resource_spans[0].scope_spans[0]
    assert scope.schema_url == "https://opentelemetry.io/schemas/1.41.0"
    evaluations = [event for event in roots[0].events if event.name == "gen_ai.evaluation.result"]
    names = {
        attribute.value.string_value
        for event in evaluations
        for attribute in event.attributes
        if attribute.key == "gen_ai.evaluation.name"
    }
    assert {"recall", "mast.step_repetition"} <= names


def test_a_collector_that_is_not_there_is_an_error_that_names_it(run: RunDirectory) -> None:
    url = "http://127.0.0.1:9/v1/traces"
    trial = run.records()[0].spec.trial_id
    done = harness("export", run.path, "--layout", "otlp", "--endpoint", url, "--trial", trial, check=False)
    assert done.returncode == 2
    assert url in done.stderr
    assert "Traceback" not in done.stderr


READ_LOG = """
import json, sys
from inspect_ai.log import read_eval_log
log = read_eval_log(sys.argv[1])
print(json.dumps({
    "status": log.status, "model": log.eval.model, "arm": log.eval.task_args["arm"],
    "samples": [[s.id, s.epoch, len(s.messages), sorted(s.scores)] for s in log.samples],
    "metrics": {s.name: s.metrics["mean"].value for s in log.results.scores},
    "calls": [c.function for s in log.samples for m in s.messages for c in (getattr(m, "tool_calls", None) or ())],
}))
"""


def test_inspect_opens_the_logs_and_shows_the_same_scores(run: RunDirectory, tmp_path: Path) -> None:
    harness("export", run.path, "--to", tmp_path / "out", "--layout", "inspect")
    logs = sorted((tmp_path / "out").rglob("*.eval"))
    assert len(logs) == 6
    for path in logs:
        done = subprocess.run(
            [sys.executable, "-c", READ_LOG, str(path)], capture_output=True, text=True, check=True
        )
        log = json.loads(done.stdout)
        record, events = next(
            (record, events)
            for record, events in trials(run)
            if record.spec.arm == log["arm"] and record.spec.agent == path.parts[-3]
        )
        assert log["status"] == "success"
        assert log["calls"] == [event.name for event in events if isinstance(event, ToolCall)]
        assert record.score
        assert log["metrics"]["recall"] == pytest.approx(record.score.recall)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--layout", "atif"], "--to: expected a directory"),
        (["--layout", "atif", "--to", "NEW", "--arm", "nobody"], "--arm: 'nobody' is not in this run"),
        (["--layout", "atif", "--endpoint", "http://127.0.0.1:1"], "goes with --layout otlp"),
        (["--to", "NEW", "--arm", "baseline"], "takes a whole run"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(
    run: RunDirectory, tmp_path: Path, args: list[str], says: str
) -> None:
    given = [str(tmp_path / "new") if arg == "NEW" else arg for arg in args]
    done = harness("export", run.path, *given, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "new").exists()
