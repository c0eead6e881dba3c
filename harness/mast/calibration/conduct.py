"""Edits in what an agent does on its way: design of the system, misalignment.

Each function is one edit; `edits.py` says what it makes true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from harness.mast.calibration.surgery import (
    Events,
    answered,
    factors,
    first_read,
    inserted,
    renumber,
    step,
    submit_at,
)
from harness.mast.view import SUBMIT, WAIT, Call, TraceView
from harness.trace import (
    AssistantMessage,
    ContextReduced,
    Ended,
    Event,
    ModelCall,
    SystemMessage,
    ToolCall,
    UserMessage,
)

# --- system design --------------------------------------------------------------------------------------


def alerts_left_out(events: Events) -> Events | None:
    """No alert is explained, though some fired."""
    view = TraceView.of(events)
    if not (view.diagnosis.get("alerts_explained")):
        return None
    return answered(events, lambda s: s["diagnosis"].update(alerts_explained=[]))


def names_without_namespace(events: Events) -> Events:
    """Entities lose their namespace."""

    def strip(submission: dict[str, Any]) -> None:
        for entity in submission["diagnosis"]["entities"]:
            entity["name"] = entity["name"].split("/", 1)[-1]

    return answered(events, strip)


def too_many_causes(events: Events) -> Events:
    """Six causes more than the task permits."""

    def more(submission: dict[str, Any]) -> None:
        first = factors(submission)[0]
        for number in range(6):
            submission["diagnosis"]["entities"].append({**first, "name": f"{first['name']}-{number}"})

    return answered(events, more)


def invented_tool(events: Events) -> Events:
    """A tool is called that does not exist."""
    new = step("c901", "get_pods", {"namespace": "a"}, "Error: unknown tool 'get_pods'", ok=False)
    return inserted(events, submit_at(events), new)


def broken_submission(events: Events) -> Events:
    """A submission that the contract refuses comes before the good one."""
    new = step("c901", SUBMIT, {"entities": "ad"}, "Error: submit: entities: expected a list", ok=False)
    return inserted(events, submit_at(events), new)


def gave_up(events: Events) -> Events:
    """The agent stops without an answer."""
    last = [ModelCall(model="m"), AssistantMessage(text="I stop.")]
    return renumber([*events[: submit_at(events)], *last, Ended(how="no_output")])


def role(events: Events, allowed: Callable[[Call], bool]) -> Events | None:
    """The agent has a role that may use only some tools."""
    view = TraceView.of(events)
    if not any(call.event.mutating for call in view.calls):
        return None
    tools = sorted({call.name for call in view.calls if allowed(call)} | {SUBMIT})
    return [
        msgspec.structs.replace(event, tools=tools) if isinstance(event, SystemMessage) else event
        for event in events
    ]


def repeated(events: Events) -> Events | None:
    """A finished read is made again."""
    call = first_read(events)
    if call is None or call.result is None:
        return None
    again = step("c901", call.name, dict(call.event.args), call.text, "Once more.")
    return inserted(events, submit_at(events), again)


def repeated_after_wait(events: Events) -> Events | None:
    """The same, after waiting: polling."""
    call = first_read(events)
    if call is None:
        return None
    new = [
        *step("c901", WAIT, {"seconds": 60}, '{"waited_s":60}'),
        *step("c902", call.name, dict(call.event.args), call.text),
    ]
    return inserted(events, submit_at(events), new)


def cut_then_again(events: Events) -> Events | None:
    """A result goes out of sight and is read again."""
    call = first_read(events)
    if call is None:
        return None
    again = step("c901", call.name, dict(call.event.args), call.text)
    return inserted(events, submit_at(events), [_out_of_sight(call), *again])


def cut(events: Events) -> Events | None:
    """A result goes out of sight, and nothing is lost."""
    call = first_read(events)
    return None if call is None else inserted(events, submit_at(events), [_out_of_sight(call)])


def _out_of_sight(call: Call) -> Event:
    return ContextReduced(call_ids=[call.event.call_id], by="window", tokens_before=9000, tokens_after=4000)


def out_of_budget(events: Events) -> Events:
    """The turns are used up before the answer."""
    return renumber([*events[: submit_at(events)], Ended(how="budget_turns")])


def silence(events: Events) -> Events:
    """Three turns without a call end the attempt."""
    silent = [e for _ in range(3) for e in (ModelCall(model="m"), AssistantMessage(text="Hm."))]
    return renumber([*events[: submit_at(events)], *silent, Ended(how="no_output")])


def ran_on(events: Events) -> Events | None:
    """Half as many calls again after the answer is complete."""
    view = TraceView.of(events)
    if not view.factors or not view.changes:
        return None
    more = max(6, len(view.calls) // 2)
    new = [
        event
        for number in range(more)
        for event in step(
            f"c{910 + number}", "get_k8_spec", {"k8_object_name": f"Service/s{number}"}, "{}", "And this?"
        )
    ]
    return inserted(events, submit_at(events), new)


# --- misalignment ---------------------------------------------------------------------------------------


def task_again(events: Events) -> Events | None:
    """The task is issued again."""
    task = next((event for event in events if isinstance(event, UserMessage)), None)
    return None if task is None else inserted(events, submit_at(events), [UserMessage(text=task.text)])


def opening_again(events: Events) -> Events | None:
    """The first words and calls again."""
    view = TraceView.of(events)
    opening = [call for call in view.calls[:3] if call.result is not None]
    if len(view.calls) < 6 or len(opening) < 3 or not view.said:
        return None
    new: Events = []
    for number, call in enumerate(opening):
        said = next((m.text for m in reversed(view.said) if m.i < call.i), "")
        new += step(f"c{910 + number}", call.name, dict(call.event.args), call.text, said)
    return inserted(events, submit_at(events), new)


def assumed(events: Events) -> Events:
    """The answer assumes a cause that nothing tested."""

    def assume(submission: dict[str, Any]) -> None:
        entity = factors(submission)[0]
        entity.update(name="otel-demo/Deployment/guessed-one", reasoning="Probably this one; I assume it.")

    return answered(events, assume)


def detour(events: Events) -> Events:
    """Three calls about things that have no part in the incident."""
    new = [
        event
        for number, name in enumerate(("wishlist-plotter", "wishlist-charts", "wishlist-themes"))
        for event in step(
            f"c{910 + number}", "get_metric_anomalies", {"k8_object_name": name}, '{"metrics":[]}'
        )
    ]
    return inserted(events, submit_at(events), new)


def unused_alarm(events: Events) -> Events:
    """An alarming fact is read and used nowhere."""
    text = '{"data":[{"name":"wishlist-6f9c8d7b5d-x2x4z","status":"OOMKilled"}]}'
    return inserted(events, submit_at(events), step("c901", "kubectl_get", {"kind": "Pod"}, text))


def refused(events: Events, same: bool) -> Events:
    """Two refused submissions before the accepted one, the second like the first or not."""
    place = max(i for i, event in enumerate(events) if isinstance(event, ToolCall) and event.name == SUBMIT)
    args = dict(events[place].args)  # type: ignore[attr-defined]
    refused = step("c901", SUBMIT, args, "Refused: cite calls that exist.", ok=False, executed=False)
    changed = args if same else {**args, "resolution_evidence": "I looked once more."}
    again = step("c902", SUBMIT, changed, "Refused: cite calls that exist.", ok=False, executed=False)
    return inserted(events, submit_at(events), [*refused, *again])


def announced(events: Events, other: bool) -> Events | None:
    """A tool is announced by name; another one is called, or that one."""
    call = first_read(events)
    if call is None:
        return None
    named = ("kubectl_logs" if call.name != "kubectl_logs" else "kubectl_describe") if other else call.name
    text = call.text if other else "{}"
    args = {"k8_object_name": "x"} if other else {**call.event.args, "cursor": 1}
    new = step("c901", call.name, args, text, f"Next I will call {named} for it.")
    return inserted(events, submit_at(events), new)


def another_cause(events: Events) -> Events | None:
    """The answer names another cause than the one that was argued for."""
    said = [event.text for event in events if isinstance(event, AssistantMessage)]
    if not any("Hypothesis: " in text for text in said):
        return None

    def swap(submission: dict[str, Any]) -> None:
        for entity in factors(submission):
            entity["name"] = "otel-demo/Deployment/guessed-one"

    return answered(events, swap)
