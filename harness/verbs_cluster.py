"""Verbs about live clusters.

Owns: their command lines. Does not own: what they do (`harness/environments/kubernetes`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import ConfigurationError, Problem

FAILED = 1


def janitor(
    kubeconfig: Annotated[str | None, typer.Option(help="Default: KUBECONFIG or ~/.kube/config.")] = None,
    context: Annotated[str | None, typer.Option(help="Default: the current one.")] = None,
    everything: Annotated[
        bool, typer.Option(help="Also what has not expired: ends trials that are running, whoever's.")
    ] = False,
) -> int:
    """Remove from a live cluster what killed runs left there and has expired. 1 when something would not go."""
    from harness.cluster import ClusterError
    from harness.environments.kubernetes.environment import harness_cluster
    from harness.environments.kubernetes.janitor import sweep
    from harness.live_config import KubernetesConfig

    _, cluster = harness_cluster(KubernetesConfig(kubeconfig=kubeconfig, context=context))
    try:
        found = sweep(cluster, everything=everything)
    except ClusterError as error:
        raise ConfigurationError(Problem("cluster", str(error), "check --kubeconfig and --context")) from None
    for target in found.removed:
        typer.echo(f"removed {target}")
    for what in found.left:
        typer.echo(f"left {what}", err=True)
    if not found.removed:
        typer.echo("nothing to remove")
    return FAILED if found.left else 0


def fidelity(
    simulated: Annotated[
        Path, typer.Argument(help="Run of +experiment=live_kubernetes environment=simulated.")
    ],
    live: Annotated[Path, typer.Argument(help="The same experiment on a cluster.")],
    to: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
) -> int:
    """Compare what the simulated and a real cluster showed, scenario by scenario."""
    from harness.report.fidelity import compare, render

    text = render(compare(simulated, live))
    if to is None:
        typer.echo(text)
    else:
        to.write_text(text, encoding="utf-8")
    return 0
