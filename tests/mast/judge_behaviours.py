"""How a judge can behave over the wire; registered beside the behaviours of `tests/openai_server.py`."""

from __future__ import annotations

import json
import re
from typing import Any

from harness.mast.taxonomy import taxonomy
from tests.openai_server import BEHAVIOURS, Answer, OpenAIServer, completion, timeout, tool_call

Json = dict[str, Any]
MARK = "MARKED EVIDENCE"
"""A text in an event at which the good judge sees derailment."""


def slugs(body: Json) -> list[str]:
    """The modes that are asked about."""
    answers = body["tools"][0]["function"]["parameters"]["properties"]["answers"]
    return list(answers["items"]["properties"]["slug"]["enum"])


def record(body: Json) -> str:
    """The record that is shown."""
    return str(body["messages"][-1]["content"])


def entry(slug: str, present: Any, *spans: Json) -> Json:
    return {"slug": slug, "present": present, "spans": list(spans), "reason": "as it stands there"}


def judged(body: Json, answers: list[Json], ledger: str = "") -> Answer:
    return tool_call(body, "report", json.dumps({"answers": answers, "ledger": ledger}))


def verdicts(body: Json) -> list[Json]:
    """No everywhere, but derailment where the mark stands, in the record or in the ledger."""
    found = re.search(r"\[(\d+)\] [^\n]*" + MARK, record(body))
    answers = []
    for slug in slugs(body):
        if slug == "derailment" and found:
            answers.append(entry(slug, "yes", {"events": [int(found.group(1))], "quote": MARK}))
        else:
            answers.append(entry(slug, "no"))
    return answers


def judge_well(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Says what stands there."""
    return judged(body, verdicts(body), "seen so far: nothing else")


def judge_in_text(server: OpenAIServer, body: Json, count: int) -> Answer:
    """The same as a fenced text instead of a call."""
    text = json.dumps({"answers": verdicts(body), "ledger": ""})
    return Answer(completion(body, {"content": f"```json\n{text}\n```"}))


def judge_echoes_names(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Published names in place of slugs: the ones in which "no" is hidden among them."""
    modes = taxonomy().modes
    renamed = [
        {**e, "slug": modes[e["slug"]].names[0] if e["slug"] in modes else e["slug"]} for e in verdicts(body)
    ]
    return judged(body, renamed)


def judge_lists_lines(server: OpenAIServer, body: Json, count: int) -> Answer:
    """The published prompt's form, no JSON: names echoed before yes and no."""
    lines = [f"2.5 {taxonomy().modes[s].names[0]}: yes" for s in slugs(body) if s in taxonomy().modes]
    return Answer(completion(body, {"content": "\n".join(lines)}))


def judge_omits(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Answers the first mode only."""
    return judged(body, verdicts(body)[:1])


def judge_invents_quotes(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Yes to everything, with evidence that stands nowhere, or in an event that does not exist."""
    spans = ({"events": [1], "quote": "never said by anybody"}, {"events": [99999], "quote": MARK})
    return judged(body, [entry(slug, "yes", *spans) for slug in slugs(body)])


def judge_broken_json(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Cut off in the middle."""
    return tool_call(body, "report", '{"answers": [{"slug": "derailment", "present": "yes", "sp')


def judge_refuses(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Declines in words that hold a no."""
    return Answer(completion(body, {"content": "No. I cannot review this record."}))


def judge_contradicts(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Both yes and no to the same mode."""
    return judged(body, [*verdicts(body), *(entry(slug, "cannot_tell") for slug in slugs(body))])


def judge_wavers(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Every other sample says that it cannot tell; after hearing the others it says no."""
    if "Earlier reviewers disagreed" in record(body):
        return judged(body, [entry(slug, "no") for slug in slugs(body)])
    vote = "no" if body["seed"] % 2 else "cannot_tell"
    return judged(body, [entry(slug, vote) for slug in slugs(body)])


def judge_never_agrees(server: OpenAIServer, body: Json, count: int) -> Answer:
    """The samples differ for good."""
    vote = "no" if body["seed"] % 2 else "cannot_tell"
    return judged(body, [entry(slug, vote) for slug in slugs(body)])


def judge_sees_everything(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Yes to all, with a true quote."""
    number, text = re.search(r"\[(\d+)\] user: (.{20})", record(body)).groups()  # type: ignore[union-attr]
    return judged(
        body, [entry(slug, "yes", {"events": [int(number)], "quote": text}) for slug in slugs(body)]
    )


for _behaviour in (
    *(judge_well, judge_in_text, judge_echoes_names, judge_lists_lines, judge_omits, judge_invents_quotes),
    *(judge_broken_json, judge_refuses, judge_contradicts, judge_wavers, judge_never_agrees),
    judge_sees_everything,
):
    BEHAVIOURS.setdefault(_behaviour.__name__, _behaviour)
BEHAVIOURS.setdefault("judge_times_out", timeout)
