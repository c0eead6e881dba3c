"""The judge against a real server: correct labels or missing ones, and nothing counted that was not said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import judge_behaviours
import msgspec
import pytest
from judge_behaviours import MARK, record
from trace_builder import Builder, clean, investigated, remediated

from harness.agents.prompts import system_prompt
from harness.errors import ConfigurationError
from harness.mast.ensemble import Classified, classify_with, demote, undecided
from harness.mast.judge import Judge, JudgeConfig, Judgement
from harness.mast.judge.questions import FAMILIES
from harness.mast.judge.script import script, windows
from harness.mast.taxonomy import EXTENSIONS, MODES
from harness.models.litellm import LiteLLMConfig, LiteLLMModel
from harness.statistics.frames import combine_sources
from harness.trace import AlertsObserved, Ended, Event, GuardFired, ModelCall, SystemMessage
from tests.openai_server import OpenAIServer

assert judge_behaviours
WANTED = ("no_clarification", "derailment", "ignored_input", "incorrect_verification")


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def fields(server: OpenAIServer, behaviour: str) -> dict[str, Any]:
    return {"model": f"openai/{behaviour}", "api_base": server.api_base, "max_retries": 0, "timeout_s": 20.0}


def judge(server: OpenAIServer, behaviour: str, cache: Path | None = None, **config: Any) -> Judge:
    given = fields(server, behaviour) | ({"timeout_s": 0.3} if behaviour == "judge_times_out" else {})
    return Judge(LiteLLMModel("j", LiteLLMConfig(**given)), given, JudgeConfig(**config), cache=cache)


def marked() -> list[Event]:
    return (
        remediated().turn(f"{MARK}: I plot grafana.").call("kubectl_get", {"kind": "Pod"}, {}).submit().events
    )


def review(judged_by: Judge, events: list[Event], wanted: tuple[str, ...] = WANTED) -> Judgement:
    async def work() -> Judgement:
        try:
            return await judged_by.review(events, wanted, {"derailment": [3]})
        finally:
            await judged_by.close()

    return asyncio.run(work())


def said(found: Judgement) -> dict[str, str]:
    return {label.slug: label.present for label in found.labels}


GOOD = dict.fromkeys(WANTED, "absent") | {"derailment": "present"}


@pytest.mark.parametrize("behaviour", ["judge_well", "judge_in_text", "judge_echoes_names"])
def test_an_answer_is_read_in_every_form_that_says_it_fully(server: OpenAIServer, behaviour: str) -> None:
    found = review(judge(server, behaviour, samples=2), marked())
    assert (said(found), found.missing) == (GOOD, {})
    (positive,) = [label for label in found.labels if label.present == "present"]
    assert positive.spans[0].quote == MARK
    assert positive.source == "judge:j"


@pytest.mark.parametrize(
    "behaviour",
    ["judge_lists_lines", "judge_invents_quotes", "judge_broken_json", "judge_refuses", "empty", "garbage"],
)
def test_what_was_not_said_is_missing_and_never_no(server: OpenAIServer, behaviour: str) -> None:
    found = review(judge(server, behaviour, samples=2), marked())
    assert found.labels == ()
    assert set(found.missing) == set(WANTED)


def test_a_judge_that_times_out_leaves_all_answers_missing_with_the_reason(server: OpenAIServer) -> None:
    found = review(judge(server, "judge_times_out", samples=1), marked())
    assert found.labels == ()
    assert "api_error" in found.missing["derailment"]


def test_an_omitted_mode_is_missing_and_the_others_stand(server: OpenAIServer) -> None:
    found = review(judge(server, "judge_omits", samples=1), marked())
    assert said(found) == {
        "no_clarification": "absent",
        "ignored_input": "absent",
        "incorrect_verification": "absent",
    }
    assert found.missing == {"derailment": "derailment: not answered"}


def test_a_mode_answered_twice_differently_is_missing(server: OpenAIServer) -> None:
    found = review(judge(server, "judge_contradicts", samples=1), marked())
    assert (found.labels, set(found.missing)) == ((), set(WANTED))


def test_disagreement_is_settled_by_one_more_round_and_then_left_open(server: OpenAIServer) -> None:
    before = len(server.requests)
    settled = review(judge(server, "judge_wavers", samples=2), marked(), ("derailment",))
    assert said(settled) == {"derailment": "absent"}
    assert len(server.requests) - before == 4
    assert "one says cannot_tell: as it stands there" in record(server.requests[-1].body)
    open_ = review(judge(server, "judge_never_agrees", samples=2), marked(), ("derailment",))
    assert said(open_) == {"derailment": "cannot_tell"}


def test_too_many_positives_at_once_are_not_believed(server: OpenAIServer) -> None:
    everything = tuple(slug for slugs in FAMILIES.values() for slug in slugs)
    found = review(judge(server, "judge_sees_everything", samples=1), marked(), everything)
    assert found.labels == ()
    assert found.missing["derailment"] == f"{len(everything)} modes at once are not believed"


def test_a_wrong_key_ends_the_work(server: OpenAIServer) -> None:
    with pytest.raises(ConfigurationError):
        review(judge(server, "refuse", samples=1), marked())


def test_two_models_vote_together(server: OpenAIServer) -> None:
    good, open_ = fields(server, "judge_well"), fields(server, "judge_never_agrees")
    models = [LiteLLMModel(name, LiteLLMConfig(**f)) for name, f in (("a", good), ("b", open_))]
    both = Judge(models[0], good, JudgeConfig(samples=1), second=(models[1], open_))
    found = review(both, clean(), ("derailment",))
    assert found.labels[0].source == "judge:a+b"
    assert set(found.provenance) == {"prompt", "taxonomy", "config", "model.a", "model.b"}


def test_cost_is_counted_and_cached_answers_are_free_and_equal(server: OpenAIServer, tmp_path: Path) -> None:
    first = review(judge(server, "judge_well", tmp_path), marked())
    again = judge(server, "judge_well", tmp_path)
    second = review(again, marked())
    assert first.usage.calls == 9
    assert first.usage.input_tokens > 0
    assert (second.usage.calls, again.cached) == (0, 9)
    assert second.labels == first.labels


def test_a_long_trace_is_read_to_its_end_with_a_ledger(server: OpenAIServer) -> None:
    built = investigated()
    for number in range(40):
        built.turn().call("kubectl_logs", {"pod": f"p{number}"}, "x" * 900)
    events = built.turn(f"{MARK} at the very end").end("budget_turns").events
    before = len(server.requests)
    found = review(judge(server, "judge_well", samples=1, window_chars=9000), events, ("derailment",))
    shown = [record(request.body) for request in server.requests[before:]]
    assert said(found) == {"derailment": "present"}
    assert len(shown) > 3
    assert "seen so far: nothing else" in shown[-1]
    readable = [event.i for event in events if not isinstance(event, ModelCall)]
    assert all(any(f"[{i}] " in text for text in shown) for i in readable)


def test_a_finding_of_an_early_window_reaches_the_last_one(server: OpenAIServer) -> None:
    built = Builder().turn(f"{MARK} at the beginning")
    for number in range(40):
        built.turn().call("kubectl_logs", {"pod": f"p{number}"}, "x" * 900)
    review(judge(server, "judge_well", samples=1, window_chars=9000), built.events, ("derailment",))
    assert f"derailment: yes, [3] '{MARK}'" in record(server.requests[-1].body)


def test_windows_lose_nothing() -> None:
    built = Builder().turn("short").call("kubectl_logs", {}, "".join(f"<{n}>" for n in range(5000)))
    texts = windows(script(built.events), 4000)
    assert all(len(text) <= 4200 for text in texts)
    parts = re.findall(r"part \d+ of \d+: (.*)", "\n".join(texts))
    assert "".join(parts) == "[c1] " + "".join(f"<{n}>" for n in range(5000))


def test_the_judge_is_blind() -> None:
    events: list[Event] = [
        SystemMessage(i=0, text=system_prompt(["Always cite calls: the twin of the gate."])),
        *(msgspec.structs.replace(event, i=event.i + 1) for event in clean()[1:-1]),
    ]
    last = len(events)
    events += [
        GuardFired(
            i=last, guard="verifier_gate", ruling="deny", on="submission", feedback="verifier_gate says no"
        ),
        AlertsObserved(i=last + 1, firing=["SecretAlert"]),
        Ended(i=last + 2, how="stopped_by_guard", detail="verifier_gate: enough"),
    ]
    text = "\n".join(windows(script(events), 10**6))
    for secret in ("verifier_gate", "twin of the gate", "SecretAlert", "stopped_by_guard", "model_call"):
        assert secret not in text
    assert f"[{last + 2}] ended: stopped from outside" in text


def test_every_mode_has_one_family() -> None:
    asked = [slug for slugs in FAMILIES.values() for slug in slugs]
    assert sorted(asked) == sorted({*MODES, *EXTENSIONS})


# --- detectors and judge together -----------------------------------------------------------------------


def ensemble(judged_by: Judge | None, events: list[Event]) -> Classified:
    async def work() -> Classified:
        try:
            return await classify_with(events, judged_by)
        finally:
            if judged_by is not None:
                await judged_by.close()

    return asyncio.run(work())


def test_decisions_stand_and_proposals_go_to_the_judge(server: OpenAIServer) -> None:
    before = len(server.requests)
    found = ensemble(judge(server, "judge_well", samples=1), marked())
    asked = {slug for request in server.requests[before:] for slug in judge_behaviours.slugs(request.body)}
    assert asked == set(undecided(ensemble(None, marked()).labels))
    assert {"derailment", "withholding"} <= asked
    assert not asked & {"step_repetition", "disobey_role", "incorrect_verification"}
    assert combine_sources(found.labels)["derailment"] == 1


def test_without_a_judge_proposals_are_not_counted() -> None:
    counted = combine_sources(ensemble(None, marked()).labels)
    assert "derailment" not in counted
    assert counted["step_repetition"] == 0


def test_a_mode_that_failed_its_calibration_is_put_to_the_judge() -> None:
    labels = ensemble(None, clean()).labels
    assert "step_repetition" in undecided(demote(labels, {"step_repetition"}))
    assert "step_repetition" not in undecided(labels)
