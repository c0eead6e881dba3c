"""A small competent SRE in OpenAI's chat form, for the server in `openai_server.py`.

It looks at alerts and recent changes, reverts the change that it suspects, waits, looks again and submits. It
knows no scenario: what it does follows from the tools that are offered and from what they answered.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]
Step = tuple[str, Json]
"""A tool and what is known about its arguments, by the names that tools give them."""

OBJECT_ID = re.compile(r"^([a-z0-9-]+)/([A-Z][A-Za-z]+)/([a-z0-9.-]+)$")
UNHEALTHY = re.compile(r"CrashLoop|ImagePull|ErrImage|Pending|OOMKilled|StartError|CreateContainer|Error")
POD = re.compile(r"^(.+?)-[a-f0-9]{6,10}-[a-z0-9]{5}$")
FLAG = re.compile(r"flags\.(\w+)\.defaultVariant$")
RESTART = re.compile(r"restartedAt")
REVERTIBLE = ("ConfigMap", "Deployment")
SETTLE_SECONDS = 600


class Suspect(NamedTuple):
    """The object that is held for the cause."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)


class Seen(NamedTuple):
    """One finished tool call of the conversation."""

    id: str
    name: str
    text: str

    @property
    def data(self) -> Any:
        """The answer as JSON; the bare text when it is none."""
        body = self.text.split("] ", 1)[-1] if self.text.startswith("[") else self.text
        try:
            return json.loads(body)
        except ValueError:
            return body


def next_call(messages: Sequence[Json], tools: Sequence[Json]) -> tuple[str, Json] | None:
    """The next tool call, as (name, arguments); None when there is nothing left to do."""
    offered = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in tools}
    seen = list(_seen(messages))
    steps = [step for step in _script(messages, seen, offered) if step[0] in offered]
    done = [call.name for call in seen]
    for name, known in steps:
        if name not in done:
            return name, _arguments(offered[name], known)
        done.remove(name)
    return None


def _script(messages: Sequence[Json], seen: list[Seen], offered: Mapping[str, Any]) -> Iterator[Step]:
    namespace = _namespace(messages, seen)
    yield "alert_summary", {}
    yield "k8s_spec_change_analysis", {}
    yield "kubectl_get", {"kind": "Pod", "namespace": namespace}
    suspect = find_suspect(seen, namespace)
    target = {"kind": suspect.kind, "name": suspect.name, "namespace": suspect.namespace}
    if suspect.kind == "ConfigMap":
        yield "set_feature_flag", {"namespace": namespace, **_flag(seen)}
        for workload in ("flagd", _alerting(seen)):
            yield "rollout_restart", {"kind": "Deployment", "name": workload, "namespace": namespace}
    else:
        yield "rollout_undo", target
    yield "wait", {"seconds": SETTLE_SECONDS}
    yield "alert_summary", {}
    yield "submit", _submission(suspect, seen)


def find_suspect(seen: Sequence[Seen], namespace: str) -> Suspect:
    """The object whose specification changed last, else the owner of an unhealthy pod, else what alerts."""
    changes = [
        (str(row.get("timestamp", "")), Suspect(*match.groups()))
        for entity, row in _changed(call.data for call in seen if call.name == "k8s_spec_change_analysis")
        if (match := OBJECT_ID.match(entity)) and match[2] in REVERTIBLE
    ]
    if changes:
        return max(changes)[1]
    for call in seen:
        for row in _objects(call.data) if call.name == "kubectl_get" else ():
            pod = POD.match(str(row.get("name", "")))
            if pod and UNHEALTHY.search(json.dumps(row)):
                return Suspect(str(row.get("namespace", namespace)), "Deployment", pod[1])
    return Suspect(namespace, "Deployment", _alerting(seen))


def _changed(answers: Iterator[Any]) -> Iterator[tuple[str, Json]]:
    for answer in answers:
        for row in _objects(answer):
            entity = next((str(value) for value in row.values() if OBJECT_ID.match(str(value))), "")
            for change in row.get("changes", []) if entity else ():
                if isinstance(change, dict) and not RESTART.search(json.dumps(change)):
                    yield entity, change


def _alerting(seen: Sequence[Seen]) -> str:
    summaries = [call.data for call in seen if call.name == "alert_summary"]
    rows = [row for row in _objects(summaries[:1]) if row.get("entity")]
    firing = [row for row in rows if row.get("state") == "firing"]
    return str((firing or rows or [{"entity": "unknown"}])[0]["entity"]).rsplit("/", 1)[-1]


def _flag(seen: Sequence[Seen]) -> Json:
    """The flag that was switched, and the variant that it had before."""
    for call in seen:
        for row in _objects(call.data) if call.name == "k8s_spec_change_analysis" else ():
            if switched := FLAG.search(str(row.get("path", ""))):
                return {"flag": switched[1], "variant": row.get("old", "off")}
    return {}


def _submission(suspect: Suspect, seen: Sequence[Seen]) -> Json:
    summaries = [call for call in seen if call.name == "alert_summary"]
    quiet = bool(summaries) and not any(row.get("state") == "firing" for row in _objects(summaries[-1].data))
    cited = " ".join(f"[{call.id}]" for call in seen)
    entity = {
        "name": str(suspect),
        "contributing_factor": True,
        "reasoning": "changed last",
        "evidence": cited,
    }
    first = summaries[0].data if summaries else {}
    alerts = sorted({str(row["alertname"]) for row in _objects(first) if "alertname" in row})
    diagnosis = {
        "entities": [entity],
        "propagations": [],
        "alerts_explained": [
            {"alert": name, "explanation": f"caused by {suspect}", "explained": True} for name in alerts
        ],
    }
    evidence = f"alerts after the change: [{summaries[-1].id}]" if summaries else ""
    return {"diagnosis": diagnosis, **diagnosis, "resolved": quiet, "resolution_evidence": evidence}


def _arguments(schema: Json, known: Json) -> Json:
    properties = schema.get("properties", {})
    given = {name: value for name, value in known.items() if name in properties}
    missing = [name for name in schema.get("required", []) if name not in given]
    blank = {"integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
    return given | {name: blank.get(properties.get(name, {}).get("type", "string"), "") for name in missing}


def _seen(messages: Sequence[Json]) -> Iterator[Seen]:
    answers = {
        message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"
    }
    for message in messages:
        for call in message.get("tool_calls") or []:
            if call["id"] in answers:
                yield Seen(call["id"], call["function"]["name"], str(answers[call["id"]]))


def _namespace(messages: Sequence[Json], seen: Sequence[Seen]) -> str:
    """Where the alerts are; before any were read, the name that the task gives."""
    named = Counter(
        str(row["namespace"]) for call in seen for row in _objects(call.data) if row.get("namespace")
    )
    if named:
        return named.most_common(1)[0][0]
    task = next((str(message["content"]) for message in messages if message["role"] == "user"), "")
    quoted = re.search(r"[`'\"]([a-z0-9-]+)[`'\"]|namespaces?:\s*([a-z0-9-]+)", task, re.IGNORECASE)
    return (quoted[1] or quoted[2]) if quoted else "default"


def _objects(data: Any) -> Iterator[Json]:
    if isinstance(data, dict):
        yield data
        data = list(data.values())
    for item in data if isinstance(data, list) else ():
        yield from _objects(item)
