"""The taxonomy file and the crosswalk between its numberings."""

from __future__ import annotations

from importlib.resources import files

import pytest

from harness.errors import ConfigurationError
from harness.mast.taxonomy import ATOMS, MODES, any_present, crosswalk, known_codes, load, published, taxonomy
from harness.records import Present

V0, V1, V2 = ATOMS


def text() -> str:
    return files("harness.mast").joinpath("taxonomy.yaml").read_text(encoding="utf-8")


def test_there_are_fourteen_modes_in_three_categories() -> None:
    assert len(MODES) == 14
    assert {mode.category for mode in taxonomy().modes.values()} == {
        "system_design",
        "misalignment",
        "verification",
    }
    assert [sum(m.category == c for m in taxonomy().modes.values()) for c in taxonomy().categories] == [
        5,
        6,
        3,
    ]


def test_verification_codes_mean_different_things_in_different_releases() -> None:
    assert crosswalk("paper_v3", "3.2").any_of == (V0, V1)
    assert crosswalk("paper_v3", "3.3").any_of == (V2,)
    assert crosswalk("definitions_txt", "3.2").any_of == (V1,)
    assert crosswalk("definitions_txt", "3.3").any_of == (V0, V2)
    assert crosswalk("agentdash", "3.2").any_of == (V0, V2)
    assert crosswalk("agentdash", "3.3").any_of == (V1,)
    assert crosswalk("adamast", "MAST-12").any_of == (V0, V1)
    assert crosswalk("adamast", "MAST-13").any_of == (V1,)
    assert crosswalk("adamast", "MAST-14").any_of == (V2,)


@pytest.mark.parametrize(
    ("release", "code", "slug"),
    [
        ("masft_v1", "1.6", "disobey_role"),
        ("masft_v1", "1.2", "unaware_termination"),
        ("masft_v1", "2.7", "reasoning_action"),
        ("iaa_2_3", "1.2", "reasoning_action"),
        ("iaa_2_3", "2.6", "withholding"),
        ("iaa_1", "1.4", "no_clarification"),
        ("iaa_1", "4.1", "premature_termination"),
        ("iaa_1", "2.6", "disobey_role"),
        ("adamast", "MAST-11", "premature_termination"),
        ("paper_v1", "2.6", "reasoning_action"),
    ],
)
def test_old_codes_find_their_mode(release: str, code: str, slug: str) -> None:
    assert crosswalk(release, code) == ((slug,), True, "")


def test_merged_unmapped_and_stray_codes_are_marked_as_inexact() -> None:
    assert crosswalk("masft_v1", "1.3")[:2] == (("step_repetition",), False)
    assert crosswalk("iaa_1", "4.3")[:2] == (ATOMS, False)
    assert crosswalk("agentdash", "1.6")[:2] == ((), False)


@pytest.mark.parametrize(
    ("release", "count"), [("paper_v3", 14), ("definitions_txt", 14), ("masft_v1", 15), ("adamast", 14)]
)
def test_a_release_knows_its_codes(release: str, count: int) -> None:
    assert len(known_codes(release)) == count
    for code in known_codes(release):
        assert set(crosswalk(release, code).any_of) <= {*MODES, *ATOMS}


def test_unknown_codes_and_releases_are_refused_with_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"paper_v3 has no known code '9.9'; known: 1\.1, 1\.2"):
        crosswalk("paper_v3", "9.9")
    with pytest.raises(ValueError, match="unknown release 'v9'; expected one of paper_v1"):
        crosswalk("v9", "1.1")
    with pytest.raises(ValueError, match="masft_v1"):
        published("masft_v1", {})


@pytest.mark.parametrize(
    ("atoms", "paper", "definitions", "agentdash"),
    [
        (
            ("present", "absent", "absent"),
            ("present", "absent"),
            ("absent", "present"),
            ("present", "absent"),
        ),
        (
            ("absent", "present", "absent"),
            ("present", "absent"),
            ("present", "absent"),
            ("absent", "present"),
        ),
        (
            ("absent", "absent", "present"),
            ("absent", "present"),
            ("absent", "present"),
            ("present", "absent"),
        ),
        (("absent", "absent", "absent"), ("absent", "absent"), ("absent", "absent"), ("absent", "absent")),
    ],
)
def test_published_codes_follow_from_the_atoms(
    atoms: tuple[Present, ...],
    paper: tuple[str, str],
    definitions: tuple[str, str],
    agentdash: tuple[str, str],
) -> None:
    found = dict(zip(ATOMS, atoms, strict=True))
    for release, expected in (
        ("paper_v3", paper),
        ("definitions_txt", definitions),
        ("agentdash", agentdash),
    ):
        codes = published(release, found)
        assert (codes["3.2"], codes["3.3"]) == expected


def test_an_unknown_atom_leaves_the_code_unknown_unless_another_decides() -> None:
    assert any_present(["absent", "cannot_tell"]) == "cannot_tell"
    assert any_present(["present", "cannot_tell"]) == "present"
    assert any_present(["not_applicable", "not_applicable"]) == "not_applicable"


def test_the_hash_follows_the_content() -> None:
    assert load(text(), "t").hash == taxonomy().hash
    assert load(text().replace("Conversation reset", "Conversation restart"), "t").hash != taxonomy().hash
    assert load("# a comment\n" + text(), "t").hash == taxonomy().hash


def test_extension_codes_stand_apart() -> None:
    assert len(taxonomy().extensions) == 5
    assert not set(taxonomy().extensions) & {*MODES, *ATOMS}


def test_a_broken_file_is_refused_with_every_problem() -> None:
    broken = (
        text()
        .replace("category: misalignment", "category: nonsense")
        .replace('iaa_1: {"2.1"', 'iaa_9: {"2.1"')
    )
    with pytest.raises(ConfigurationError) as caught:
        load(broken, "t.yaml")
    assert len(caught.value.problems) == 7
    assert "t.yaml: modes.conversation_reset.category: unknown category 'nonsense'" in str(caught.value)
    with pytest.raises(ConfigurationError, match="not a taxonomy"):
        load("[]", "t.yaml")
    with pytest.raises(ConfigurationError, match="Field required"):
        load(text().replace('    fix: "Checkpoint and resume."\n', ""), "t.yaml")
