"""The error tree, and the one table that says what each cause means for a trial.

    HarnessError
    ├── ConfigurationError        the user's input is wrong; nothing was run; lists every problem found
    ├── TrialError                one attempt ended early; `cause` is a row of CAUSES
    │   ├── InfrastructureError   the agent is not to blame (cluster, injection, provider)
    │   │   └── Unanswered        monitoring cannot answer one query; where an agent asked, it is told
    │   └── AgentError            the agent system is to blame (budget, no output, crash)
    ├── ToolError                 a tool call was refused or failed; its message goes to the agent
    ├── Postponed                 a trial cannot go on in this run; it has no record and stays owed
    └── RunStopped                the run cannot go on; what finished is durable, the rest stays owed

Owns: the tree, the reason codes, their consequences. Does not own: retry timing (models, executors).
Nothing else in the harness decides whether a failure is retried, graded or counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Grade = Literal["zero", "exclude", "stop"]


class Cause(NamedTuple):
    """What a reason code means for a trial that ended with it."""

    retry: bool
    """Run a new attempt before giving up."""
    grade: Grade
    """`zero`: the trial counts with score 0. `exclude`: infrastructure; left out, both bounds are printed.
    `stop`: the run stops, nothing is recorded and the trial stays owed."""
    says: str
    """One line for reports."""


CAUSES: dict[str, Cause] = {
    "no_output": Cause(False, "zero", "the agent ended without submitting a diagnosis"),
    "invalid_json": Cause(False, "zero", "the submission was not JSON"),
    "schema_violation": Cause(False, "zero", "the submission did not follow the output contract"),
    "budget_turns": Cause(False, "zero", "turn budget used up before a submission"),
    "budget_tokens": Cause(False, "zero", "token budget used up before a submission"),
    "budget_time": Cause(False, "zero", "time budget used up before a submission"),
    "budget_cost": Cause(False, "zero", "money budget of the trial used up before a submission"),
    "budget_output": Cause(False, "zero", "the agent's program sent more bytes than it may"),
    "stopped_by_guard": Cause(False, "zero", "a guard stopped the agent before a submission"),
    "tool_crash": Cause(True, "zero", "a tool of the harness crashed"),
    "agent_error": Cause(False, "zero", "the agent's own code raised an error"),
    "infra_deploy_failed": Cause(True, "exclude", "the application could not be deployed"),
    "infra_inject_failed": Cause(True, "exclude", "the fault could not be injected or confirmed"),
    "infra_cluster_lost": Cause(True, "exclude", "the cluster stopped answering the harness"),
    "infra_monitoring_failed": Cause(
        True, "exclude", "a monitoring server did not answer, or not as it should"
    ),
    "infra_worker_lost": Cause(True, "exclude", "its worker process died, each time that it ran alone too"),
    "model_not_reached": Cause(True, "exclude", "the attempt ended before the model was asked anything"),
    "harness_crash": Cause(False, "exclude", "the harness itself raised an unexpected error: a bug"),
    "infra_sandbox_failed": Cause(True, "exclude", "the container engine failed"),
    "baseline_unhealthy": Cause(True, "exclude", "the application was not healthy before the injection"),
    "api_error": Cause(True, "exclude", "the model's provider could not be reached or kept failing"),
    "replay_diverged": Cause(False, "exclude", "a fork could not be brought back to the recorded state"),
    "judge_error": Cause(True, "exclude", "the judge could not be reached or kept failing"),
    "interrupted": Cause(False, "stop", "it was told to stop before its last trial"),
    "run_dir_refuses": Cause(False, "stop", "the run directory cannot be written (full, read-only, gone)"),
    "no_worker": Cause(False, "stop", "no worker of the cluster can be had, or none starts"),
    "no_report": Cause(False, "stop", "the trials are done and stored, their report could not be written"),
    "worker_broken": Cause(False, "stop", "a worker cannot go on for a reason that no trial survives"),
}
"""Reason codes. Only infrastructure causes may be excluded from a denominator."""


class HarnessError(Exception):
    """Root of everything that the harness raises on purpose."""


class Problem(NamedTuple):
    """One thing that is wrong in the user's input."""

    where: str
    """File, line or field, as the user knows it."""
    what: str
    """What was found and what was expected."""
    hint: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.where}: {self.what}{hint}"


class ConfigurationError(HarnessError):
    """The configuration, a scenario file or an argument is wrong. Carries every problem found at once."""

    def __init__(self, problems: Sequence[Problem] | Problem) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


class TrialError(HarnessError):
    """An attempt ended early. `cause` is a key of CAUSES, `detail` is for humans."""

    def __init__(self, cause: str, detail: str = "") -> None:
        if cause not in CAUSES or CAUSES[cause].grade == "stop":
            known = [name for name, row in CAUSES.items() if row.grade != "stop"]
            raise ValueError(f"unknown cause {cause!r} of a trial; expected one of {', '.join(known)}")
        self.cause = cause
        self.detail = detail
        super().__init__(cause, detail)

    def __str__(self) -> str:
        return f"{self.cause}: {self.detail}" if self.detail else self.cause


class InfrastructureError(TrialError):
    """Cluster, injection or provider failed; the agent is not to blame."""


class Unanswered(InfrastructureError):
    """A monitoring server was reached, and this one query is too much for it. The toolbox turns it into a ToolError;
    where no agent asked, the attempt ends."""


class AgentError(TrialError):
    """The agent system is to blame: budget, missing or invalid output, crash."""


class RunStopped(HarnessError):
    """The run cannot go on; `cause` is a key of CAUSES that stops. What finished is durable; the same command does
    the rest."""

    def __init__(self, cause: str, detail: str) -> None:
        if CAUSES[cause].grade != "stop":
            raise ValueError(f"{cause} does not stop a run")
        self.cause = cause
        self.detail = detail
        super().__init__(cause, detail)

    def __str__(self) -> str:
        return f"{self.cause}: {self.detail}"


class ToolError(HarnessError):
    """A tool call was malformed, refused or failed. The message is what the agent reads."""


class Postponed(HarnessError):
    """A trial cannot go on in this run for reasons outside of it (money, a provider that is down): nothing is
    recorded and it stays owed. `everything`: no other trial could be worked on either."""

    def __init__(self, why: str, everything: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.everything = everything

    def __reduce__(self) -> tuple[type[Postponed], tuple[str, bool]]:
        return (type(self), (self.why, self.everything))
