"""Some trials of the default experiment, byte for byte: an optimisation may not change what a trial produces.

What is compared is what the trial says (trace, verdict, score), not how it is filed. A change that is meant to alter
it rewrites the digests: `python -m tests.experiment.test_golden`; say in its commit what a user will see differently.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

from harness.experiment import build_plan
from harness.runner import TrialRunner
from tests.experiment.composed import composed

GOLDEN = Path(__file__).parent / "golden_trials.json"
TRIALS = ["+experiment=verifier_gate", "repeats=1", "scenario=[16,24]", "model=[sim_isolated,sim_cascading]"]


def digests() -> dict[str, str]:
    """Trial id -> SHA-256 of its trace, verdict and score."""
    config = composed(*TRIALS)
    runner = TrialRunner(config)

    async def play() -> dict[str, str]:
        found = {}
        for spec in build_plan(config).trials:
            record, trace, *_ = await runner.run(spec)
            said = record.model_dump_json(include={"verdict", "score", "status", "reason"})
            found[spec.trial_id] = hashlib.sha256(trace + said.encode()).hexdigest()
        return found

    return asyncio.run(play())


def test_trials_produce_what_they_always_did() -> None:
    found, golden = digests(), json.loads(GOLDEN.read_text())
    assert {name for name in golden if found.get(name) != golden[name]} == set()
    assert found.keys() == golden.keys()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(digests(), indent=1) + "\n")
