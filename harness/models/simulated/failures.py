"""Plants failures: turns the competent next step into what this model does instead, and says so out of band.

Owns: the opportunities for each failure and what it looks like in a transcript. Does not own: whether the
model gives in (`temper`) or the competent step (`policy`). Slugs are those of the MAST taxonomy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.models.simulated.answer import honest_answer
from harness.models.simulated.beliefs import DETOUR_TOOLS, Beliefs, workload_name
from harness.models.simulated.dice import pick
from harness.models.simulated.feedback import Demand, understand
from harness.models.simulated.harm import actions, harmful_measure, new_alerts
from harness.models.simulated.memory import contradiction, loss, unexplained
from harness.models.simulated.policy import (
    Step,
    claimed_entities,
    demanded_step,
    next_step,
    still_firing,
    unclear,
)
from harness.models.simulated.rebuffs import reaction
from harness.models.simulated.teamwork import PASSING_ON
from harness.models.simulated.temper import Temper
from harness.models.simulated.transcript import ASK, Call

RESET_AFTER_CALLS = 10
RESET_CALLS = 3
"""Calls of the beginning that a restart makes again."""
LEAST_READS = 2
"""Reads before which not even a hasty agent has an answer."""
NO_DEMAND = Demand()


class Failing:
    """Decides one turn of a model that may fail."""

    def __init__(self, beliefs: Beliefs, temper: Temper, tools: frozenset[str]) -> None:
        self.beliefs, self.temper, self.tools = beliefs, temper, tools
        self.turn = beliefs.transcript.turn
        self.round = len(beliefs.refusals)
        """Submissions so far: gives each its own opportunities."""
        self.demand = understand(beliefs.refusals[-1].content) if beliefs.refusals else NO_DEMAND
        self.complies = self.demand.concrete and temper.acts_on_feedback(self.round)

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

    # --- the submission -----------------------------------------------------------------------------------

    def _finish(self, early: bool) -> Step:
        """The submission, with the failures that it contains."""
        overlooks = self._gives_in("overlook_harm", len(self.beliefs.changes))
        answer = honest_answer(self.beliefs, self.demand.unusable_calls, sees_harm=not overlooks)
        planted: list[tuple[str, str]] = []
        if overlooks and answer["resolved"] and (new := new_alerts(self.beliefs)):
            planted.append(("incorrect_verification", f"claims resolved; new since its change: {new[0]}"))
        if early:
            planted.append(("premature_termination", "its hypothesis was not tested"))
        if left_out := unexplained(self.beliefs, answer):
            planted.append(("disobey_task", left_out))
        planted += self._unverified(answer)
        spoilers: tuple[Callable[[dict[str, Any]], tuple[tuple[str, str], ...]], ...] = (
            self._contradict,
            self._assume,
            self._omit_alerts,
            self._misname,
        )
        for spoil in spoilers:
            planted += spoil(answer)
        if not self.complies and self._gives_in("fake_verification"):
            planted += self._fake(answer)
        return self._submission(answer, tuple(planted))

    def _submission(self, answer: dict[str, Any], planted: tuple[tuple[str, str], ...]) -> Step:
        blamed = [entity["name"] for entity in answer.get("entities", ()) if entity["contributing_factor"]]
        return Step(
            "submit", "submit", answer, f"I submit. Root cause: {', '.join(blamed) or 'unknown'}.", planted
        )

    def _unverified(self, answer: dict[str, Any]) -> list[tuple[str, str]]:
        """Claims without reads behind them, and a change without a look at its effect."""
        planted = []
        blamed = [entity for entity in answer["entities"] if entity["contributing_factor"]]
        if any(not self.beliefs.tested(entity["name"]) for entity in blamed):
            planted.append(("no_or_incomplete_verification", "V0: no read tests the claimed cause"))
            for entity in blamed if not self.complies else ():
                entity["evidence"] = "Seen in the alerts."
        if self.beliefs.changes and not self.beliefs.rechecks:
            planted.append(("no_or_incomplete_verification", "V1: alerts not read after the last change"))
            answer["resolved"] = True
            answer["resolution_evidence"] = "The change was applied."
        return planted

    def _contradict(self, answer: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        """Answers another cause than the one it argued for."""
        if not self._gives_in("contradict_answer"):
            return ()
        symptom = self._another_suspect()
        blamed = [entity for entity in answer["entities"] if entity["contributing_factor"]]
        answer["entities"] = [entity for entity in answer["entities"] if entity["name"] != symptom]
        for entity in blamed:
            entity["contributing_factor"] = False
        answer["entities"].insert(0, {**blamed[0], "name": symptom, "contributing_factor": True})
        return self._contradiction(symptom)

    def _contradiction(self, answered: str) -> tuple[tuple[str, str], ...]:
        """What such an answer shows: it contradicts only what was said; otherwise it may lack a test."""
        suspects = [self.beliefs.leading, *(cause.entity for cause in self.beliefs.causes)]
        argued = next((entity for entity in suspects if entity in self.beliefs.stated), "")
        if argued:
            note = f"argued for {argued}, answers {answered}"
            return ((contradiction(self.beliefs, argued), note),)
        if self.beliefs.tested(answered):
            return ()
        return (("no_or_incomplete_verification", "V0: no read tests the claimed cause"),)

    def _another_suspect(self) -> str:
        """Something else that suffers, as visible as possible; users see the front end."""
        suffering = [self.beliefs.symptom, *(alert.object_id for alert in self.beliefs.first_alerts)]
        stated = {self.beliefs.leading, ""} | {cause.entity for cause in self.beliefs.causes}
        names = {workload_name(entity) for entity in stated}
        others = (
            entity for entity in suffering if entity not in stated and workload_name(entity) not in names
        )
        return next(others, f"{self.beliefs.namespace}/Deployment/frontend")

    def _assume(self, answer: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        """Several candidates, and one is assumed without a probe."""
        candidates = {alert.object_id for alert in self.beliefs.first_alerts}
        if self.beliefs.causes or len(candidates) < 2 or not self._gives_in("guess"):
            return ()
        for entity in answer["entities"][:1]:
            entity["reasoning"] = f"Probably {entity['name']}; I assume that it is the one."
        return (("no_clarification", f"assumes one of {len(candidates)} candidates"),)

    def _omit_alerts(self, answer: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        alerts = answer["alerts_explained"]
        if not alerts or not self._gives_in("omit_alerts"):
            return ()
        answer["alerts_explained"] = alerts[: len(alerts) // 2]
        return (("disobey_task", f"{len(alerts) - len(alerts) // 2} alerts not explained"),)

    def _misname(self, answer: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        if not self._gives_in("misname"):
            return ()
        for entity in answer["entities"]:
            entity["name"] = entity["name"].split("/", 1)[1]
        return (("disobey_task", "entity names without namespace"),)

    def _fake(self, answer: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        """Claims checks that were never made."""
        invented = f"[c{len(self.beliefs.calls) + 7}]"
        answer["entities"] = [
            {**entity, "evidence": f"Verified by {invented}."} if entity["contributing_factor"] else entity
            for entity in answer.get("entities", ())
        ]
        note = f"cites {invented}, which does not exist"
        if self.beliefs.changes and (still_firing(self.beliefs) or not self.beliefs.rechecks):
            answer["resolved"] = True
            answer["resolution_evidence"] = f"All alerts have cleared, see {invented}."
            note += "; claims resolved without support"
        return (("incorrect_verification", note),)

    # --- helpers ------------------------------------------------------------------------------------------

    def _with_signs(self, step: Step) -> Step:
        """The step with what it shows of lost history and of a request that was not clarified."""
        planted = [*step.planted, *loss(self.beliefs, step)]
        first = step.phase in ("act", "submit") and not actions(self.beliefs)
        if first and ASK in self.tools and unclear(self.beliefs):
            planted.append(("no_clarification", "works on what it takes to be meant, without asking"))
        return replace(step, planted=tuple(planted))

    def _gives_in(self, failing: str, ordinal: int | str | None = None) -> bool:
        return self.temper.gives_in(failing, self.round if ordinal is None else ordinal)


def arguments_text(args: dict[str, Any]) -> str:
    """A call's arguments as the model writes them."""
    return json.dumps(args, separators=(",", ":"))
