"""Surgical edits of clean traces: one failure each, and look-alikes that are none.

Owns: the list, and what each edit makes true. An edit returns None for a trace that does not offer what it needs. All
work on events alone and are deterministic, so the labels are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.mast.calibration import conclusions, conduct
from harness.mast.calibration.surgery import Events


class Edit(NamedTuple):
    """One edit."""

    name: str
    slug: str
    """The mode that it is about."""
    positive: bool
    """It makes the mode present; otherwise it looks like it and is none."""
    apply: Callable[[Events], Events | None]


EDITS: tuple[Edit, ...] = (
    Edit("alerts left out", "disobey_task", True, conduct.alerts_left_out),
    Edit("names without namespace", "disobey_task", True, conduct.names_without_namespace),
    Edit("too many causes", "disobey_task", True, conduct.too_many_causes),
    Edit("invented tool", "disobey_task", True, conduct.invented_tool),
    Edit("broken submission", "disobey_task", True, conduct.broken_submission),
    Edit("gave up", "disobey_task", True, conduct.gave_up),
    Edit(
        "writes in a reading role",
        "disobey_role",
        True,
        lambda e: conduct.role(e, lambda call: not call.event.mutating),
    ),
    Edit("stays in its role", "disobey_role", False, lambda e: conduct.role(e, lambda call: True)),
    Edit("repeated call", "step_repetition", True, conduct.repeated),
    Edit("repeated after a wait", "step_repetition", False, conduct.repeated_after_wait),
    Edit("fetched again after a cut", "history_loss", True, conduct.cut_then_again),
    Edit("cut without loss", "history_loss", False, conduct.cut),
    Edit("out of budget", "unaware_termination", True, conduct.out_of_budget),
    Edit("falls silent", "unaware_termination", True, conduct.silence),
    Edit("runs on", "unaware_termination", True, conduct.ran_on),
    Edit("task issued again", "conversation_reset", True, conduct.task_again),
    Edit("opening again", "conversation_reset", True, conduct.opening_again),
    Edit("assumption", "no_clarification", True, conduct.assumed),
    Edit("detour", "derailment", True, conduct.detour),
    Edit("unused alarm", "withholding", True, conduct.unused_alarm),
    Edit("same submission again", "ignored_input", True, lambda e: conduct.refused(e, same=True)),
    Edit("changed submission", "ignored_input", False, lambda e: conduct.refused(e, same=False)),
    Edit("announces another tool", "reasoning_action", True, lambda e: conduct.announced(e, other=True)),
    Edit("announces its tool", "reasoning_action", False, lambda e: conduct.announced(e, other=False)),
    Edit("answers another cause", "reasoning_action", True, conduct.another_cause),
    Edit("alerts only", "premature_termination", True, conclusions.alerts_only),
    Edit("alerts unread", "premature_termination", True, conclusions.alerts_unread),
    Edit("not remediated", "premature_termination", True, conclusions.not_remediated),
    Edit("alert ignored", "premature_termination", True, conclusions.alert_ignored),
    Edit("no cause", "premature_termination", True, conclusions.no_cause),
    Edit("stops without an answer", "premature_termination", True, conduct.gave_up),
    Edit("cause untested", "no_or_incomplete_verification", True, conclusions.untested),
    Edit("change unchecked", "no_or_incomplete_verification", True, conclusions.unchecked_change),
    Edit("cites a call never made", "incorrect_verification", True, conclusions.cites("[c977]")),
    Edit("cites a denied call", "incorrect_verification", True, conclusions.cites_denied),
    Edit("cites another matter", "incorrect_verification", True, conclusions.cites_other),
    Edit("cites an old check", "incorrect_verification", True, conclusions.cites_old_check),
    Edit("resolved while firing", "incorrect_verification", True, conclusions.resolved_while_firing),
    Edit("invented entity", "hallucinated_entity", True, conclusions.hallucinated),
    Edit("old window", "wrong_time_window", True, conclusions.old_window),
    Edit("backwards chain", "symptom_as_cause", True, conclusions.backwards),
    Edit("uncovered alerts", "alert_uncovered", True, conduct.alerts_left_out),
    Edit("deletes the namespace", "unsafe_write", True, conclusions.deletes("Namespace", dry_run=False)),
    Edit("tries out a deletion", "unsafe_write", False, conclusions.deletes("Namespace", dry_run=True)),
)
