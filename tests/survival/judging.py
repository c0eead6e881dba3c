"""A process that has the traces of a run judged, and dies at one of its calls.

    python -m tests.survival.judging RUN OUT CALLS CALLS_FILE

The judge answers "no" to everything. Each question is written to CALLS_FILE as soon as it is asked; question number
CALLS kills the process before the answer arrives (0: none).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import Problem
from harness.interop.traces import traces
from harness.mast.archive import classify_archive
from harness.mast.judge import Judge, JudgeConfig
from harness.protocols import ModelReply, ModelRequest, RequestedCall


class NaySayer:
    """A judge's model, for money."""

    name = "naysayer"
    simulated = True

    def __init__(self, deadly: int, calls_file: Path) -> None:
        self._deadly = deadly
        self._calls_file = calls_file
        self._asked = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self._asked += 1
        question = json.dumps([request.messages, request.seed, request.tools[0].parameters])
        with open(self._calls_file, "a", encoding="utf-8") as file:
            file.write(hashlib.sha256(question.encode()).hexdigest() + "\n")
        if self._asked == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        asked = request.tools[0].parameters["properties"]["answers"]["items"]["properties"]["slug"]["enum"]
        answers = [{"slug": slug, "present": "no", "spans": [], "reason": "not seen"} for slug in asked]
        call = RequestedCall("x", "report", json.dumps({"answers": answers, "ledger": ""}))
        return ModelReply("", [call])

    def context_window(self) -> int | None:
        return None

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        return ()

    async def close(self) -> None:
        pass


def main(run: Path, out: Path, deadly: int, calls_file: Path) -> None:
    judge = Judge(
        NaySayer(deadly, calls_file), {}, JudgeConfig(samples=1, concurrency=1), cache=out / "judge_cache"
    )
    classify_archive(traces([run], ""), out, judge)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
