"""Published solutions, which are commands and prose for people, as steps that the agent's tools can take.

Owns: which kubectl commands have a tool, and what to say about the others. A step without a tool makes its
alternative unusable, because half of a solution solves nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from harness.errors import Problem

_PLACEHOLDERS = ("{{", "<", "$")
"""What templates and manuals leave for the reader to fill in."""
Steps = list[dict[str, Any]]


def translate(groups: Any, problems: list[Problem]) -> list[list[dict[str, Any]]]:
    """`solutions[group][alternative]` in our form; whatever has no tool form is left out and reported.

    Empty when a group has no usable alternative: all groups must be done."""
    translated = []
    for number, alternatives in enumerate(groups if isinstance(groups, list) else []):
        usable = []
        for position, alternative in enumerate(alternatives if isinstance(alternatives, list) else []):
            where = f"solutions[{number}][{position}]"
            steps, reason = _steps(alternative)
            if reason:
                problems.append(Problem(where, reason))
            else:
                usable.append({"steps": steps, "note": _note(alternative)})
        if not usable:
            problems.append(Problem(f"solutions[{number}]", "no alternative can be taken with tools"))
            return []
        translated.append(usable)
    return translated


def _steps(alternative: Any) -> tuple[Steps, str]:
    """(tool calls, reason why not)."""
    given = alternative.get("steps") if isinstance(alternative, dict) else None
    if not isinstance(given, list) or not given:
        return [], "has no steps"
    steps: Steps = []
    for step in given:
        command = step.get("command") if isinstance(step, dict) else None
        if not isinstance(command, str) or not command.strip():
            return [], "has a step without a command, for people only"
        calls = list(_calls(command))
        if not calls:
            return [], f"no tool does {command.strip()!r:.100}"
        steps += calls
    return steps, ""


def _calls(command: str) -> Iterator[dict[str, Any]]:
    try:
        words = shlex.split(command)
    except ValueError:
        return
    if not words or words[0] != "kubectl" or any(mark in command for mark in _PLACEHOLDERS):
        return
    options, plain = _options(words[1:])
    namespace = options.get("namespace", "")
    match plain:
        case ["rollout", "undo", target] if target.partition("/")[2]:
            yield _call("rollout_undo", name=target.partition("/")[2], namespace=namespace)
        case ["rollout", "restart", kind] if "/" not in kind:
            yield _call("rollout_restart", namespace=namespace)
        case ["rollout", "restart", target]:
            yield _call("rollout_restart", name=target.partition("/")[2], namespace=namespace)
        case ["scale", target] if "/" in target and options.get("replicas", "").isdigit():
            kind, _, name = target.partition("/")
            replicas = int(options["replicas"])
            yield _call("scale_workload", kind=_kind(kind), name=name, namespace=namespace, replicas=replicas)
        case ["delete", kind, *names] if names and "/" not in kind:
            for name in names:
                yield _call("delete_object", kind=_kind(kind), name=name, namespace=namespace)


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """(options by long name, other words)."""
    options: dict[str, str] = {}
    plain: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _WITH_VALUE:
            options[_WITH_VALUE[word]] = next(rest, "")
        elif word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[name] = value
        else:
            plain.append(word)
    return options, plain


def _kind(word: str) -> str:
    return _KINDS.get(word.lower().split(".")[0], word)


_WITH_VALUE = {"-n": "namespace", "--namespace": "namespace", "--replicas": "replicas"}
_KINDS = {
    "deployment": "Deployment", "deployments": "Deployment", "deploy": "Deployment",
    "statefulset": "StatefulSet", "service": "Service", "svc": "Service", "configmap": "ConfigMap",
    "cm": "ConfigMap", "resourcequota": "ResourceQuota", "quota": "ResourceQuota", "pod": "Pod",
    "networkpolicy": "NetworkPolicy", "networkpolicies": "NetworkPolicy", "daemonset": "DaemonSet",
    "schedule": "Schedule", "authorizationpolicy": "AuthorizationPolicy",
    "peerauthentication": "PeerAuthentication", "persistentvolumeclaim": "PersistentVolumeClaim",
}  # fmt: skip


def _call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": {key: value for key, value in args.items() if value != ""}}


def _note(alternative: Any) -> str:
    texts = (step.get("text") for step in alternative["steps"] if isinstance(step, dict))
    return "; ".join(" ".join(text.split()) for text in texts if isinstance(text, str) and text.strip())
