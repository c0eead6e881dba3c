"""The tables as files: `trials`, one row per trial, and under `tables/` contrasts, arms and modes as a page has them.

Owns: the formats, CSV and Parquet. Does not own: the columns of the trials (`harness/statistics/frames.py`) or any
number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.files import write_atomically

DIRECTORY = "tables"
BY_MODE = ("modes", "modes_interval", "modes_n", "guard_firings")
"""What an entry of an arm holds by name: no columns of `arms`."""


def write_tables(run_dir: Path, frame: pd.DataFrame, results: Mapping[str, Any]) -> None:
    """Write each table twice; rows of simulated models say so in the column `simulated`."""
    write(run_dir, "trials", frame)
    (run_dir / DIRECTORY).mkdir(exist_ok=True)
    arms = [{key: value for key, value in arm.items() if key not in BY_MODE} for arm in results["arms"]]
    modes = [row for arm in results["arms"] for row in modes_of(arm)]
    tables = {"contrasts": results["contrasts"], "arms": arms, "modes": modes}
    for name, entries in tables.items():
        write(run_dir / DIRECTORY, name, flat(entries))


def write(directory: Path, name: str, table: pd.DataFrame) -> None:
    """One table as `name.parquet` and `name.csv`."""
    write_atomically(directory / f"{name}.parquet", lambda sink: table.to_parquet(sink, index=False))
    write_atomically(
        directory / f"{name}.csv", lambda sink: table.to_csv(sink, index=False, lineterminator="\n")
    )


def flat(entries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per entry; what lies deeper gets a column such as `recall.low`."""
    return pd.json_normalize([dict(entry) for entry in entries])


def modes_of(arm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per mode that was decided in an arm: its share of traces, interval and n."""
    names = {key: arm[key] for key in ("model", "agent", "arm", "simulated")}
    return [
        {**names, "mode": slug, "share": share, **arm["modes_interval"][slug], "n": arm["modes_n"][slug]}
        for slug, share in arm["modes"].items()
    ]
