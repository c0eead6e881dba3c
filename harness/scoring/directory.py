"""From a directory of outputs and a directory of ground truths to one document with every number and its origin.

Owns: the order of the steps and the document's shape. Does not own: any step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.interop.evaluator_outputs import StoredOutput, read_outputs
from harness.interop.ground_truths import read_ground_truths
from harness.scoring.evaluation import ScoredOutput, score_outputs, summarise
from harness.scoring.judge import Judge
from harness.scoring.judging import judge_outputs
from scenarios.schema import GroundTruth


def score_directory(
    outputs: Path,
    ground_truth: Path,
    trials: int | None = None,
    only_present: bool = False,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Read, score, judge where there is a judge, and average. Problems are `Problem`s, everything else is JSON.

    Raises ConfigurationError when a directory has nothing that can be scored, or no judge call could work."""
    truths, problems = read_ground_truths(ground_truth)
    stored, passed_over = read_outputs(outputs, truths, trials, only_present)
    scored = score_outputs(stored, truths)
    account: dict[str, Any] | None = None
    if judge is not None:
        scored, account = asyncio.run(_judged(scored, stored, truths, judge))
    return {
        "inputs": {"outputs": str(outputs), "ground_truth": str(ground_truth)},
        "statistics": summarise(scored),
        "results": [one.model_dump(mode="json") for one in scored],
        "judge": account,
        "problems": [*problems, *passed_over],
    }


async def _judged(
    scored: Sequence[ScoredOutput],
    stored: Sequence[StoredOutput],
    truths: Mapping[str, GroundTruth],
    judge: Judge,
) -> tuple[list[ScoredOutput], dict[str, Any]]:
    try:
        return await judge_outputs(scored, stored, truths, judge)
    finally:
        await judge.close()
