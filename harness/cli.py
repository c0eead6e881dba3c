"""The command line: a Hydra application, and a few verbs beside it.

Owns: dispatch, exit codes (0 all accounted for, 1 some trials excluded or owed, 2 harness or configuration
wrong), stdout for results and stderr for everything else. Heavy imports happen inside the branch that needs
them, so that `--help` stays fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import ConfigurationError, HarnessError, RunStopped

HELP = """\
Measures which interventions fix which failures of LLM agents on ITBench SRE incidents.

Run an experiment (Hydra: any configuration key can be overridden, -m sweeps, --cfg job shows the result):
  python -m harness +experiment=verifier_gate
  python -m harness +experiment=verifier_gate model=[gemini_3_flash,kimi_k2] scenario=[2,16] repeats=1
  python -m harness +experiment=verifier_gate run_dir=runs/mine        the same command again resumes

  python -m harness plan +experiment=verifier_gate                     dry run: cost, time, detectable effect
  python -m harness plan --json +experiment=verifier_gate pilot=RUN planning.effect=0.15

  python -m harness doctor [--json] [overrides]                        what works here of what such a run needs

Verbs:
  python -m harness scenarios list | show ID | validate [ID...]        the catalogue
  python -m harness scenarios import CHECKOUT | lint [PATH...]         ITBench's own files, and their defects
  python -m harness scenarios export ID --to DIR                       an incident in the layout of ITBench-Lite
  python -m harness scenarios snapshots ROOT [--index]                 recorded incidents, and what is wrong in them
  python -m harness report RUN                                         rebuild a report without running
  python -m harness view RUN                                           a report and all its traces, on loopback
  python -m harness compare RUN RUN...                                 across runs, paired where they can be
  python -m harness fork TRIAL --run RUN --at EVENT --arm ARM          continue a stored trial from that event
  python -m harness score OUTPUTS --ground-truth DIR                   score stored diagnoses, anyone's
  python -m harness export RUN --to DIR [--layout NAME]                for the official evaluator, OTLP, ATIF, Inspect
  python -m harness serve --scenario ID                                one incident for an agent of yours, over MCP
  python -m harness report --study itbench-mast-2026                   re-analyse a published study
  python -m harness classify PATH... [--judge NAME] [--out DIR]        MAST labels for traces from anywhere
  python -m harness calibrate inject RUN | sheet PATH | agreement GOLD how far labels can be trusted
  python -m harness janitor [--everything]                             remove what killed runs left behind
  python -m harness fidelity SIMULATED LIVE                            what the two clusters showed, by scenario

Configuration: groups under conf/ (experiment, environment, model, agent, intervention, judge, executor).
Exit codes: 0 all trials accounted for; 1 some excluded or owed; 2 harness or configuration wrong.
"""
VERBS = (
    "scenarios", "report", "view", "compare", "fork", "score", "export", "serve", "classify", "calibrate",
    "janitor", "fidelity",
)  # fmt: skip
SWEEP = ("-m", "--multirun")
FAILED, WRONG = 1, 2


def run(argv: list[str]) -> int:
    """Dispatch and turn every expected error into a message and an exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(HELP)
        return 0
    try:
        if argv[0] in VERBS:
            return verb(argv)
        if argv[0] == "plan":
            as_json = "--json" in argv
            overrides = [argument for argument in argv[1:] if argument != "--json"]
            return hydra_application(overrides, lambda composed: dry_run(composed, as_json))
        if argv[0] == "doctor":
            as_json = "--json" in argv
            overrides = [argument for argument in argv[1:] if argument != "--json"]
            return hydra_application(overrides, lambda composed: examination(composed, as_json))
        return hydra_application(argv, experiment)
    except HarnessError as error:
        return complain(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command finishes the rest\n")
        return FAILED


def verb(argv: list[str]) -> int:
    """A verb beside the Hydra application; a wrong command line is shown with its usage."""
    from harness.verbs import UsageError, app

    try:
        return int(app(args=argv, standalone_mode=False) or 0)
    except UsageError as error:
        error.show()
        return WRONG


def hydra_application(argv: Sequence[str], work: Callable[[dict[str, Any]], int]) -> int:
    """Compose the configuration with Hydra and do the work for each job that it yields."""
    import hydra
    from omegaconf import DictConfig, OmegaConf

    from harness.overrides import refuse_misspelt
    from harness.search_path import offer_added_groups

    refuse_misspelt(argv)
    codes: list[int] = []

    def job(composed: DictConfig) -> None:
        container = OmegaConf.to_container(composed, resolve=True)
        if not isinstance(container, dict):
            raise TypeError("Hydra composes a mapping")
        codes.append(guarded(lambda: work({str(key): value for key, value in container.items()})))

    sweep = [
        argument for argument in argv if argument in SWEEP
    ]  # argparse takes overrides on one side of it only
    sys.argv = ["harness", *sweep, *(argument for argument in argv if argument not in SWEEP)]
    offer_added_groups()
    try:
        hydra.main(version_base="1.3", config_path="pkg://conf", config_name="config")(job)()
    except SystemExit as stop:
        return WRONG if stop.code else 0
    return max(codes, default=0)


def dry_run(composed: dict[str, Any], as_json: bool) -> int:
    """Say what an experiment would take and find, without running anything."""
    import json

    from harness.config import parse_config
    from harness.planning import estimate
    from harness.report.planning import print_plan

    found = estimate(parse_config(composed))
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        print_plan(found)
    return 0


def examination(composed: dict[str, Any], as_json: bool) -> int:
    """Say what works here of what this configuration needs; 1 when something does not."""
    from rich.console import Console

    from harness import doctor
    from harness.config import parse_config
    from harness.doctor import findings

    config = parse_config(composed | {"name": composed.get("name") or "doctor"})
    with Console(stderr=True).status("examining") as status:
        found = list(doctor.examine(config, tell=lambda what: status.update(f"examining {what}")))
    if as_json:
        sys.stdout.write(findings.as_json(found) + "\n")
    else:
        findings.print_table(found)
    return findings.exit_code(found)


def experiment(composed: dict[str, Any]) -> int:
    """Run one experiment and print its contrasts."""
    from harness.config import parse_config
    from harness.experiment import run_experiment

    config = parse_config(composed)
    if config.fork is not None:
        from harness.verbs_inference import print_forks

        return print_forks(config)
    if config.closed_loop is not None:
        from harness.verbs_inference import print_searches

        return print_searches(config)
    outcome = run_experiment(config)
    from harness.report import print_contrasts  # pandas and matplotlib: not before trials have run

    print_contrasts(outcome.results)
    for why in outcome.postponed:
        sys.stderr.write(f"left owed: {why}; the same command goes on\n")
    sys.stderr.write(f"report: {outcome.run_dir / 'report.html'}\n")
    for what in outcome.left:
        sys.stderr.write(f"left on the cluster: {what}\n")
    return FAILED if outcome.unaccounted or outcome.left else 0


def guarded(work: Callable[[], int]) -> int:
    """Inside Hydra, which would turn our errors into its own: the same translation as in `run`."""
    try:
        return work()
    except HarnessError as error:
        return complain(error)


def complain(error: HarnessError) -> int:
    """Print every problem on a line of its own."""
    if isinstance(error, RunStopped):
        sys.stderr.write(f"stopped: {error}; the same command does the rest\n")
        return FAILED
    problems = error.problems if isinstance(error, ConfigurationError) else (error,)
    for problem in problems:
        sys.stderr.write(f"error: {problem}\n")
    return WRONG
