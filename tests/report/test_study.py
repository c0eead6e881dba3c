"""The published study: its counts as printed, and which associations survive correction."""

from __future__ import annotations

import pytest

from harness.errors import ConfigurationError
from harness.mast.taxonomy import MODES, taxonomy
from harness.report.study import Study, analyse, render


@pytest.fixture(scope="module")
def study() -> Study:
    return analyse("itbench-mast-2026")


def test_the_counts_stand_as_published(study: Study) -> None:
    text = render(study)
    assert "| 1.1 disobey_task | 12 (27) | 3 (21) | 38 (50) | 4 (29) | 55 (70) | 5 (50) |" in text
    assert "| 1.5 unaware_termination | 7 (16) | 0 | 33 (43) | 0 | 39 (49) | 1 (10) |" in text
    assert "| 3.3 incorrect_verification | 29 (66) | 2 (14) | 63 (83) | 6 (43) | 74 (94) | 5 (50) |" in text
    assert "| 2.5 ignored_input | 0 | 0 | 0 | 0 | 0 | 0 |" in text
    assert sum(sum(cells) for cells in study.rows[0].strata.values()) == 237


def test_modes_per_trace_of_the_reconstruction(study: Study) -> None:
    def per_trace(model: str, success: bool) -> float:
        cells = [row.strata[model] for row in study.rows]
        size = cells[0][1] + cells[0][3] if success else cells[0][0] + cells[0][2]
        return round(sum(cell[success] for cell in cells) / size, 2)

    assert [per_trace(m, False) for m in study.rows[0].strata] == [2.59, 4.66, 5.33]
    assert [per_trace(m, True) for m in study.rows[0].strata] == [1.36, 2.71, 3.2]


@pytest.mark.parametrize(
    ("slug", "ratio", "p_holm"),
    [
        ("incorrect_verification", 8.6, 0.0),
        ("premature_termination", 8.0, 0.0003),
        ("unaware_termination", 9.2, 0.0007),
        ("reasoning_action", 4.0, 0.036),
        ("disobey_task", 1.9, 0.78),
        ("history_loss", 2.3, 1.0),
        ("derailment", 1.1, 1.0),
        ("no_clarification", 1.3, 1.0),
        ("step_repetition", 0.96, 1.0),
    ],
)
def test_associations_with_failure(study: Study, slug: str, ratio: float, p_holm: float) -> None:
    row = next(row for row in study.rows if row.slug == slug)
    assert row.pooled is not None
    assert row.pooled.odds_ratio == pytest.approx(ratio, abs=0.06)
    assert row.p_holm == pytest.approx(p_holm, abs=0.005 if p_holm > 0.01 else 0.00005)


def test_success_with_and_without_a_mode(study: Study) -> None:
    row = next(row for row in study.rows if row.slug == "incorrect_verification")
    assert (round(row.success_with or 0, 2), round(row.success_without or 0, 2)) == (0.07, 0.43)
    assert row.pooled is not None
    assert row.pooled.p_value < 1e-5


def test_what_survives_within_a_model(study: Study) -> None:
    assert len(study.within) == 32
    assert {(test.slug, test.model) for test in study.within if test.p_holm < 0.05} == {
        ("premature_termination", "kimi_k2"),
        ("incorrect_verification", "gpt_oss_120b"),
        ("incorrect_verification", "gemini_3_flash"),
        ("unaware_termination", "kimi_k2"),
    }


def test_the_page_names_what_survives_and_the_caveats(study: Study) -> None:
    text = render(study)
    survive = (
        "3.3 incorrect_verification, 3.1 premature_termination, 1.5 unaware_termination, 2.6 reasoning_action"
    )
    assert f"Survive Holm at 0.05: {survive}." in text
    assert "never marked" in text
    assert text.count("\n- ") == len(study.caveats)


def test_slugs_and_codes_agree_with_the_taxonomy(study: Study) -> None:
    assert [row.slug for row in study.rows] == list(MODES)
    assert [row.code for row in study.rows] == [taxonomy().modes[slug].codes["paper_v3"] for slug in MODES]


def test_an_unknown_study_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="itbench-mast-2026"):
        analyse("nothing")
