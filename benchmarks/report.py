"""What writing the report of ten thousand trials takes: processor time of each part, peak memory, size of the page.

    python benchmarks/report.py

The trials are drawn at random (3 models, 4 arms, 67 scenarios, 13 repeats); each has a trace of about 50 events.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.report.html import render_html
from harness.report.index import numbers_of
from harness.report.results import build_results
from harness.report.traces import DIRECTORY, write_beside
from tests.report.factory import experiment, packed


def main() -> None:
    """Print one line per part."""
    frozen, records = experiment(scenarios=67, repeats=13)
    trace = packed(records[0])
    with tempfile.TemporaryDirectory() as directory:
        clock = [time.process_time()]
        results = build_results(frozen, records)
        clock.append(time.process_time())
        beside = write_beside(Path(directory, DIRECTORY), records, numbers_of(frozen), lambda _: trace)
        clock.append(time.process_time())
        page = render_html(frozen, results, records, lambda _: trace, beside)
        clock.append(time.process_time())
    for part, begin, end in zip(("statistics", "traces", "page"), clock, clock[1:], strict=False):
        print(f"{part:<11} {end - begin:5.1f} s of processor time")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{len(records):,} trials, page of {len(page) / 1e6:.1f} MB, peak {memory:.0f} MB")


if __name__ == "__main__":
    main()
