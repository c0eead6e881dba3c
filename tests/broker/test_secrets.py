"""A key in the environment, and a provider that repeats it wherever it can: nothing that a run leaves holds it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.budgeted import MODEL, arguments, execute
from tests.openai_server import BEHAVIOURS, Answer, Json, OpenAIServer, completion, error, scripted

KEY = "sk-planted-5f3c9a7e1b2d4680"
KEY_ENV = "HARNESS_PLANTED_KEY"


def echoes(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Quotes the key in errors, in headers, in what it says, in its reasoning and in the calls that it asks for."""
    said = f"your key is {server.last_key}"
    if count in (1, 4):
        return error(500, f"internal error, {said}", said, **{"x-debug": said})
    if count == 2:
        return error(429, f"too many requests, {said}", **{"retry-after": "0"})
    answer = scripted(server, body, count)
    message = answer.body["choices"][0]["message"]
    message |= {"content": said, "reasoning_content": said}
    for call in message.get("tool_calls", ()):
        given = json.loads(call["function"]["arguments"])
        call["id"] += f"_{server.last_key}"
        call["function"]["arguments"] = json.dumps({"note": said, **given} if count == 3 else given)
    return Answer(answer.body, headers={"x-debug": said})


def judge_echoes(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A judge that answers with the key."""
    return Answer(completion(body, {"content": f"your key is {server.last_key}"}))


BEHAVIOURS |= {"echoes": echoes, "judge_echoes": judge_echoes}


def contents(run: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file of a run, unpacked."""
    for file in sorted(run.rglob("*")):
        if not file.is_file():
            continue
        data = file.read_bytes()
        yield file, data
        for start in (place for place in range(len(data)) if data.startswith(b"\x1f\x8b\x08", place)):
            yield file, zlib.decompressobj(wbits=31).decompress(data[start:])


def holders(run: Path, *texts: str) -> list[str]:
    """Where the key stands."""
    found = [str(file) for file, data in contents(run) if KEY.encode() in data]
    return found + [text[:200] for text in texts if KEY in text]


@pytest.mark.parametrize(
    ("behaviour", "code"), [("echoes", 0), ("refuse", 2), ("http_500", 1)], ids=lambda value: str(value)
)
def test_the_key_is_nowhere(behaviour: str, code: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with OpenAIServer() as server:
        more = {
            f"models.{MODEL}.model": f"openai/{behaviour}",
            f"models.{MODEL}.api_key_env": KEY_ENV,
            f"models.{MODEL}.max_retries": 2,
            f"models.{MODEL}.backoff.initial_s": 0.01,
            f"models.{MODEL}.backoff.jitter_s": 0.0,
            "repeats": 1,
            "max_attempts": 1,
            "executor.in_flight": 1,
            "judge": "openai_compatible",
            "judge.model": "openai/judge_echoes",
            "judge.api_base": server.api_base,
            "judge.api_key_env": KEY_ENV,
            "outage.probe_s": 0.1,
            "outage.patience_s": 1,
        }
        got, out, err = execute(arguments(server, run, **more), **{KEY_ENV: KEY})
        assert server.last_key == KEY, "the provider did get it"
    assert got == code, err
    assert holders(run, out, err) == []
    if behaviour == "echoes":
        assert any(b"[secret]" in data for _, data in contents(run)), "it was there to be hidden"


def test_a_key_in_a_packed_trace_would_be_found(tmp_path: Path) -> None:
    packed = gzip.compress(b"first") + gzip.compress(KEY.encode())
    (tmp_path / "00000.jsonl.gz").write_bytes(packed)
    assert holders(tmp_path)
