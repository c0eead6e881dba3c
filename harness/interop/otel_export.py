"""Our traces as OpenTelemetry GenAI spans, to a collector (OTLP over HTTP) or to a file of OTLP JSON.

One trace per trial: a root span `invoke_agent`, and under it a `chat` span per request to the model and an
`execute_tool` span per tool call. MAST labels, scores and the verdict are `gen_ai.evaluation.result` events of the
root; guard firings, hand-overs and observed alerts are events of the root under `harness.*`. Ids follow from the plan
and the trial, so that sending a run twice gives the same spans.
Owns: the mapping to the conventions, pinned to SEMCONV. Does not own: which trials are sent (`exports.py`).
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from harness import __version__
from harness.interop.turns import Turn, turns_of
from harness.records import Plan, TrialRecord
from harness.trace import AssistantMessage, Event, ToolCall

SEMCONV = "1.41.0"
"""Release of the semantic conventions whose GenAI part is followed (status: development)."""
SCHEMA_URL = f"https://opentelemetry.io/schemas/{SEMCONV}"
SCOPE = InstrumentationScope("harness", __version__, SCHEMA_URL)
Json = dict[str, Any]


def spans(plan: Plan, record: TrialRecord, events: Sequence[Event], began: datetime) -> list[ReadableSpan]:
    """The spans of one trial, the root first. `began` is second 0 of the trace."""
    return list(_Spans(plan, record, began).of(turns_of(events)))


def otlp_json(given: Iterable[ReadableSpan]) -> Json:
    """Spans as one OTLP JSON export: like protobuf's JSON, but ids in hex, as OTLP wants them."""
    export: Json = MessageToDict(encode_spans(list(given)))
    for resource in export.get("resourceSpans", ()):
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[key] = _hex(span[key])
    return export


def _hex(base64: str) -> str:
    return b64decode(base64).hex()


def provider_of(plan: Plan, model: str) -> str:
    """Who answers for a model: the provider part of its LiteLLM name, or its kind."""
    fields = plan.config.get("models", {}).get(model, {})
    return str(fields.get("model") or fields.get("kind") or model).partition("/")[0]


class _Spans:
    """Builds the spans of one trial."""

    def __init__(self, plan: Plan, record: TrialRecord, began: datetime) -> None:
        self.record = record
        self.provider = provider_of(plan, record.spec.model)
        self.epoch = began.timestamp()
        self.seed = f"{plan.digest}/{record.spec.trial_id}"
        self.trace_id = int.from_bytes(hashlib.sha256(self.seed.encode()).digest()[:16], "big")
        self.resource = Resource({"service.name": "sre-intervention-harness", "service.version": __version__})
        self.root = self._context("root")

    def of(self, turns: Sequence[Turn]) -> Iterator[ReadableSpan]:
        """The root, then the spans of each turn."""
        yield self._root_span(turns)
        conversations: dict[str, list[Json]] = {}
        for turn in turns:
            spoken = conversations.setdefault(turn.role, [])
            if turn.source == "agent":
                yield from self._agent_turn(turn, spoken)
            else:
                spoken.append(message(turn.source, [text_part(turn.message.text if turn.message else "")]))

    def _agent_turn(self, turn: Turn, spoken: list[Json]) -> Iterator[ReadableSpan]:
        answer = message("assistant", list(_parts(turn)))
        if turn.model_call is not None:
            yield self._chat(turn, spoken, answer)
        spoken.append(answer)
        for call in turn.calls:
            yield self._tool(turn, call)
            result = turn.results.get(call.call_id)
            if result is not None:
                part = {"type": "tool_call_response", "id": call.call_id, "response": result.text}
                spoken.append(message("tool", [part]))

    def _root_span(self, turns: Sequence[Turn]) -> ReadableSpan:
        record, spec = self.record, self.record.spec
        first = [turn for turn in turns if turn.source != "agent"][:2]
        texts = {turn.source: turn.message.text for turn in first if turn.message}
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": self.provider,
            "gen_ai.agent.name": spec.agent,
            "gen_ai.request.model": spec.model,
            "gen_ai.conversation.id": spec.trial_id,
            "gen_ai.usage.input_tokens": record.usage.input_tokens,
            "gen_ai.usage.output_tokens": record.usage.output_tokens,
            "gen_ai.system_instructions": json.dumps([text_part(texts.get("system", ""))]),
            "gen_ai.input.messages": json.dumps([message("user", [text_part(texts.get("user", ""))])]),
            "harness.arm": spec.arm,
            "harness.scenario": spec.scenario,
            "harness.repeat": spec.repeat,
            "harness.status": record.status,
            "harness.reason": record.reason or "",
            "harness.simulated": record.simulated,
            "harness.cost_usd": record.usage.cost_usd,
        }
        if record.submission:
            final = message("assistant", [text_part(record.submission.model_dump_json())])
            attributes["gen_ai.output.messages"] = json.dumps([final])
        ends = [turn.at for turn in turns] + [result.t for turn in turns for result in turn.results.values()]
        end = max([*ends, record.agent_seconds], default=0.0)
        events = [*self._evaluations(end), *self._moments(turns)]
        failed = Status(StatusCode.ERROR, record.reason) if record.reason else Status(StatusCode.UNSET)
        name = f"invoke_agent {spec.agent}"
        return self._span(name, self.root, None, SpanKind.INTERNAL, (0.0, end), attributes, failed, events)

    def _evaluations(self, at: float) -> Iterator[SpanEvent]:
        record = self.record
        if record.score is not None:
            yield self._event("gen_ai.evaluation.result", at, evaluation("recall", value=record.score.recall))
        if record.verdict is not None:
            label = "remediated" if record.verdict.all_clear else "not remediated"
            yield self._event("gen_ai.evaluation.result", at, evaluation("verdict", label=label))
        for found in record.labels:
            attributes = evaluation(f"mast.{found.slug}", label=found.present, explanation=found.note)
            yield self._event("gen_ai.evaluation.result", at, attributes | {"harness.source": found.source})

    def _moments(self, turns: Sequence[Turn]) -> Iterator[SpanEvent]:
        for turn in turns:
            for event in turn.beside:
                body = msgspec.to_builtins(event)
                name = f"harness.{body.pop('type')}"
                yield self._event(name, event.t, {"harness.event": json.dumps(body, ensure_ascii=False)})

    def _chat(self, turn: Turn, spoken: Sequence[Json], answer: Json) -> ReadableSpan:
        call = turn.model_call
        assert call is not None
        system = [part for one in spoken if one["role"] == "system" for part in one["parts"]]
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": call.model,
            "gen_ai.agent.name": turn.role,
            "gen_ai.conversation.id": self.record.spec.trial_id,
            "gen_ai.response.finish_reasons": [call.finish],
            "gen_ai.usage.input_tokens": call.input_tokens,
            "gen_ai.usage.output_tokens": call.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
            "gen_ai.system_instructions": json.dumps(system),
            "gen_ai.input.messages": json.dumps([one for one in spoken if one["role"] != "system"]),
            "gen_ai.output.messages": json.dumps([answer | {"finish_reason": call.finish}]),
            "harness.cost_usd": call.cost_usd,
            "harness.retries": call.retries,
        }
        during = (max(0.0, call.t - call.latency_s), call.t)
        context = self._context(f"chat/{call.i}")
        return self._span(f"chat {call.model}", context, self.root, SpanKind.CLIENT, during, attributes)

    def _tool(self, turn: Turn, call: ToolCall) -> ReadableSpan:
        result = turn.results.get(call.call_id)
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.id": call.call_id,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": json.dumps(call.args, ensure_ascii=False),
            "gen_ai.agent.name": turn.role,
            "harness.tool.mutating": call.mutating,
        }
        status = Status(StatusCode.UNSET)
        if result is not None:
            attributes["gen_ai.tool.call.result"] = result.text
            attributes["harness.tool.executed"] = result.executed
            if not result.ok:
                attributes["error.type"] = "tool_error" if result.executed else "denied"
                status = Status(StatusCode.ERROR)
        during = (call.t, result.t if result else call.t)
        context = self._context(f"tool/{call.i}")
        return self._span(
            f"execute_tool {call.name}", context, self.root, SpanKind.INTERNAL, during, attributes, status
        )

    def _context(self, part: str) -> SpanContext:
        span_id = int.from_bytes(hashlib.sha256(f"{self.seed}/{part}".encode()).digest()[:8], "big")
        return SpanContext(
            self.trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )

    def _event(self, name: str, at: float, attributes: Json) -> SpanEvent:
        return SpanEvent(name, attributes, self._nanoseconds(at))

    def _nanoseconds(self, at: float) -> int:
        return int((self.epoch + at) * 1e6) * 1000

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        during: tuple[float, float],
        attributes: Json,
        status: Status | None = None,
        events: Sequence[SpanEvent] = (),
    ) -> ReadableSpan:
        start, end = (self._nanoseconds(at) for at in during)
        return ReadableSpan(
            name,
            context=context,
            parent=parent,
            resource=self.resource,
            attributes=attributes,
            events=events,
            kind=kind,
            status=status or Status(StatusCode.UNSET),
            start_time=start,
            end_time=end,
            instrumentation_scope=SCOPE,
        )


def message(role: str, parts: Sequence[Json]) -> Json:
    """A message as the conventions' JSON schemas have it."""
    return {"role": role, "parts": list(parts)}


def text_part(text: str) -> Json:
    """A part of a message that is plain text."""
    return {"type": "text", "content": text}


def evaluation(
    name: str, *, value: float | None = None, label: str | None = None, explanation: str = ""
) -> Json:
    """Attributes of a `gen_ai.evaluation.result` event."""
    given = {"score.value": value, "score.label": label, "explanation": explanation or None}
    found = {f"gen_ai.evaluation.{key}": one for key, one in given.items() if one is not None}
    return {"gen_ai.evaluation.name": name} | found


def _parts(turn: Turn) -> Iterator[Json]:
    said = turn.message
    if isinstance(said, AssistantMessage):
        if said.reasoning:
            yield {"type": "reasoning", "content": said.reasoning}
        if said.text:
            yield text_part(said.text)
    for call in turn.calls:
        yield {"type": "tool_call", "id": call.call_id, "name": call.name, "arguments": call.args}
