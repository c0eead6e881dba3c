"""What arms did to the modes that they target."""

from __future__ import annotations

from harness.report import build_results
from harness.report.targets import targets_of
from tests.report.factory import handmade, plan, record, spec


def test_guard_twin_and_placebo_target_the_same_modes() -> None:
    arms = {"baseline": [], "g": ["loop_guard"], "t": ["loop_guard_prompt"], "p": ["loop_guard_placebo"]}
    made = plan([spec()]).model_copy(update={"config": {"arms": arms}})

    assert [targets_of(made, arm) for arm in arms] == [[], *[["step_repetition"]] * 3]
    assert targets_of(made.model_copy(update={"config": {"arms": {"x": ["elsewhere:Guard"]}}}), "x") == []


def test_the_difference_counts_only_targeted_modes() -> None:
    specs = [spec(scenario=s, arm=arm) for s in (2, 3) for arm in ("baseline", "g")]
    made = plan(specs).model_copy(
        update={"config": {"arms": {"baseline": [], "g": ["loop_guard"]}}, "contrasts": (("g", "baseline"),)}
    )
    records = [
        record(
            one, modes={"step_repetition": "absent" if one.arm == "g" else "present", "derailment": "present"}
        )
        for one in specs
    ]

    (entry,) = build_results(made, records)["analyses"]["targeted_modes"]

    assert entry["modes"] == ["step_repetition"]
    assert (entry["estimate"], entry["scenarios"], entry["pairs"]) == (-1.0, 2, 2)


def test_the_handmade_experiment_has_one_entry_for_each_contrast_with_targets() -> None:
    found = build_results(*handmade())["analyses"]["targeted_modes"]

    assert {entry["arm"] for entry in found} <= {"verifier_gate", "verifier_gate_prompt", "placebo"}
