"""Verbs about live clusters and container engines.

Owns: their command lines. Does not own: what they do (`harness/environments/kubernetes`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import ConfigurationError, InfrastructureError, Problem

FAILED = 1


def janitor(
    kubeconfig: Annotated[str | None, typer.Option(help="Default: KUBECONFIG or ~/.kube/config.")] = None,
    context: Annotated[str | None, typer.Option(help="Default: the current one.")] = None,
    run: Annotated[
        str, typer.Option(help="Also what a run left: the value of its label sre-harness/run.")
    ] = "",
    everything: Annotated[
        bool, typer.Option(help="Also what has not expired: ends trials that are running, whoever's.")
    ] = False,
) -> int:
    """Remove what killed runs left: containers whose process is gone, and what has expired on a live cluster.
    1 when something would not go."""
    from harness.cluster import ClusterError
    from harness.environments.kubernetes.janitor import sweep
    from harness.environments.kubernetes.live import harness_cluster
    from harness.live_config import KubernetesConfig
    from harness.sandbox.engine import remove_orphans

    removed: list[str] = []
    left: list[str] = []
    missing: list[Problem] = []
    try:
        removed += [f"container {name}" for name in remove_orphans()]
    except ConfigurationError as error:
        missing += error.problems
    except InfrastructureError as error:
        left.append(f"containers: {error}")
    try:
        _, cluster = harness_cluster(KubernetesConfig(kubeconfig=kubeconfig, context=context))
        found = sweep(cluster, run, everything)
        removed += [
            f"{one} (marks; it takes pods again)" if one.kind == "Node" else str(one) for one in found.removed
        ]
        left += found.left
    except ConfigurationError as error:
        missing += error.problems
        if kubeconfig or context or len(missing) > 1:
            raise ConfigurationError(missing) from None
    except ClusterError as error:
        raise ConfigurationError(Problem("cluster", str(error), "check --kubeconfig and --context")) from None
    for line in (*(f"not looked at: {problem}" for problem in missing), *(f"left {what}" for what in left)):
        typer.echo(line, err=True)
    for what in removed or ["nothing"]:
        typer.echo(f"removed {what}")
    return FAILED if left else 0


def fidelity(
    simulated: Annotated[
        Path, typer.Argument(help="Run of +experiment=live_kubernetes environment=simulated.")
    ],
    live: Annotated[
        list[Path], typer.Argument(help="The same experiment on a cluster, in one run or several.")
    ],
    to: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
) -> int:
    """Compare what the simulated and a real cluster showed, scenario by scenario."""
    from harness.report.fidelity import compare, render

    text = render(compare(simulated, *live))
    if to is None:
        typer.echo(text)
    else:
        to.write_text(text, encoding="utf-8")
    return 0
