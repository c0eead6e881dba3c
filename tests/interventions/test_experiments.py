"""Every declared experiment composes into a plan, and says what it asks, costs and detects."""

from __future__ import annotations

from importlib.resources import files

import hydra
import pytest
from omegaconf import OmegaConf

from harness.config import ExperimentConfig, parse_config
from harness.experiment import build_plan
from interventions.registry import GUARDS

FOLDER = files("conf") / "experiment"
NAMES = sorted(
    path.name.removesuffix(".yaml")
    for path in FOLDER.iterdir()
    if path.name.endswith(".yaml") and path.name != "itbench_lite.yaml"  # its plan needs recorded incidents
)


def composed(name: str) -> ExperimentConfig:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        raw = OmegaConf.to_container(hydra.compose("config", overrides=[f"+experiment={name}"]), resolve=True)
    assert isinstance(raw, dict)
    return parse_config({str(key): value for key, value in raw.items() if key != "hydra"})


@pytest.mark.parametrize("name", NAMES)
def test_it_composes_and_is_explained(name: str) -> None:
    header = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")

    assert build_plan(composed(name)).trials
    assert all(f"# {word}:" in header for word in ("Asks", "Costs", "Detects"))


@pytest.mark.parametrize("name", GUARDS)
def test_every_guard_meets_its_twin_its_placebo_and_the_baseline(name: str) -> None:
    config = composed(name)

    assert list(config.arms.values()) == [(), (name,), (f"{name}_prompt",), (f"{name}_placebo",)]
    assert (name, f"{name}_prompt") in config.contrasts
    assert (name, "placebo") in config.contrasts


def test_the_screening_design_crosses_guards_that_can_be_combined() -> None:
    config = composed("guard_screening")

    assert len(config.arms) == 16
    assert config.factorial is not None
    assert config.factorial.reached == 4
