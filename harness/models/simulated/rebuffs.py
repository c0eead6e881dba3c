"""What the model does right after a call of its own was refused: by what the refusal says, whoever wrote it.

Owns: the words that ask for a submission, a read, the alerts, an inventory, a question, a declared assumption or
a stated intent, and the call that answers each. Does not own: refused submissions (`feedback`) or whether later
failures are prevented (`temper`). Refused is not failed: it is no slip.
"""

from __future__ import annotations

import re
from typing import Any

from harness.models.simulated.beliefs import Beliefs
from harness.models.simulated.policy import FLAG_OBJECT, Step, test_of
from harness.models.simulated.temper import Temper
from harness.models.simulated.transcript import MUTATING, Call

_SUBMIT = re.compile(
    r"\b(?:submit|conclude|hand in)\b[^.]*\b(?:now|best answer|answer that)\b|\bused up\b|\bdo not go on\b"
)
_ALERTS = re.compile(
    r"\balerts?\b[^.]*\b(?:not|never)\b[^.]*\bread\b|\bread\b[^.]*\balerts?\b[^.]*\b(?:first|before)\b"
)
_UNCHECKED = re.compile(r"\bnot (?:been )?checked\b|\bunchecked\b")
_UNKNOWN = re.compile(
    r"\bthere is no\b|\bunknown (?:name|object)|\bdoes not exist\b|\bnot found\b|\bmade? (?:\w+ )*up\b"
)
_READ = re.compile(r"\bread\b|\binspect\b|\bprobe\b|\blook at\b")
_UNDERSPECIFIED = re.compile(r"\brequest\b|\bunderspecified\b|\bwhich (?:application|namespace)\b")
_SAID = re.compile(r"\bannounc\w+|\bintent\b|\bstated\b|\bsay so\b")


def reaction(beliefs: Beliefs, temper: Temper, tools: frozenset[str]) -> Step | None:
    """The step that the refusal of the newest call asks for; None where it asks for none or is ignored."""
    last = beliefs.last
    if last is None:
        return None
    if last.name == "state_intent" and not last.refused:
        return _as_stated(beliefs, last)
    if not last.refused or last.result is None:
        return None
    number = sum(call.refused for call in beliefs.calls)
    if not temper.acts_on_feedback(f"rebuff:{number}"):
        return None
    step = _asked_for(last, last.result.notice.lower(), beliefs, tools)
    return step if step is None or step.phase == "submit" or step.name in tools else None


def _asked_for(refused: Call, text: str, beliefs: Beliefs, tools: frozenset[str]) -> Step | None:
    if _SUBMIT.search(text):
        return Step("submit", "submit")
    if _UNDERSPECIFIED.search(text):
        return _clarify(refused, text, beliefs, tools)
    if _UNCHECKED.search(text) or (_ALERTS.search(text) and not beliefs.first_alerts):
        return _wanted("alert_summary", {"state_filter": "firing"}, "I read the alerts first, as asked.")
    if _UNKNOWN.search(text):
        kind = str(refused.args.get("kind") or "Deployment")
        return _wanted(
            "kubectl_get", {"kind": kind, "namespace": beliefs.namespace}, "I look up which names exist."
        )
    if _SAID.search(text):
        return _consistent(refused, tools)
    if refused.name in MUTATING and _READ.search(text):
        return _read_target(refused, beliefs) or _clarify(refused, text, beliefs, tools)
    return None


def _clarify(refused: Call, text: str, beliefs: Beliefs, tools: frozenset[str]) -> Step | None:
    """Ask, or say what is assumed; each only where the refusal names the tool and it was not used yet."""
    used = {call.name for call in beliefs.calls if not call.refused}
    target = _target(refused, beliefs) or beliefs.namespace
    if "ask_operator" in text and "ask_operator" in tools - used:
        question = f"Which application and namespace is meant? I was going to work on {target}."
        return _wanted("ask_operator", {"question": question}, "It is not clear what is meant; I ask.")
    if "declare_assumption" in text and "declare_assumption" in tools:
        assumed = f"{target} in the namespace {beliefs.namespace} is meant."
        args = {"about": target, "assumption": assumed, "confidence": 0.6}
        said = any(call.name == "declare_assumption" and call.args == args for call in beliefs.calls)
        return None if said else _wanted("declare_assumption", args, "I say what I assume.")
    return None


def _consistent(refused: Call, tools: frozenset[str]) -> Step:
    """State the intent where that is offered; else say which call is meant, and make it."""
    if "state_intent" in tools:
        purpose = "remediate" if refused.name in MUTATING else "look"
        args = {"tool": refused.name, "target": str(refused.args.get("name", "")), "purpose": purpose}
        return _wanted("state_intent", args, "I state what the call is for.")
    said = f"I changed my mind: I now call {refused.name}."
    return _wanted(refused.name, dict(refused.args), said)


def _as_stated(beliefs: Beliefs, intent: Call) -> Step | None:
    """The call that was just announced with a stated intent."""
    meant = [call for call in beliefs.calls if call.refused and call.name == intent.args.get("tool")]
    return _wanted(meant[-1].name, dict(meant[-1].args), "I make the call that I stated.") if meant else None


def _read_target(refused: Call, beliefs: Beliefs) -> Step | None:
    """A read directed at what the refused change was about; None where it was made already, or names nothing."""
    entity = _target(refused, beliefs)
    if not entity:
        return None
    tool, args = test_of(entity, beliefs)
    if any(call.name == tool and call.args == args and call.ok for call in beliefs.calls):
        tool, args = "get_k8_spec", {"k8_object_name": entity}
    if any(call.name == tool and call.args == args for call in beliefs.calls):
        return None
    return _wanted(tool, args, f"I read {entity} before I change it.")


def _target(refused: Call, beliefs: Beliefs) -> str:
    """The object that a refused call was directed at; empty where it named none."""
    namespace = refused.args.get("namespace") or beliefs.namespace
    if refused.name == "set_feature_flag":
        return f"{namespace}/{FLAG_OBJECT}"
    name, kind = refused.args.get("name"), refused.args.get("kind") or "Deployment"
    return f"{namespace}/{kind}/{name}" if name else ""


def _wanted(name: str, args: dict[str, Any], said: str) -> Step:
    return Step("test", name, args, said, demanded=True)
