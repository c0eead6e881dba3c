"""Understands why a submission was refused, from whatever text came back.

Owns: the concrete demands that a refusal can contain: entities, calls, alerts, a new look at the alerts,
the form of the answer. Does not own: whether they are met (`policy`, `temper`). A text without any of them
is no more than encouragement, whoever wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from harness.models.simulated.directives import CITE, RECHECK, TEST_FIRST, directives

_ENTITY = re.compile(r"\b([a-z0-9][\w.-]*/[A-Z]\w+/[a-z0-9][\w.-]*[a-z0-9])")
_CALL_ID = re.compile(r"\bc\d+\b")
_MISSING_CALL = re.compile(r"not exist|unknown|no such|never (made|ran|happened)|failed|invalid")
_STILL = re.compile(r"\bstill\b|\bremain\w*|\bnot (cleared|recovered|resolved|healthy)\b")
_FORM = re.compile(r"field required|validation|schema|expected|malformed|not valid|namespace/kind/name", re.I)
_PUT_BACK = re.compile(r"\b(?:put back|undone|reverted|rolled back)\b[^\n]*\[c\d+\]", re.I)
_OWN_PREFIX = re.compile(r"^\[c\d+\]\s*")
_ITEM = re.compile(r"[.;!?]\s+|\n+|[\[{}\]]|\",\"")


@dataclass(frozen=True, slots=True)
class Demand:
    """What a refusal asks for."""

    entities: frozenset[str] = frozenset()
    """Entities about which something is missing."""
    unusable_calls: frozenset[str] = frozenset()
    """Cited calls that were not accepted."""
    evidence: bool = False
    """Claims are to be supported by calls, whichever they are."""
    recheck: bool = False
    """Alerts or health are to be read again."""
    form: bool = False
    """The answer's form is wrong."""
    put_back: bool = False
    """A change was put back: what it was meant to do is to be done again, or otherwise."""

    @property
    def concrete(self) -> bool:
        """It says what is missing."""
        missing = self.entities or self.unusable_calls or self.evidence or self.recheck or self.form
        return bool(missing or self.put_back)


@lru_cache(maxsize=1024)
def understand(refusal: str) -> Demand:
    """The demands in the text of a refusal."""
    text = _OWN_PREFIX.sub("", refusal)
    items = _ITEM.split(text)
    unusable = frozenset(
        call_id
        for sentence in re.split(r"\",\"|\n+|[;!?]\s+|\.\s", text)
        if _MISSING_CALL.search(sentence.lower())
        for call_id in _CALL_ID.findall(sentence)
    )
    return Demand(
        entities=frozenset(_ENTITY.findall(text)),
        unusable_calls=unusable,
        evidence=any(directives(item) & {CITE, TEST_FIRST} for item in items),
        recheck=any(RECHECK in directives(item) or _is_about_alerts(item) for item in items),
        form=bool(_FORM.search(text)),
        put_back=bool(_PUT_BACK.search(text)),
    )


def _is_about_alerts(item: str) -> bool:
    lowered = item.lower()
    return bool(_STILL.search(lowered)) or ("alert" in lowered and "after" in lowered)
