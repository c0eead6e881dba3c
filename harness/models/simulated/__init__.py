"""The simulated model: a test double that works like an SRE agent and fails with known propensities."""

from harness.models.simulated.config import SimulatedModelConfig
from harness.models.simulated.model import SimulatedModel

__all__ = ["SimulatedModel", "SimulatedModelConfig"]
