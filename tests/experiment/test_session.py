"""What an agent can do through a session, and what ends it."""

from __future__ import annotations

import pytest

from harness.budget import BudgetConfig
from harness.protocols import ALLOW, GuardEvent, ObservedToolResult, Operator, ProposedToolCall, Ruling
from harness.records import Usage
from harness.trace import (
    AlertHistory,
    AlertsObserved,
    Ended,
    Final,
    GuardFired,
    ToolCall,
    ToolResult,
    UserMessage,
    of_type,
)
from tests.experiment.sessions import ALERTS, CHANGES, SHIPPING, UNDO, WAIT, play
from tests.scripted_model import ScriptedModel, answer


def test_a_competent_agent_is_scored_and_cleared() -> None:
    script = [[ALERTS], [CHANGES], [UNDO], [WAIT], [ALERTS], [answer((SHIPPING, "[c2]"), resolved=True)]]
    record, events = play(ScriptedModel(script))
    assert record.status == "scored"
    assert record.score is not None
    assert record.score.recall == 1
    assert record.score.mutation_recall == 1
    assert record.verdict is not None
    assert record.verdict.all_clear
    assert [event.how for event in of_type(events, Ended)] == ["submitted"]
    assert record.turns == 6
    assert record.usage.input_tokens == 600


def test_the_reader_of_a_report_sees_when_alerts_fired() -> None:
    script = [[ALERTS], [CHANGES], [UNDO], [WAIT], [ALERTS], [answer((SHIPPING, "[c2]"), resolved=True)]]
    _, events = play(ScriptedModel(script))
    (history,) = of_type(events, AlertHistory)
    first, *_, last = of_type(events, AlertsObserved)
    spans = {name: history.firing[name] for name in first.firing}
    assert spans
    assert all(any(begin <= 0 < end for begin, end in of_alert) for of_alert in spans.values())
    cleared = [history.firing[name][-1][1] for name in first.firing if name not in last.firing]
    assert cleared
    assert all(0 < end < history.end for end in cleared)


def test_calls_get_short_ids_that_the_agent_reads() -> None:
    model = ScriptedModel([[ALERTS, CHANGES], [answer((SHIPPING, "[c1]"))]])
    _, events = play(model)
    assert [call.call_id for call in of_type(events, ToolCall)] == ["c1", "c2", "c3"]
    told = [message for message in model.requests[1].messages if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in told] == ["c1", "c2"]
    assert told[1]["content"].startswith("[c2] {")


def test_an_answer_without_a_tool_call_is_nudged_and_then_given_up() -> None:
    record, events = play(ScriptedModel(["I think all is well."]))
    assert record.status == "failed"
    assert record.reason == "no_output"
    assert record.score is not None
    assert record.score.recall == 0
    assert sum("You called no tool" in message.text for message in of_type(events, UserMessage)) == 3


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (BudgetConfig(turns=3), "budget_turns"),
        (BudgetConfig(tokens=250), "budget_tokens"),
        (BudgetConfig(seconds=20), "budget_time"),
        (BudgetConfig(usd=0.05), "budget_cost"),
    ],
)
def test_every_budget_ends_the_trial_with_its_own_reason(limits: BudgetConfig, reason: str) -> None:
    usage = Usage(input_tokens=100, output_tokens=10, cost_usd=0.03)
    record, _ = play(ScriptedModel([[ALERTS]], usage), budget=limits)
    assert record.reason == reason
    assert record.status == "failed"
    assert record.verdict is not None, "the outcome is decided although nothing was submitted"


def test_a_submission_that_breaks_the_contract_can_be_mended() -> None:
    script = [[("submit", {"entities": "shipping"})], [answer((SHIPPING, "[c1]"))]]
    record, events = play(ScriptedModel(script))
    assert record.status == "scored"
    refused = next(of_type(events, ToolResult))
    assert not refused.ok
    assert "entities" in refused.text


@pytest.mark.parametrize(
    ("arguments", "reason"), [("{not json", "invalid_json"), ('{"a": 1}', "schema_violation")]
)
def test_a_submission_that_is_never_mended_names_what_was_wrong(arguments: str, reason: str) -> None:
    script = [[("submit", arguments)], "That was it.", "Done.", "Done."]
    record, _ = play(ScriptedModel(script))
    assert record.reason == reason


def test_a_bad_call_is_a_readable_tool_error_and_the_trial_goes_on() -> None:
    bad = [("kubectl_gett", {}), ("kubectl_logs", "{"), ("wait", {"seconds": -1})]
    record, events = play(ScriptedModel([bad, [answer((SHIPPING, ""))]]))
    errors = [result.text for result in of_type(events, ToolResult) if not result.ok]
    assert "did you mean kubectl_get" in errors[0]
    assert "not JSON" in errors[1]
    assert "seconds" in errors[2]
    assert record.status == "scored"


def test_nothing_runs_after_the_submission() -> None:
    record, events = play(ScriptedModel([[answer((SHIPPING, "")), UNDO]]))
    assert [call.name for call in of_type(events, ToolCall)] == ["submit"]
    assert record.verdict is not None
    assert not record.verdict.cause_removed


class Scripted:
    """A guard that rules as a test wrote down."""

    name = "scripted"

    def __init__(self, rulings: dict[str, Ruling], on: type[GuardEvent] = ProposedToolCall) -> None:
        self._rulings, self._on = rulings, on

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        return self._rulings.get(event.name, ALLOW) if isinstance(event, self._on) else ALLOW


def test_a_denied_call_is_visible_but_not_executed() -> None:
    guard = Scripted({"rollout_undo": Ruling("deny", "Not now.")})
    record, events = play(ScriptedModel([[UNDO], [answer((SHIPPING, ""))]]), lambda: [guard])
    denied = next(of_type(events, ToolResult))
    assert (denied.executed, denied.ok, denied.text) == (False, False, "[c1] Not now.")
    assert [fired.ruling for fired in of_type(events, GuardFired)] == ["deny"]
    assert record.denied_calls == 1
    assert record.guard_firings == {"scripted": 1}
    assert record.verdict is not None
    assert not record.verdict.cause_removed


def test_a_rewritten_result_is_what_the_agent_reads() -> None:
    guard = Scripted({"alert_summary": Ruling("rewrite", replacement="{}")}, ObservedToolResult)
    model = ScriptedModel([[ALERTS], [answer((SHIPPING, ""))]])
    play(model, lambda: [guard])
    assert model.requests[1].messages[-1]["content"] == "[c1] {}"


def test_a_guard_can_stop_the_agent() -> None:
    guard = Scripted({"rollout_undo": Ruling("stop", "too risky")})
    record, events = play(ScriptedModel([[UNDO]]), lambda: [guard])
    assert record.reason == "stopped_by_guard"
    assert not list(of_type(events, Final))


def test_a_guard_may_read_but_not_change() -> None:
    class Meddler:
        name = "meddler"

        async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
            if isinstance(event, ProposedToolCall):
                ok, text = await operator.read("kubectl_get", {"kind": "Pod", "namespace": "otel-demo"})
                assert ok
                assert "shipping" in text
                with pytest.raises(ValueError, match="may only read"):
                    await operator.read(*UNDO)
                return Ruling("deny", "seen")
            return ALLOW

    _, events = play(ScriptedModel([[ALERTS], [answer((SHIPPING, ""))]]), lambda: [Meddler()])
    assert [fired.reads for fired in of_type(events, GuardFired)] == [1]
