"""Each propensity plants the failure it is named after; text changes it only through being read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from written_incident import SYSTEM, TASK, TOOLS, Incident, play

from harness.models.simulated import SimulatedModel, SimulatedModelConfig
from harness.models.simulated.config import Competence, Propensities
from harness.protocols import ModelReply, ModelRequest


def failing(
    competence: Competence | None = None, compliance: float = 1.0, **propensities: float
) -> SimulatedModelConfig:
    """A profile with only these propensities."""
    return SimulatedModelConfig(
        competence=competence or Competence(),
        propensities=Propensities(**propensities),
        compliance_prompt=compliance,
        compliance_halflife_turns=1e9,
        compliance_feedback=compliance,
    )


BLIND = Competence(recognise=0.0, doubt=0.0)


@pytest.mark.parametrize(
    ("profile", "slug"),
    [
        (failing(step_repetition=0.5), "step_repetition"),
        (failing(skip_evidence=1.0), "no_or_incomplete_verification"),
        (failing(skip_recheck=1.0), "no_or_incomplete_verification"),
        (failing(fake_verification=1.0), "incorrect_verification"),
        (failing(stop_early=1.0), "premature_termination"),
        (failing(run_on=1.0), "unaware_termination"),
        (failing(lose_history=0.5), "step_repetition"),
        (failing(act_against_reasoning=0.5), "reasoning_action"),
        (failing(contradict_answer=1.0), "reasoning_action"),
        (failing(derail=0.5), "derailment"),
        (failing(conversation_reset=1.0), "conversation_reset"),
        (failing(omit_alerts=1.0), "disobey_task"),
        (failing(misname=1.0), "disobey_task"),
        (failing(guess=1.0, competence=BLIND), "no_clarification"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_plants_its_slug(profile: SimulatedModelConfig, slug: str) -> None:
    played = play(profile, system="You are on call.")
    assert slug in played.planted


def calls_of(replies: list[ModelReply]) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for reply in replies for call in reply.calls]


def test_repetition_is_an_identical_call_that_had_succeeded() -> None:
    played = play(failing(step_repetition=0.6))
    calls = calls_of(played.replies)
    turns = [f.turn for reply in played.replies for f in reply.planted if f.slug == "step_repetition"]
    assert turns
    assert all(calls[turn] in calls[:turn] for turn in turns)


def test_fake_verification_cites_a_call_that_does_not_exist() -> None:
    played = play(failing(fake_verification=1.0))
    assert played.submission is not None
    made = {f"[c{number + 1}]" for number in range(len(played.replies))}
    evidence = played.submission["entities"][0]["evidence"]
    assert not any(call_id in evidence for call_id in made)


def test_skipped_recheck_claims_success_without_reading_alerts_after_the_change() -> None:
    played = play(failing(skip_recheck=1.0))
    assert played.submission is not None
    assert played.submission["resolved"]
    assert played.incident.names.count("alert_summary") == 1


def test_stopping_early_blames_the_symptom() -> None:
    played = play(failing(stop_early=1.0))
    assert len(played.replies) <= 4
    assert played.blamed == ["shop/Deployment/frontend"]


def test_an_endless_search_ends_with_the_budget() -> None:
    played = play(failing(run_on=1.0, run_on_persistence=1.0), turns=30)
    assert played.submission is None
    assert played.planted.count("unaware_termination") > 10


def test_restart_begins_with_the_first_steps_again() -> None:
    played = play(failing(conversation_reset=1.0))
    texts, calls = [reply.text for reply in played.replies], calls_of(played.replies)
    (turn,) = [f.turn for reply in played.replies for f in reply.planted if f.slug == "conversation_reset"]
    assert texts[turn] == texts[0]
    assert calls[turn : turn + 3] == calls[:3]


def test_a_small_window_loses_the_beginning() -> None:
    profile = SimulatedModelConfig(context_tokens=1_000)
    incident = Incident()
    incident.row["note"] = "x" * 6_000
    try:
        played = play(profile, incident)
    finally:
        del incident.row["note"]
    assert "conversation_reset" in played.planted, "the opening words again, whatever the reason"


def test_slips_make_further_failures_more_likely() -> None:
    def total(contagion: float) -> int:
        profile = failing(step_repetition=0.2, derail=0.1, omit_alerts=0.2).model_copy(
            update={"contagion": contagion}
        )
        return sum(len(play(profile, seed=seed).planted) for seed in range(40))

    assert total(0.15) > 1.3 * total(0.0)


def test_planted_failures_are_out_of_band() -> None:
    played = play(failing(step_repetition=0.5, derail=0.2, omit_alerts=1.0))
    shown = json.dumps(played.messages)
    assert played.planted
    assert not any(slug in shown for slug in played.planted)


# --- text ---------------------------------------------------------------------------------------------------


def planted_share(slug: str, profile: SimulatedModelConfig, system: str) -> float:
    return sum(slug in play(profile, seed=seed, system=system).planted for seed in range(60)) / 60


def test_a_standing_instruction_lowers_the_failure_that_it_is_about() -> None:
    profile = failing(compliance=0.8, stop_early=0.4)
    told = f"{SYSTEM} Do not submit before every hypothesis has been tested against evidence."
    small_talk = (
        f"{SYSTEM} The weather in the data centre is fine and the coffee machine is on the second floor."
    )
    baseline = planted_share("premature_termination", profile, SYSTEM)
    assert planted_share("premature_termination", profile, told) < baseline - 0.3
    assert planted_share("premature_termination", profile, small_talk) == baseline


def test_an_instruction_leaves_the_dice_of_other_failures_alone() -> None:
    profile = failing(compliance=1.0, step_repetition=0.3, omit_alerts=0.5, fake_verification=0.5)
    told = f"{SYSTEM} Never repeat an identical tool call."
    for seed in range(20):
        others = [
            [slug for slug in play(profile, seed=seed, system=system).planted if slug != "step_repetition"]
            for system in (SYSTEM, told)
        ]
        assert others[0] == others[1]
        assert "step_repetition" not in play(profile, seed=seed, system=told).planted


def test_a_concrete_refusal_leads_to_the_missing_reads() -> None:
    refusal = "Rejected: shop/Deployment/frontend lacks a tool call that supports it."
    played = play(failing(stop_early=1.0), Incident(refusals=[refusal]))
    between = played.incident.names[played.incident.names.index("submit") + 1 :]
    assert between[0] == "k8s_spec_change_analysis"
    assert played.submission is not None


def test_after_doubt_a_refused_model_finds_the_cause() -> None:
    refusal = "Rejected: each claim needs to be backed by a tool call made after you first suspected it."
    profile = failing(stop_early=0.3)
    guarded = [play(profile, Incident(refusals=[refusal] * 3), seed=seed).blamed for seed in range(40)]
    unaided = [play(profile, seed=seed).blamed for seed in range(40)]
    cause = ["shop/ConfigMap/flagd-config"]
    assert guarded.count(cause) > unaided.count(cause)


def test_a_refused_answer_with_short_names_is_understood() -> None:
    refusal = "Rejected: each claim needs to be backed by a tool call."
    played = play(failing(stop_early=1.0, misname=1.0), Incident(refusals=[refusal] * 2), system="Work.")
    assert played.submission is not None


def test_a_refused_resolution_is_checked_again() -> None:
    refusal = "Resolved is not accepted: read the alerts once more after your last change."
    played = play(failing(skip_recheck=1.0), Incident(refusals=[refusal]))
    names = played.incident.names
    assert "alert_summary" in names[names.index("submit") :]


def test_without_compliance_the_same_answer_comes_again() -> None:
    refusal = "Rejected: shop/Deployment/frontend lacks a tool call that supports it."
    played = play(failing(stop_early=1.0, compliance=0.0), Incident(refusals=[refusal] * 2))
    answers = [args for name, args in played.incident.log if name == "submit"]
    assert played.incident.names[-3:] == ["submit", "submit", "submit"]
    assert answers[0] == answers[1] == answers[2]


def test_encouragement_without_content_changes_nothing_but_one_read() -> None:
    played = play(
        failing(stop_early=1.0), Incident(refusals=["Not yet. Please take another look at the incident."])
    )
    answers = [args for name, args in played.incident.log if name == "submit"]
    first = played.incident.names.index("submit")
    assert played.incident.names[first + 1 :] in (["submit"], ["kubectl_get", "submit"])
    assert answers[0] == answers[1]


def test_knows_nothing_but_the_request() -> None:
    """The reply is the same whatever the rest of the process holds."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": TASK},
    ]
    request = ModelRequest(messages, TOOLS, 5)
    model = SimulatedModel("a", failing(derail=0.5))
    first = model.reply(request)
    play(failing(derail=0.5), seed=9)
    assert model.reply(request) == first
    assert set(vars(model)) == {"name", "config"}
