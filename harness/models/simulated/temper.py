"""Whether the model gives in to a failure at one opportunity.

Owns: the one rule that joins a propensity, contagion by visible slips, and written instructions that the
model has read. Does not own: what an opportunity is or how a failure looks (`failures`).
"""

from __future__ import annotations

from harness.models.simulated.config import SimulatedModelConfig
from harness.models.simulated.dice import draw
from harness.models.simulated.directives import (
    ASK,
    CITE,
    CONCLUDE,
    COVER_ALERTS,
    DO_AS_SAID,
    NAMING,
    NO_REPEAT,
    PUT_BACK,
    RECHECK,
    REMEMBER,
    STAY_ON_TASK,
    TEST_FIRST,
    TREAD_LIGHTLY,
    directives,
)
from harness.models.simulated.transcript import Transcript

ANTIDOTES: dict[str, tuple[str, ...]] = {
    "step_repetition": (NO_REPEAT,),
    "skip_evidence": (CITE, TEST_FIRST),
    "skip_recheck": (RECHECK,),
    "fake_verification": (CITE,),
    "stop_early": (TEST_FIRST,),
    "run_on": (CONCLUDE,),
    "run_on_persistence": (CONCLUDE,),
    "lose_history": (REMEMBER,),
    "act_against_reasoning": (DO_AS_SAID,),
    "contradict_answer": (DO_AS_SAID, TEST_FIRST),
    "derail": (STAY_ON_TASK,),
    "derail_persistence": (STAY_ON_TASK,),
    "conversation_reset": (REMEMBER,),
    "omit_alerts": (COVER_ALERTS,),
    "misname": (NAMING,),
    "guess": (ASK,),
    "assume_silently": (ASK,),
    "overlook_own_words": (REMEMBER,),
    "harmful_change": (TREAD_LIGHTLY,),
    "overlook_harm": (PUT_BACK,),
}
"""Which kinds of instruction speak against which propensity."""
_MOST_SLIPS = 6


class Temper:
    """One model's inclinations in one conversation."""

    def __init__(self, config: SimulatedModelConfig, seed: int, transcript: Transcript) -> None:
        self.config = config
        self.seed = seed
        self.turn = transcript.turn
        self.slips = 0
        """Visible slips so far; set once the transcript was read."""
        self._written = _written(transcript.instructions)
        self._answered = _written(transcript.feedback)

    def gives_in(self, failing: str, ordinal: int | str, turn: int | None = None) -> bool:
        """Whether it commits a failure at this opportunity; always the same for the same arguments."""
        propensity: float = getattr(self.config.propensities, failing)
        if propensity <= 0:
            return False
        if (
            failing != "lose_history"
        ):  # past lapses are worked out again later, when there are more slips to see
            healthy = (1 - self.config.contagion) ** min(self.slips, _MOST_SLIPS)
            propensity = 1 - (1 - propensity) * healthy
        if draw(self.seed, failing, ordinal) >= propensity:
            return False
        return not self._heeds(failing, ordinal, self.turn if turn is None else turn)

    def acts_on_feedback(self, refusals: int | str) -> bool:
        """Whether it does what the latest concrete refusal asks for."""
        return draw(self.seed, "act_on_feedback", refusals) < self.config.compliance_feedback

    def _heeds(self, failing: str, ordinal: int | str, turn: int) -> bool:
        told, answered = self._age(self._written, failing, turn), self._age(self._answered, failing, turn)
        if told is not None:
            heeded = self.config.compliance_prompt * self._faded(told)
            if draw(self.seed, f"heed:{failing}", ordinal) < heeded:
                return True
        if answered is None:
            return False
        heeded = self.config.compliance_feedback * self._faded(answered)
        return draw(self.seed, f"feedback:{failing}", turn - answered) < heeded

    def _faded(self, age: int) -> float:
        remaining: float = 0.5 ** (age / self.config.compliance_halflife_turns)
        return remaining

    @staticmethod
    def _age(written: dict[str, int], failing: str, turn: int) -> int | None:
        """Turns since the newest words against a failure; None where there are none yet."""
        turns = [written[kind] for kind in ANTIDOTES[failing] if written.get(kind, turn + 1) <= turn]
        return turn - max(turns) if turns else None


def _written(instructions: list[tuple[int, str]]) -> dict[str, int]:
    """Kind of instruction -> the last turn before which it was written."""
    return {kind: turn for turn, text in instructions for kind in directives(text)}
