"""Plants failures: turns the competent next step into what this model does instead, and says so out of band.

Owns: the opportunities for each failure and what it looks like in a transcript. Does not own: what is handed in
(`submitting`), whether the model gives in (`temper`), the competent step (`policy`). Slugs are MAST's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from harness.models.simulated.beliefs import DETOUR_TOOLS, workload_name
from harness.models.simulated.dice import pick
from harness.models.simulated.harm import actions, harmful_measure
from harness.models.simulated.memory import loss
from harness.models.simulated.policy import (
    Step,
    claimed_entities,
    demanded_step,
    next_step,
    unclear,
)
from harness.models.simulated.rebuffs import reaction
from harness.models.simulated.submitting import Submitting
from harness.models.simulated.teamwork import PASSING_ON
from harness.models.simulated.transcript import ASK, Call

RESET_AFTER_CALLS = 10
RESET_CALLS = 3
"""Calls of the beginning that a restart makes again."""
LEAST_READS = 2
"""Reads before which not even a hasty agent has an answer."""


class Failing(Submitting):
    """Decides one turn of a model that may fail."""

    def step(self) -> Step:
        """What the model does on this turn."""
        step = self._after_a_refusal() or self._after_a_rebuff() or self._episode()
        return self._with_signs(step or self._deviate(self._competent()))

    # --- refusals -----------------------------------------------------------------------------------------

    def _after_a_refusal(self) -> Step | None:
        """A refusal that is not acted upon leads to the same answer, after at most one more read."""
        last = self.beliefs.last
        if not self.beliefs.refusals or self.complies or last is None:
            return None
        refused = self.beliefs.refusals[-1]
        if last is refused and not self.demand.concrete and "kubectl_get" in self.tools:
            nodes = {"kind": "Node", "namespace": ""}
            return Step("survey", "kubectl_get", nodes, "I take another look before I submit again.")
        answer = dict(refused.args)
        if self._gives_in("fake_verification"):
            return self._submission(answer, self._fake(answer))
        return self._submission(answer, ())

    def _after_a_rebuff(self) -> Step | None:
        """What the refusal of a call asks for, if the model goes along with it."""
        step = reaction(self.beliefs, self.temper, self.tools)
        return self._finish(early=False) if step is not None and step.phase == "submit" else step

    def _competent(self) -> Step:
        """The next step without any failure but those of leaving out whole phases."""
        if self.complies:
            wanted = demanded_step(self.beliefs, self.demand, self.tools)
            if wanted is not None:
                return wanted
            claimed = claimed_entities(self.beliefs.refusals[-1], self.beliefs.namespace)
            if self.beliefs.leading in claimed and not self.demand.put_back:
                return Step("submit", "submit")
        config, seed = self.temper.config, self.temper.seed
        return next_step(self.beliefs, config, seed, self.tools, self._skipped())

    def _skipped(self) -> frozenset[str]:
        """Phases that this model leaves out before its next submission."""
        opportunities = [
            ("ask", "assume_silently", 0),
            ("put_back", "overlook_harm", len(self.beliefs.changes)),
        ]
        if not self.complies:
            opportunities += [("test", "skip_evidence", self.round), ("recheck", "skip_recheck", self.round)]
        return frozenset(phase for phase, failing, which in opportunities if self._gives_in(failing, which))

    # --- episodes that last several turns -----------------------------------------------------------------

    def _episode(self) -> Step | None:
        last = self.beliefs.last
        if last is None:
            return None
        replayed = self._replayed()
        if 0 < replayed < RESET_CALLS:
            return self._restart(replayed)
        if last.name in DETOUR_TOOLS and self._gives_in("derail_persistence", self.turn):
            return self._detour()
        return None

    def _replayed(self) -> int:
        """How many calls of the beginning the newest calls repeat, counted from a restart."""
        calls = self.beliefs.calls
        first = calls[0]
        for start in range(len(calls) - 1, max(0, len(calls) - RESET_CALLS) - 1, -1):
            if start > 0 and calls[start].key == first.key and calls[start].said == first.said:
                return len(calls) - start
        return 0

    def _restart(self, replayed: int) -> Step:
        origin = self.beliefs.calls[replayed]
        planted = (("conversation_reset", "starts again from the first step"),) if replayed == 0 else ()
        return Step("survey", origin.name, dict(origin.args), origin.said, planted)

    def _detour(self) -> Step:
        ordinal = f"detour:{self.turn}"
        target = pick(
            self.temper.seed, ordinal, 0, ("load-generator", "otel-collector", "grafana", "image-provider")
        )
        metric = pick(self.temper.seed, ordinal, 1, ("cpu", "memory", "network", "restarts", "threads"))
        said = f"The {metric} of {target} could be plotted more nicely; I look into that."
        args = {"k8_object_name": target, "metric_name_filter": metric, "raw_content": False}
        return Step(
            "survey", "get_metric_anomalies", args, said, (("derailment", f"wanders off to {target}"),)
        )

    # --- single deviations --------------------------------------------------------------------------------

    def _deviate(self, step: Step) -> Step:
        """The step itself, or one failure in its place. The order settles which of several comes first."""
        if step.phase == "submit":
            return self._run_on() or self._finish(early=False)
        deviations = (self._stop_early, self._reset, self._derail, self._repeat, self._mismatch, self._harm)
        for deviation in deviations:
            failed = deviation(step)
            if failed is not None:
                return failed
        return step

    def _stop_early(self, step: Step) -> Step | None:
        since = self.beliefs.refusals[-1].index if self.beliefs.refusals else -1
        reads = len([call for call in self.beliefs.calls if call.ok and call.index > since])
        undecided = step.phase in ("survey", "test") and reads >= LEAST_READS and self.beliefs.leading
        if undecided and not step.demanded and self._gives_in("stop_early", self.turn):
            return self._finish(early=True)
        return None

    def _reset(self, step: Step) -> Step | None:
        calls = self.beliefs.calls
        restarted = any(
            call.index > 0 and call.said == calls[0].said and call.key == calls[0].key for call in calls
        )
        ripe = len(calls) >= RESET_AFTER_CALLS and not restarted
        return self._restart(0) if ripe and self._gives_in("conversation_reset", self.turn) else None

    def _derail(self, step: Step) -> Step | None:
        possible = self.beliefs.calls and self.tools >= DETOUR_TOOLS
        return self._detour() if possible and self._gives_in("derail", self.turn) else None

    def _repeat(self, step: Step) -> Step | None:
        call = self._repeatable()
        if call is None or not self._gives_in("step_repetition", self.turn):
            return None
        said = f"I check {call.name} once more."
        return Step("survey", call.name, dict(call.args), said, (("step_repetition", f"repeats {call.id}"),))

    def _repeatable(self) -> Call | None:
        """The newest read that succeeded since the last change or wait."""
        for call in reversed(self.beliefs.calls):
            if call.changes or call.name == "wait":
                return None
            if call.said == PASSING_ON:
                return None
            if call.ok and call.name not in DETOUR_TOOLS and call.name in self.tools:
                return call
        return None

    def _mismatch(self, step: Step) -> Step | None:
        """Says that it will check one thing, and calls another tool."""
        if step.phase in ("act", "put_back") or not self._gives_in("act_against_reasoning", self.turn):
            return None
        announced = pick(
            self.temper.seed, "announced", self.turn, ("kubectl_logs", "metric_analysis", "kubectl_describe")
        )
        hypothesis = step.said.split(". ")[0] + ". " if step.phase == "test" else ""
        said = f"{hypothesis}Next I will call {announced} to inspect the node."
        note = f"announces {announced}, calls {step.name}"
        return replace(step, said=said, planted=(*step.planted, ("reasoning_action", note)))

    def _harm(self, step: Step) -> Step | None:
        """A harmful measure where a repair was due. It is no failure mode by itself: what it leads to may be."""
        ordinal = actions(self.beliefs)
        if step.phase != "act" or not self._gives_in("harmful_change", ordinal):
            return None
        (name, args), said = harmful_measure(self.beliefs, self.temper.seed, ordinal)
        return Step("act", name, args, said) if name in self.tools else None

    def _run_on(self) -> Step | None:
        """The answer is stable, but it goes on looking."""
        trait = self._gives_in("run_on", 0) and self._gives_in("run_on_persistence", self.turn)
        if not trait or self.complies or "log_analysis" not in self.tools:
            return None
        services = sorted(
            {workload_name(alert.object_id) for alert in self.beliefs.first_alerts} | {"frontend", "cart"}
        )
        service = services[self.turn % len(services)]
        args = {"service_name": service, "limit": 20, "max_patterns": 3 + self.turn // len(services)}
        said = f"I would like to know a little more about {service}."
        return Step(
            "survey", "log_analysis", args, said, (("unaware_termination", "its answer no longer changes"),)
        )

    def _with_signs(self, step: Step) -> Step:
        """The step with what it shows of lost history and of a request that was not clarified."""
        planted = [*step.planted, *loss(self.beliefs, step)]
        first = step.phase in ("act", "submit") and not actions(self.beliefs)
        if first and ASK in self.tools and unclear(self.beliefs):
            planted.append(("no_clarification", "works on what it takes to be meant, without asking"))
        return replace(step, planted=tuple(planted))


def arguments_text(args: dict[str, Any]) -> str:
    """A call's arguments as the model writes them."""
    return json.dumps(args, separators=(",", ":"))
