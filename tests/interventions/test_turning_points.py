"""Every guard has a trial that it saves, and one that it burdens or loses; both are played through the real loop."""

from __future__ import annotations

import asyncio

import pytest
from desk import ALERTS, CHANGES, NS, REPAIR, SHIPPING, TEST, WAIT, Played, Turn, guard, play, submit
from turning_points import Point, outcome, points
from turning_points import play as play_pair

from harness.report.cases import cases
from interventions.registry import GUARDS

POINTS = points()


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.guard}-{point.turn}")
def test_the_recorded_point_still_turns(point: Point) -> None:
    pair = play_pair(point.guard, point.model, point.scenario, point.seed)
    without, guarded = pair.without.record, pair.guarded.record

    assert pair.turn(point.guard) == point.turn, (
        f"without: {outcome(without)}; guarded: {outcome(guarded)}; find the points anew: turning_points.py"
    )
    (case,) = cases([without, guarded], "baseline", {point.guard: [point.guard]})
    shown = {"better": "helped", "worse": "harmed", "needless": "needless"}
    assert case.kind == shown[point.turn], "the report shows the pair under Guards at work"


def test_every_guard_has_one_of_each() -> None:
    better = {point.guard for point in POINTS if point.turn == "better"}
    recorded = {point.guard for point in POINTS if point.turn != "better"}

    assert better == set(GUARDS)
    assert recorded | HANDMADE == set(GUARDS), "a cost, of a simulated model or of a hand-made session below"


# --- wrong firings on hand-made sessions: the agent is right, and the guard is in its way -----------------------

HANDMADE = {"verifier_gate", "iteration_cap", "no_regression", "clarification_branch", "action_validation"}
RIGHT = submit(evidence="[c2]", resolved=True, resolution="[c5]")


def remediated(played: Played) -> bool:
    return asyncio.run(played.session.environment.verdict()).all_clear


def test_the_gate_refuses_a_true_answer_whose_suspicion_came_with_the_repair() -> None:
    repair: Turn = (f"Hypothesis: {SHIPPING}. I put it back.", REPAIR[1], REPAIR[2])
    tested = submit(evidence="[c7]", resolved=True, resolution="[c5]")
    turns = [ALERTS, CHANGES, repair, WAIT, ALERTS, RIGHT, TEST, tested]
    alone, held = play(turns), play(turns, guard("verifier_gate"))

    assert "no cited call tests the suspicion" in held.fired[0].feedback
    assert remediated(alone)
    assert remediated(held)
    assert (len(alone.model.requests), len(held.model.requests)) == (6, 8), "two turns that changed nothing"


def test_the_cap_cuts_off_a_repair_that_was_about_to_be_made() -> None:
    turns = [ALERTS, CHANGES, TEST, REPAIR, WAIT, ALERTS, submit(resolved=True, resolution="[c6]")]
    alone, held = play(turns), play(turns, guard("iteration_cap", max_turns=3, grace=1))

    assert remediated(alone)
    assert [one.ruling for one in held.fired] == ["deny", "conclude"]
    assert not remediated(held)


FLAG: Turn = ("", "set_feature_flag", {"namespace": NS, "flag": "cartFailure", "variant": "off"})


def restart(name: str) -> Turn:
    return ("", "rollout_restart", {"name": name, "namespace": NS})


def test_the_limit_of_unchecked_changes_holds_up_the_last_step_of_a_repair() -> None:
    steps = [FLAG, *map(restart, ("flagd", "frontend", "checkout", "frontend-proxy", "cart"))]
    turns = [ALERTS, *steps, WAIT, ALERTS, submit(entity=f"{NS}/ConfigMap/flagd-config", evidence="[c1]")]
    alone, held = play(turns, scenario=2), play(turns, guard("no_regression"), scenario=2)

    assert [(one.call_id, one.ruling) for one in held.fired] == [("c7", "deny")]
    assert "changes were not checked" in held.fired[0].feedback
    assert remediated(alone)
    assert not remediated(held)


def test_the_branch_asks_for_a_probe_where_the_recorded_change_left_no_doubt() -> None:
    answer = submit(evidence="[c2]", resolved=True, resolution="[c5]")
    alone = play([ALERTS, CHANGES, REPAIR, WAIT, ALERTS, answer])
    held = play([ALERTS, CHANGES, REPAIR, TEST, REPAIR, WAIT, ALERTS, answer], guard("clarification_branch"))

    assert [one.call_id for one in held.fired] == ["c3"]
    assert remediated(alone)
    assert remediated(held)
    assert len(held.model.requests) == len(alone.model.requests) + 2


def test_action_validation_takes_a_tool_that_is_ruled_out_for_one_that_is_announced() -> None:
    events: Turn = (
        "For now there is no need to run kubectl_logs; I look at the events.",
        "event_analysis",
        {},
    )
    played = play([ALERTS, events], guard("action_validation"))

    assert "you announced kubectl_logs and called event_analysis" in played.fired[0].feedback
    assert not played.result("c2").executed
