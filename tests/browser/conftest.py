"""A browser for the whole session, and a report with everything that a hostile model could write into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.records import TrialRecord
from harness.report import write_reports
from tests.browser.chromium import Browser, chromium, found
from tests.report.factory import experiment, packed

EVIL = "</script><script>window.planted = 1</script><img src=x onerror='window.planted = 2'>"


class Report(NamedTuple):
    """A written report."""

    directory: Path
    results: dict  # type: ignore[type-arg]  # as results.json has it
    records: list[TrialRecord]

    def address(self, fragment: str = "") -> str:
        """The page on disk, as a reader opens it."""
        return (self.directory / "report.html").as_uri() + fragment


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if found() is None:
        pytest.skip("chromium and chromedriver are not installed")
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two models, four arms, six scenarios, two repeats; model, tools and labels say EVIL."""
    directory = tmp_path_factory.mktemp("run")
    frozen, drawn = experiment(models=["sim_a", "sim_b"], scenarios=6, repeats=2, seed=3)
    records = [poisoned(record) for record in drawn]
    question = f"Does a verifier gate improve recall beyond its prompt twin? {EVIL}"
    plan = frozen.model_copy(update={"question": question})
    results = write_reports(directory, plan, records, lambda record: packed(record, text=f"{EVIL} is firing"))
    return Report(directory, results, records)


def poisoned(record: TrialRecord) -> TrialRecord:
    """The same trial with EVIL wherever text comes from outside."""
    fields = record.model_dump(mode="json")
    fields["detail"] = EVIL
    for entity in (fields["submission"] or {"diagnosis": {"entities": []}})["diagnosis"]["entities"]:
        entity |= {"name": EVIL, "reasoning": EVIL}
    for label in fields["labels"]:
        label["note"] = EVIL
    return TrialRecord.model_validate(fields)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of pages go; the variable SCREENSHOTS names a directory that stays."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
