"""Experiments as the command line composes them, for tests that run trials without a report."""

from __future__ import annotations

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from harness.config import ExperimentConfig, parse_config


def composed(*overrides: str) -> ExperimentConfig:
    """The configuration that these Hydra overrides give."""
    with initialize_config_module("conf", version_base="1.3"):
        container = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(container, dict)
    return parse_config({str(key): value for key, value in container.items()})
