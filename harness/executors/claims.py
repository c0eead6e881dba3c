"""What one trial occupies, and how many trials fit beside each other.

Owns: summing what environment and agents claim, and dividing what a machine or a node offers by it. Does not own:
the claims themselves (`environment_claims`, an agent's `claims()`), or placement (`ray.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor

from harness.config import ExperimentConfig
from harness.environments import environment_claims
from harness.errors import ConfigurationError, Problem
from harness.protocols import DOCKER_SLOT
from harness.runner import create_agents

Amounts = Mapping[str, float]
UNNAMED_SLOTS = 16.0
"""Docker slots of this machine where the configuration says nothing."""


def claims_of(config: ExperimentConfig) -> dict[str, float]:
    """What any trial of the experiment occupies: what its environment, sandbox and greediest agent claim."""
    total = dict(environment_claims(config.environment))
    if config.sandbox.kind == "docker":
        total[DOCKER_SLOT] = total.get(DOCKER_SLOT, 0) + 1
    agents = [agent.claims() for agent in create_agents(config).values() if hasattr(agent, "claims")]
    for name in {name for claims in agents for name in claims}:
        total[name] = total.get(name, 0) + max(claims.get(name, 0) for claims in agents)
    return total


def offers_of(config: ExperimentConfig) -> dict[str, float]:
    """What this machine offers of what trials claim: as configured; else `UNNAMED_SLOTS` containers, and once of
    everything else."""
    unnamed = {name: UNNAMED_SLOTS if name == DOCKER_SLOT else 1.0 for name in claims_of(config)}
    return unnamed | config.executor.resources


def fitting(claims: Amounts, offers: Amounts) -> float:
    """How many trials fit at a time; infinite where they claim nothing."""
    return min(
        (floor(offers.get(name, 0) / amount + 1e-9) for name, amount in claims.items()), default=float("inf")
    )


def together(claims: Amounts, lanes: int) -> dict[str, float]:
    """What so many trials claim, in amounts that Ray takes: multiples of 1/10000, and whole numbers above 1."""
    amounts = {name: round(amount * lanes, 4) for name, amount in claims.items()}
    return {name: float(ceil(amount)) if amount > 1 else amount for name, amount in amounts.items()}


def local_lanes(config: ExperimentConfig) -> int:
    """Trials at a time in this process. Raises ConfigurationError when not even one fits."""
    claims, offers = claims_of(config), offers_of(config)
    fit = fitting(claims, offers)
    if fit < 1:
        scarce = [f"{name}: {claims[name]:g} of {offers[name]:g}" for name in claims]
        raise ConfigurationError(
            Problem("executor.resources", f"one trial claims {', '.join(scarce)}", "offer at least that much")
        )
    return int(min(fit, config.executor.in_flight))
