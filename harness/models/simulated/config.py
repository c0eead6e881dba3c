"""Configuration of the simulated model: how able it is, and how it fails.

Owns: the parameters and their meaning. Does not own: their fitted values (`conf/model/sim_*.yaml`) or their
effect (`policy`, `failures`). All probabilities are per opportunity unless the field says otherwise; with
every propensity at 0 and every ability at 1 the model is the competent agent from which failures subtract.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """Base of the parts: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Competence(Part):
    """What the model can do when nothing goes wrong."""

    recognise: Probability = 1.0
    """Takes a cause that a tool result shows for what it is. Each further such result is a new chance."""
    doubt: Probability = 1.0
    """Gives up a blamed symptom, and goes on investigating, after reading that nothing was changed on it."""
    remedy: Probability = 1.0
    """Chooses an action that removes the recognised cause; otherwise it only restarts the workload."""


class Propensities(Part):
    """Probability of each failure at each opportunity for it."""

    step_repetition: Probability = 0.0
    """A turn: issues a call again that has already succeeded, although nothing was changed since."""
    skip_evidence: Probability = 0.0
    """A submission: claims without the reads that would support them, or cites nothing."""
    skip_recheck: Probability = 0.0
    """A submission after a change: does not read the alerts again."""
    fake_verification: Probability = 0.0
    """A submission: claims a check that does not exist, or says resolved although alerts still fire."""
    stop_early: Probability = 0.0
    """A turn of the investigation: submits before its hypothesis was tested."""
    run_on: Probability = 0.0
    """A trial, once its answer is stable: does not notice and keeps investigating."""
    run_on_persistence: Probability = 0.9
    """A turn of such a trial: still does not notice."""
    lose_history: Probability = 0.0
    """A turn: an earlier tool result is forgotten for the rest of the trial."""
    act_against_reasoning: Probability = 0.0
    """A turn: says that it will check one thing and calls another tool."""
    contradict_answer: Probability = 0.0
    """A submission: answers another cause than the one that it argued for."""
    derail: Probability = 0.0
    """A turn: leaves the incident for something unrelated."""
    derail_persistence: Probability = 0.6
    """A turn of such a detour: stays there."""
    conversation_reset: Probability = 0.0
    """A turn after the tenth call: starts again from the beginning, as if it were the first."""
    omit_alerts: Probability = 0.0
    """A submission: leaves alerts unexplained although the task asks for all of them."""
    misname: Probability = 0.0
    """A submission: entity names without their namespace."""
    guess: Probability = 0.0
    """A submission or action with an untested or ambiguous cause: assumes one silently instead of probing."""
    assume_silently: Probability = 0.0
    """A request that does not say what is meant: works on something without asking, although asking is offered."""
    overlook_own_words: Probability = 0.0
    """A hypothesis whose evidence went out of sight: does not take it up again from its own earlier words."""
    harmful_change: Probability = 0.0
    """An action: does harm first, on a wrong target: scales to zero, deletes, limits memory, restarts everything."""
    overlook_harm: Probability = 0.0
    """A change after which new alerts fire: does not see that they are new, and leaves its change in place."""


class SimulatedModelConfig(Part):
    """One profile of the simulated model."""

    competence: Competence = Competence()
    propensities: Propensities = Propensities()
    contagion: Probability = 0.0
    """For each visible slip in the transcript (repeated call, tool error, detour) the share of the remaining
    distance to certainty by which every propensity grows."""
    compliance_prompt: Probability = 0.7
    """A written standing instruction prevents the failure that it is about, on one opportunity, early on."""
    compliance_halflife_turns: float = Field(default=20.0, gt=0)
    """Turns after which the effect of a standing instruction has halved."""
    compliance_feedback: Probability = 0.8
    """A concrete refusal is acted upon: the missing reads are made before the next submission."""
    context_tokens: int = Field(default=100_000, ge=1_000)
    """Tokens that the model can read; the oldest tool results beyond it are not read."""
    latency_s: tuple[float, float] = (4.0, 12.0)
    """Least and greatest seconds for one answer."""
    usd_per_million_input: float = Field(default=0.0, ge=0)
    """Notional price, so that cost columns can be tried out."""
    usd_per_million_output: float = Field(default=0.0, ge=0)
    """Notional price, so that cost columns can be tried out."""

    @model_validator(mode="after")
    def _latency_is_a_range(self) -> SimulatedModelConfig:
        low, high = self.latency_s
        if not 0 <= low <= high:
            raise ValueError(f"latency_s: expected 0 <= least <= greatest, found [{low}, {high}]")
        return self
