"""The judge: a model that settles what detectors only propose.

It reads numbered, typed events, never the outcome, the ground truth, the model's or the arm's name; it answers one
question per family of modes in a fixed form; its quotes are checked in code, and what it did not say is missing,
never "no". Owns: everything between a trace with proposals and the judge's labels. Does not own: the wire
(`harness/models`), detectors, or which traces are judged.
"""

from harness.mast.judge.config import JudgeConfig
from harness.mast.judge.judge import Judge, Judgement

__all__ = ["Judge", "JudgeConfig", "Judgement"]
