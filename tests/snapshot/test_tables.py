"""Whatever is wrong in a file is read around, and reported with file and line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from harness.environments.snapshot.cells import file_stamp, parse_json, parse_map, parse_stamp
from harness.environments.snapshot.indexing import build
from harness.environments.snapshot.layout import read_layout
from harness.environments.snapshot.report import KEPT, Report
from harness.environments.snapshot.tsv import Table

COLUMNS = {"a": ("a", "A"), "b": ("b",), "c": ("c",)}


def read(tmp_path: Path, content: bytes | str) -> tuple[list[tuple[int, list[str]]], list[str]]:
    path = tmp_path / "t.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = Report()
    rows = list(Table(path, "t.tsv", COLUMNS, ("a", "b"), report))
    return rows, [str(problem) for problem in report.problems]


def test_plain_and_quoted_rows_are_read(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, 'A\tb\tc\n1\tsays "hi"\tx\n2\t"{""k"": ""two\nlines""}"\ty\r\n')
    assert rows == [(2, ["1", 'says "hi"', "x"]), (3, ["2", '{"k": "two\nlines"}', "y"])]
    assert problems == []


def test_torn_rows_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "a\tb\tc\n1\t2\n3\t4\t5\n6\t7\t8\t9\n1\t2\t3")
    assert [cells for _, cells in rows] == [["3", "4", "5"], ["1", "2", "3"]]
    assert problems == [
        "t.tsv:2: torn row: found 2 cells, expected 3; left out",
        "t.tsv:4: torn row: found 4 cells, expected 3; left out",
    ]


@pytest.mark.parametrize("rest", ["", '9\t"closed"\t9\n'])
def test_an_unclosed_quote_swallows_one_line_and_not_the_file(tmp_path: Path, rest: str) -> None:
    rows, problems = read(tmp_path, f'a\tb\tc\n1\t"never closed\n4\t5\t6\n{rest}7\t8\t9\n')
    assert ["4", "5", "6"] in [cells for _, cells in rows]
    assert ["7", "8", "9"] in [cells for _, cells in rows]
    assert [problem.split(":")[1] for problem in problems] == ["2"]


def test_a_cell_that_opens_with_a_quote_may_be_plain(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, 'a\tb\tc\n1\t"GET /" 200\t3\n')
    assert rows == [(2, ["1", '"GET /" 200', "3"])]
    assert problems == []


def test_a_cell_of_two_megabytes_is_read(tmp_path: Path) -> None:
    big = "x" * 2_000_000
    rows, problems = read(tmp_path, f'a\tb\tc\n1\t{big}\t3\n2\t"{big}"\t3\n')
    assert [len(cells[1]) for _, cells in rows] == [2_000_000] * 2
    assert problems == []


def test_bytes_that_are_no_utf8_are_shown_and_reported(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, b"\xef\xbb\xbfa\tb\tc\n1\tcaf\xe9\t3\n")
    assert rows == [(2, ["1", "caf\ufffd", "3"])]
    assert problems == ["t.tsv:2: byte 5 of the line is no UTF-8; shown as a replacement character"]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "a\tx\n1\t2\n")
    assert rows == []
    assert problems == ["t.tsv:1: has no column b; not read (columns: a, x)"]


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ([], ["t.tsv: is empty; expected a header"])


def test_many_problems_are_counted_not_lost(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, "a\tb\tc\n" + "torn\n" * 1000)
    assert rows == []
    assert len(problems) == KEPT + 1
    assert problems[-1] == f"t.tsv: {1000 - KEPT} more problems in this file"


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-20 10:11:12.500000000", "2025-11-20T10:11:12.5Z", "2025-11-20T11:11:12.5+01:00", "1763633472.5",
        "1763633472500", "1763633472500000000",
    ],
)  # fmt: skip
def test_times_come_in_many_spellings(text: str) -> None:
    assert parse_stamp(text) == 1763633472.5


def test_no_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a time"):
        parse_stamp("yesterday")


def test_the_time_of_an_alert_file_is_in_its_name() -> None:
    assert file_stamp("alerts_at_2025-11-20T10-11-12.500000.json") == 1763633472.5
    assert file_stamp("alerts.json") is None


@pytest.mark.parametrize("text", ['{"a": 1}', '"{""a"": 1}"', '{""a"": 1}'])
def test_json_cells_come_with_doubled_quotes(text: str) -> None:
    assert parse_json(text) == {"a": 1}


@pytest.mark.parametrize("text", ["{'a':'b','c':'d e'}", "{'a': 'b', 'c': 'd e'}", '{"a":"b","c":"d e"}'])
def test_attributes_come_in_three_spellings(text: str) -> None:
    assert parse_map(text) == {"a": "b", "c": "d e"}


# --- whole directories --------------------------------------------------------------------------------

EVENT = {
    "metadata": {"name": "e1", "namespace": "otel-demo"},
    "involvedObject": {"kind": "Pod", "name": "ad-1", "namespace": "otel-demo"},
    "reason": "BackOff",
    "lastTimestamp": "2025-11-20T10:00:00Z",
}
POD = {"kind": "Pod", "metadata": {"name": "ad-1", "namespace": "otel-demo"}, "spec": {}}
ALERT = {"labels": {"alertname": "Down", "severity": "critical"}, "state": "firing", "value": "1e+00"}


def indexed(directory: Path, target: Path) -> tuple[sqlite3.Connection, list[str]]:
    """The index of a directory, and its problems."""
    report = Report()
    layout = read_layout(directory, report)
    target.mkdir()
    build(layout, {layout.name(path): "0" for path in layout.evidence}, report, target)
    database = sqlite3.connect(target / "index.sqlite")
    return database, [f"{place}: {what}" for place, what, _ in database.execute("SELECT * FROM problems")]


def quoted(value: Any) -> str:
    return '"' + json.dumps(value).replace('"', '""') + '"'


@pytest.fixture
def processed(tmp_path: Path) -> Path:
    """The older, processed form, with one thing wrong in each file."""
    root = tmp_path / "Scenario-7"
    (root / "alerts").mkdir(parents=True)
    (root / "metrics").mkdir()
    stamp = "2025-11-20T10-{:02}-00.000000"
    files: dict[str, Any] = {
        "k8s_events.tsv": f"timestamp\tbody\tnamespace\n2025-11-20 10:00:00\t{quoted(EVENT)}\totel-demo\n"
        "2025-11-20 10:00:00\t{\"metadata\": {}}\totel-demo\n",
        "k8s_objects.tsv": f"timestamp\tbody\tnamespace\tresource_type\n2025-11-20 10:00:00\t{quoted(POD)}\to\tpods\n"
        "2025-11-20 10:00:00\t{oops\to\tpods\n",
        "otel_logs.tsv": "timestamp\tseverity_text\tservice_name\tbody\n2025-11-20 10:00:00\tWARNING\tad\thello\n"
        "noon\tERROR\tad\tlost\n",
        "metrics/service_ad.tsv": "metric_name\ttimestamp\tvalue\tservice_name\tnamespace\n"
        "cpu\t2025-11-20 10:00:00\t1.5\tad\totel-demo\ncpu\t2025-11-20 10:01:00\tmany\tad\totel-demo\n"
        "cpu\t2025-11-20 10:02:00\tNaN\tad\totel-demo\n",
        f"alerts/alerts_at_{stamp.format(0)}.json": [ALERT],
        f"alerts/alerts_at_{stamp.format(1)}.json": {"data": {"alerts": [ALERT, {"state": "x"}]}},
        f"alerts/alerts_in_alerting_state_{stamp.format(1)}.json": [ALERT],
        f"alerts/alerts_at_{stamp.format(2)}.json": "{torn",
        "notes.txt": "what is this",
        "ground_truth.yaml": "groups: []",
    }  # fmt: skip
    for name, content in files.items():
        (root / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def test_the_processed_form_is_read_and_every_defect_is_named(processed: Path, tmp_path: Path) -> None:
    database, problems = indexed(processed, tmp_path / "index")
    counts = {
        table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("events", "objects", "logs", "series")
    }
    assert counts == {"events": 1, "objects": 1, "logs": 1, "series": 1}
    assert database.execute("SELECT severity, body FROM logs").fetchall() == [("WARN", "hello")]
    samples = database.execute("SELECT sample, count(*) FROM alerts WHERE name = 'Down' GROUP BY sample")
    assert [count for _, count in samples] == [1, 1]
    wanted = [
        "otel_traces_raw.tsv: is missing",
        "notes.txt: not part of the layout",
        "alerts/alerts_at_2025-11-20T10-01-00.000000.json:1: alert 1: expected labels.alertname",
        "alerts/alerts_at_2025-11-20T10-02-00.000000.json:1: not JSON",
        "k8s_objects.tsv:3: not JSON",
        "k8s_events.tsv:3: the body is no event",
        "otel_logs.tsv:3: expected a time",
        "metrics/service_ad.tsv:3: could not convert string to float: 'many'",
        "metrics/service_ad.tsv: 1 points are no numbers",
    ]
    missing = [text for text in wanted if not any(problem.startswith(text) for problem in problems)]
    assert missing == []
    assert len(problems) == len(wanted)


def test_an_object_is_gone_after_two_polls_without_it(tmp_path: Path) -> None:
    root = tmp_path / "Scenario-1"
    root.mkdir()
    rows = []
    for poll in range(4):
        for name, last in (("stays", 3), ("leaves", 1), ("late", 2)):
            if poll <= last:
                service = {
                    "kind": "Service",
                    "metadata": {"name": name, "namespace": "n"},
                    "spec": {"poll": 0},
                }
                rows.append(f"2025-11-20 10:{poll * 5:02}:00\t{quoted(service)}\tn\tservices\n")
    (root / "k8s_objects_raw.tsv").write_text("timestamp\tbody\tnamespace\tresource_type\n" + "".join(rows))
    database, _ = indexed(root, tmp_path / "index")
    assert dict(database.execute("SELECT name, gone FROM objects")) == {"stays": 0, "leaves": 1, "late": 0}
    assert database.execute("SELECT count(*) FROM versions").fetchone() == (3,)
