"""The trials table as files: `trials.parquet` and `trials.csv`, one row per trial.

Owns: the two formats. Does not own: the columns (`harness/statistics/frames.py`).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.report.files import write_atomically


def write_tables(run_dir: Path, frame: pd.DataFrame) -> None:
    """Write both files; rows of simulated models say so in the column `simulated`."""
    write_atomically(run_dir / "trials.parquet", lambda sink: frame.to_parquet(sink, index=False))
    write_atomically(
        run_dir / "trials.csv", lambda sink: frame.to_csv(sink, index=False, lineterminator="\n")
    )
