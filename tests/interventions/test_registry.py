"""Twins carry their guards' content; unknown names, impossible arms and drifted twins are refused."""

from __future__ import annotations

import pytest

from harness.context import CHARS_PER_TOKEN
from harness.errors import ConfigurationError
from harness.mast.taxonomy import taxonomy
from harness.plugins import load_class
from interventions import registry
from interventions.registry import GUARDS, Item, compose, load, load_text, prompt_names, require_twin

HEADING_TOKENS = 25
"""What a twin may say beyond the items: its heading and bullets."""


@pytest.mark.parametrize("name", GUARDS)
def test_a_twin_carries_the_same_items_and_budget(name: str) -> None:
    guard = load_class("guard", name, GUARDS)
    twin = load_text(f"{name}_prompt")

    assert [(item.id, item.text) for item in twin.items] == list(guard.content.items())
    assert twin.targets == guard.targets
    extra = len(twin.render()) - sum(map(len, guard.content.values()))
    assert extra / CHARS_PER_TOKEN <= HEADING_TOKENS


@pytest.mark.parametrize("name", [*GUARDS, *prompt_names()])
def test_targets_are_modes_of_the_taxonomy(name: str) -> None:
    assert set(load(name).targets) <= set(taxonomy().modes)


def test_the_list_in_the_prompt_names_every_mode() -> None:
    assert [item.id for item in load_text("mast_list").items] == list(taxonomy().modes)


def test_a_drifted_twin_is_refused_item_by_item() -> None:
    twin = load_text("loop_guard_prompt")
    items = (*twin.items[1:], Item(id="more", text="Be quick."))

    with pytest.raises(ConfigurationError) as caught:
        require_twin(twin.model_copy(update={"items": items}))

    found = [problem.where for problem in caught.value.problems]
    assert found == [
        "interventions/prompt/loop_guard_prompt.yaml items.no_repeat",
        "interventions/prompt/loop_guard_prompt.yaml items.more",
    ]


def test_an_unknown_guard_is_refused_with_a_near_name() -> None:
    with pytest.raises(
        ConfigurationError, match=r"arms\.mine: unknown intervention 'loop_gard'.*mean loop_guard"
    ):
        compose("mine", ["loop_gard"], {})


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (["termination_fsm", "iteration_cap"], "both own the conclusion"),
        (["verifier_gate", "evidence_citation"], "both own the evidence"),
        (["verifier_gate", "verifier_gate_placebo"], "whose trigger it shadows"),
        (["loop_guard", "loop_guard"], "appears twice"),
    ],
)
def test_an_impossible_composition_is_refused(members: list[str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"arms\.mine: .*{says}"):
        compose("mine", members, {})


def test_guards_act_in_the_order_of_the_arm() -> None:
    members = ["verifier_gate", "loop_guard", "loop_guard_prompt", "context_ledger"]

    assert [one.name for one in compose("mine", members, {})] == members


def test_parameters_of_a_shadowed_guard_are_checked() -> None:
    with pytest.raises(ConfigurationError, match=r"interventions\.loop_guard_placebo\.guard\.notice_at"):
        load("loop_guard_placebo", {"guard": {"notice_at": 0}})
    with pytest.raises(ConfigurationError, match="did you mean loop_guard"):
        load("placebo", {"shadows": "loop_gard"})


def test_the_hash_moves_with_parameters() -> None:
    assert load("loop_guard").digest != load("loop_guard", {"notice_at": 3}).digest
    assert registry.load("loop_guard").digest == load("loop_guard", {}).digest


@pytest.mark.parametrize("name", GUARDS)
def test_what_an_agent_may_read_never_names_an_intervention(name: str) -> None:
    text = load_text(f"{name}_prompt").render().lower()

    assert not [other for other in (*GUARDS, *prompt_names(), "guard", "placebo") if other in text]
