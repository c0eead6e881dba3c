"""The files and pages: fixed summary, complete directory, escaped model text, well-formed page, safe links."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pytest

from harness.records import Plan, TrialRecord
from harness.report import build_results, write_reports
from harness.report.files import write_atomically
from harness.report.html import render_html
from harness.report.summary import summary
from tests.report.factory import experiment, handmade, packed, plan, record, spec

GOLDEN = Path(__file__).parent / "golden"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects ids, links and elements; complains about tags that do not close each other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: Counter[str] = Counter()
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element, line {self.getpos()}"

    def _seen(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        for name in ("href", "src", "xlink:href"):
            if values.get(name):
                self.links.append(str(values[name]))


def page(frozen: Plan, records: list[TrialRecord], text: str = "fine") -> str:
    return render_html(frozen, build_results(frozen, records), records, lambda item: packed(item, text=text))


@pytest.fixture(scope="module")
def usual() -> str:
    return page(*experiment(scenarios=4, repeats=2))


def test_summary_of_the_handmade_experiment() -> None:
    assert summary(build_results(*handmade())) == (GOLDEN / "summary.md").read_text(encoding="utf-8")


def test_all_files_are_written_and_agree(tmp_path: Path) -> None:
    frozen, records = handmade()
    results = write_reports(tmp_path, frozen, records, packed)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"results.json", "summary.md", "trials.parquet", "trials.csv", "report.html", "tables"}
    tables = {path.name for path in (tmp_path / "tables").iterdir()}
    assert tables == {
        f"{name}.{kind}" for name in ("arms", "contrasts", "modes") for kind in ("csv", "parquet")
    }
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == results
    rows = pd.read_parquet(tmp_path / "trials.parquet")
    assert len(rows) == len(pd.read_csv(tmp_path / "trials.csv")) == len(records)
    assert rows["simulated"].all()


def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    frozen, records = handmade()
    contents = []
    for order in (records, records[::-1]):
        write_reports(tmp_path, frozen, order, packed)
        contents.append({path.name: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()})
    assert contents[0] == contents[1]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    target.write_text("old")

    def fail(sink: BinaryIO) -> None:
        sink.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]


def test_page_is_well_formed_and_every_link_leads_somewhere(usual: str) -> None:
    parsed = Page(usual)
    assert parsed.open == []
    assert [name for name, count in Counter(parsed.ids).items() if count > 1] == []
    routes = re.compile(r"#trials(\?(\w+=[\d.]+&?)+)?|#trial-\d+")
    within = {link[1:] for link in parsed.links if not routes.fullmatch(link)}
    assert len(set(parsed.links)) > len(within) + 50
    assert within <= set(parsed.ids)


def test_page_asks_the_network_for_nothing(usual: str) -> None:
    without_namespaces = usual.replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.w3.org/1999/xlink", ""
    )
    assert not re.search(r"https?://|@import|url\((?!#)", without_namespaces)


def test_model_text_never_becomes_markup() -> None:
    frozen, records = handmade()
    entity = {"name": f"otel-demo/Deployment/{EVIL}", "contributing_factor": True}
    changed: dict[str, Any] = records[0].model_dump(mode="json")
    changed["submission"]["diagnosis"]["entities"] = [entity]
    changed |= {"trace": {"file": EVIL, "offset": 0, "length": 1}, "status": "failed", "reason": EVIL}
    changed["guard_firings"] = {EVIL: 1}
    changed["labels"][0] |= {"present": "present", "note": EVIL, "slug": EVIL}
    html = page(
        frozen.model_copy(update={"question": EVIL, "config": {"prompt": EVIL}}),
        [TrialRecord.model_validate(changed), *records[1:]],
        text=EVIL,
    )
    parsed = Page(html)
    assert parsed.elements["script"] == 2
    assert parsed.elements["img"] == 0
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert(1)" not in html


def test_the_page_runs_no_script_but_its_own(usual: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', usual)
    assert policy is not None
    own = re.findall(r"<script>(.*?)</script>", usual, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in own]
    assert f"script-src 'sha256-{digests[0]}' 'strict-dynamic'" in policy.group(1)
    assert "default-src 'none'" in policy.group(1)
    assert len(own) == 1


def test_names_of_models_and_arms_never_become_markup() -> None:
    trials = [spec(2, model=EVIL), spec(2, model=EVIL, arm="<b>$x_$")]
    html = page(plan(trials, [("<b>$x_$", "baseline")]), [record(trial) for trial in trials])
    assert Page(html).elements["script"] == 2
    assert "<b>$x_$" not in html


def test_text_in_the_summary_stays_in_its_cell() -> None:
    frozen, records = handmade()
    text = summary(build_results(frozen.model_copy(update={"question": f"a | b {EVIL}\n# c"}), records))
    assert "**a \\| b &lt;script>alert(1)&lt;/script>&lt;img src=x onerror=alert(2)> # c**" in text


def test_simulated_numbers_say_so_everywhere(usual: str) -> None:
    results = build_results(*handmade())
    sections = re.findall(r"<section .*?</section>", usual, flags=re.DOTALL)
    silent = [one[:60] for one in sections if 'class="banner" role="note"' not in one]
    assert [re.search(r'labelledby="(\w+)"', one).group(1) for one in silent] == ["denominators", "plan"]  # type: ignore[union-attr]
    assert usual.count("(simulated), react") >= 20
    assert "**Simulated.**" in summary(results)


def test_real_models_carry_no_banner() -> None:
    records = [record(spec(scenario), simulated=False) for scenario in (2, 3)]
    frozen = plan([r.spec for r in records], [])
    assert "Simulated." not in page(frozen, records)
    assert "imulated" not in summary(build_results(frozen, records)).split("## Trials")[0]


def test_flips_against_the_reference_arm_are_visible() -> None:
    better = [record(spec(2), recall=0), record(spec(2, arm="verifier_gate"), recall=1)]
    worse = [record(spec(3), recall=1), record(spec(3, arm="verifier_gate"), recall=0.5)]
    html = page(plan([r.spec for r in better + worse], [("verifier_gate", "baseline")]), better + worse)
    assert '<b class="gained">▲1</b>' in html
    assert '<b class="lost">▼1</b>' in html
