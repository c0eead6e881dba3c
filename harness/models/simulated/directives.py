"""Reads standing instructions out of free text, as a model would: by what they say, whoever wrote them.

Owns: the kinds of instruction that the simulated model can understand and the words that express them. Does
not own: whether it obeys (`failures`). It knows no intervention and matches no complete sentence; a
sentence counts when it contains a word of every group of a kind.
"""

from __future__ import annotations

import re
from functools import lru_cache

CITE = "cite"
RECHECK = "recheck"
NO_REPEAT = "no_repeat"
CONCLUDE = "conclude"
COVER_ALERTS = "cover_alerts"
TEST_FIRST = "test_first"
NAMING = "naming"
DO_AS_SAID = "do_as_said"
REMEMBER = "remember"
STAY_ON_TASK = "stay_on_task"
ASK = "ask"
TREAD_LIGHTLY = "tread_lightly"
PUT_BACK = "put_back"

_CALL = (
    r"tool calls?|tool results?|call ids?|\bcalls?\b|\bquer(y|ies)|\bcommands?|\breads?\b|\bevidence\b|\[c"
)
_KINDS: dict[str, tuple[str, ...]] = {
    CITE: (
        r"\bcit(e|es|ed|ing|ations?)\b|\breferenc(e|es|ing)\b|\bquot(e|es|ing)\b|\bback(s|ed|ing)?\b",
        _CALL,
    ),
    RECHECK: (
        r"\balerts?\b|\bhealth\b|\bsymptoms?\b|\brecover(y|ed)\b",
        r"\bafter\b|\bfollowing\b|\bsince\b|\bonce\b|\bpost-date|\blater than\b",
        r"\bchang(e|es|ed)\b|\bactions?\b|\bfix(es|ed)?\b|\bremediat\w*|\bmutati\w+|\brepair\w*",
        r"\bread\w*|\bre-?read\w*|\bcheck\w*|\bverif\w+|\bconfirm\w*|\bquery|\blook\w*|\bobserv\w+|\bshow\w*",
    ),
    NO_REPEAT: (
        r"\brepeat\w*|\bre-?issue\w*|\bidentical\b|\bduplicat\w+|\bsame\b|\bre-?run\w*",
        r"\bnot\b|\bnever\b|\bavoid\w*|n't\b|\bwithout\b|\bno\b|\binstead of\b",
        _CALL + r"|\bsteps?\b",
    ),
    CONCLUDE: (
        r"\bconclude\b|\bstop\b|\bsubmit\b|\bfinish\b|\bhand in\b|\bend\b",
        r"\bas soon as\b|\bonce\b|\bwhen\b|\bdo not (go on|continue|keep)|\bwithout delay\b",
        r"\bevidence\b|\bcomplete\b|\bsupport\w*|\bconfirm\w*|\banswer\b|\bstable\b|\bestablished\b|\benough\b",
    ),
    COVER_ALERTS: (
        r"\ball\b|\bevery\b|\beach\b|\bunexplained\b|\bnone\b",
        r"\balerts?\b",
        r"\bexplain\w*|\bunexplained\b|\binvestigat\w+|\bcover\w*|\baccount\w*|\baddress\w*",
    ),
    TEST_FIRST: (
        r"\bsubmit\w*|\bconclu\w+|\bstop\w*|\bclaims?\b|\bhypothes[ie]s\b|\broot causes?\b|\bdiagnos\w+",
        r"\bbefore\b|\buntil\b|\bunless\b|\bonly\b|\bmust\b|\bneeds?\b|\brequires?\b|\bevery\b|\beach\b",
        r"\btest\w*|\bevidence\b|\binspect\w*|\bexamin\w+|\bsupport\w*|\brefut\w+|\bconfirm\w*|\bprov(e|en|ed)\b",
    ),
    NAMING: (
        r"namespace/kind/name|\bnam(e|es|ed|ing)\b",
        r"namespace/kind/name|\bformat\b|\bschema\b|\bexact\w*",
    ),
    DO_AS_SAID: (
        r"\bintent\w*|\bannounc\w+|\bplan\w*|\bstate\b|\bsay\b|\bsaid\b",
        r"\bmatch\w*|\bconsisten\w+|\bthen (do|call)|\bfollow\w*|\bagree\w*|\bexactly that\b",
    ),
    REMEMBER: (
        r"\bkeep\b|\bremember\b|\brecord\w*|\bnote\b|\bnotes\b|\bsummar\w+|\bledger\b|\btrack\b",
        r"\bfindings?\b|\bfacts?\b|\bestablished\b|\bso far\b|\bhypothes[ie]s\b|\balready\b",
    ),
    STAY_ON_TASK: (
        r"\bstay\b|\bremain\b|\bfocus\w*|\bdo not (drift|wander)|\bon topic\b|\bunrelated\b|\bside ?track\w*",
        r"\bincident\b|\btask\b|\bobjective\b|\bgoal\b|\balerts?\b|\brelevant\b",
    ),
    ASK: (
        r"\bambigu\w+|\bunclear\b|\bassum\w+|\bguess\w*|\bconflict\w*|\bseveral candidates\b",
        r"\bask\b|\bdeclare\b|\bprobe\b|\bdisambiguat\w+|\bclarif\w+|\bnot\b|\bnever\b|\bresolve\b|\bavoid\b",
    ),
    TREAD_LIGHTLY: (
        r"\bsmall\b|\bfew\b|\bminimal\b|\bmany objects\b|\bdry[_ -]run\b|\bdelete nothing\b|\bonly objects of\b",
        r"\bchang\w*|\bdelet\w*|\btouch\w*|\brestart\w*",
    ),
    PUT_BACK: (
        r"\bput\b.*\bback\b|\bundo\b|\brevert\w*|\broll\w* back\b",
        r"\bchange\w*|\balerts?\b|\bworse\b",
    ),
}
_COMPILED = {kind: tuple(re.compile(group) for group in groups) for kind, groups in _KINDS.items()}
_SENTENCE = re.compile(r"[.;!?]\s+|\n+\s*(?:[-*•]|\d+[.)])?\s*")


@lru_cache(maxsize=4096)
def directives(text: str) -> frozenset[str]:
    """The kinds of standing instruction that a text contains."""
    return frozenset(
        kind
        for sentence in _SENTENCE.split(text.lower())
        for kind, groups in _COMPILED.items()
        if all(group.search(sentence) for group in groups)
    )
