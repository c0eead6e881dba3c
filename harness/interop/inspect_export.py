"""Our runs as Inspect logs, one `<model>/<arm>.eval` per system and arm, so that `inspect view` opens them.

A scenario is a sample, a repeat is an epoch; recall, remediation and the number of MAST modes are its scores, and
labels stand in its metadata. Needs the extra `inspect`.
Owns: the mapping to Inspect's log. Does not own: which trials are written where (`exports.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from inspect_ai._util.error import EvalError
from inspect_ai.event import Event as InspectEvent
from inspect_ai.event import InfoEvent, ModelEvent, ToolEvent
from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.scorer import Score
from inspect_ai.tool import ToolCall, ToolCallError

from harness import __version__
from harness.interop.turns import Turn, turns_of
from harness.records import Plan, TrialRecord
from harness.trace import AssistantMessage, Event

Traced = tuple[TrialRecord, Sequence[Event]]


def write_log(path: Path, plan: Plan, trials: Sequence[Traced], began: datetime) -> None:
    """Write the trials of one model, agent and arm as one log. `began` is second 0 of every trace."""
    spec = trials[0][0].spec
    samples = [_sample(record, events, began) for record, events in trials]
    epochs = 1 + max(record.spec.repeat for record, _ in trials)
    usage = _total(samples)
    log = EvalLog(
        status="success",
        eval=EvalSpec(
            created=began.isoformat(),
            task=plan.experiment,
            task_args={"arm": spec.arm, "agent": spec.agent},
            dataset=EvalDataset(name="itbench", samples=len({record.spec.scenario for record, _ in trials})),
            model=spec.model,
            config=EvalConfig(epochs=epochs),
            packages={"sre-intervention-harness": __version__},
            metadata={"question": plan.question, "plan": plan.digest, "simulated": trials[0][0].simulated},
        ),
        results=_results(samples),
        stats=EvalStats(
            started_at=began.isoformat(), completed_at=began.isoformat(), model_usage={spec.model: usage}
        ),
        samples=samples,
    )
    write_eval_log(log, str(path), format="eval")


def _sample(record: TrialRecord, events: Sequence[Event], began: datetime) -> EvalSample:
    spec, turns = record.spec, turns_of(events)
    messages = [message for turn in turns for message in _messages(turn)]
    task = next((turn.message.text for turn in turns if turn.source == "user" and turn.message), "")
    last = [message for message in messages if isinstance(message, ChatMessageAssistant)][-1:]
    trouble = record.status == "excluded"
    return EvalSample(
        id=spec.scenario,
        epoch=spec.repeat + 1,
        input=task,
        target="",
        messages=messages,
        output=ModelOutput.from_message(last[0]) if last else ModelOutput(model=spec.model),
        scores=None if trouble else _scores(record),
        metadata={
            "trial_id": spec.trial_id,
            "status": record.status,
            "reason": record.reason,
            "labels": [label.model_dump(mode="json", exclude_defaults=True) for label in record.labels],
        },
        events=[event for turn in turns for event in _events(turn, spec.model, began)],
        model_usage={spec.model: _usage(record)},
        total_time=record.agent_seconds,
        error=EvalError(message=record.detail or str(record.reason), traceback="", traceback_ansi="")
        if trouble
        else None,
    )


def _messages(turn: Turn) -> Iterator[ChatMessage]:
    text = turn.message.text if turn.message else ""
    if turn.source == "system":
        yield ChatMessageSystem(content=text, metadata={"role": turn.role})
    elif turn.source == "user":
        yield ChatMessageUser(content=text, metadata={"role": turn.role})
    else:
        yield _answer(turn)
        for result in turn.results.values():
            error = None if result.ok else ToolCallError("unknown", result.text)
            yield ChatMessageTool(
                content=result.text, tool_call_id=result.call_id, function=result.name, error=error
            )


def _answer(turn: Turn) -> ChatMessageAssistant:
    said = turn.message if isinstance(turn.message, AssistantMessage) else AssistantMessage()
    thought = [ContentReasoning(reasoning=said.reasoning)] if said.reasoning else []
    calls = [ToolCall(id=call.call_id, function=call.name, arguments=call.args) for call in turn.calls]
    return ChatMessageAssistant(
        content=[*thought, ContentText(text=said.text)],
        tool_calls=calls or None,
        metadata={"role": turn.role},
    )


def _events(turn: Turn, model: str, began: datetime) -> Iterator[InspectEvent]:
    at = began + timedelta(seconds=turn.at)
    if turn.source == "agent":
        output = ModelOutput.from_message(_answer(turn))
        yield ModelEvent(
            timestamp=at,
            model=turn.model_call.model if turn.model_call else model,
            input=[],
            tools=[],
            tool_choice="auto",
            config=GenerateConfig(),
            output=output,
        )
    for call in turn.calls:
        result = turn.results.get(call.call_id)
        yield ToolEvent(
            timestamp=began + timedelta(seconds=call.t),
            id=call.call_id,
            function=call.name,
            arguments=call.args,
            result=result.text if result else "",
            error=ToolCallError("unknown", result.text) if result and not result.ok else None,
        )
    for event in turn.beside:
        body = msgspec.to_builtins(event)
        yield InfoEvent(timestamp=began + timedelta(seconds=event.t), source=body.pop("type"), data=body)


def _scores(record: TrialRecord) -> dict[str, Score]:
    present = sorted({label.slug for label in record.labels if label.present == "present"})
    scores = {"modes": Score(value=len(present), explanation=", ".join(present))}
    if record.score is not None:
        scores["recall"] = Score(value=record.score.recall, explanation=record.reason or "")
    if record.verdict is not None:
        why = [*record.verdict.remaining_alerts, *record.verdict.remaining_causes, *record.verdict.damage]
        scores["remediated"] = Score(value=int(record.verdict.all_clear), explanation="; ".join(why))
    elif record.can_act:
        scores["remediated"] = Score(value=0, explanation=record.reason or "")
    return scores


def _results(samples: Sequence[EvalSample]) -> EvalResults:
    """Means per score, over the samples that have it."""
    values: dict[str, list[float]] = {}
    for sample in samples:
        for name, score in (sample.scores or {}).items():
            values.setdefault(name, []).append(score.as_float())
    means = {name: sum(given) / len(given) for name, given in values.items()}
    scores = [
        EvalScore(name=name, scorer=name, metrics={"mean": EvalMetric(name="mean", value=mean)})
        for name, mean in means.items()
    ]
    return EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=scores)


def _usage(record: TrialRecord) -> ModelUsage:
    used = record.usage
    return ModelUsage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        total_tokens=used.input_tokens + used.output_tokens,
        input_tokens_cache_read=used.cached_tokens,
    )


def _total(samples: Sequence[EvalSample]) -> ModelUsage:
    parts: dict[str, Any] = dict.fromkeys(
        ("input_tokens", "output_tokens", "total_tokens", "input_tokens_cache_read"), 0
    )
    for sample in samples:
        for used in sample.model_usage.values():
            for name in parts:
                parts[name] += getattr(used, name) or 0
    return ModelUsage(**parts)
