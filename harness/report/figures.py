"""Plots as inline SVG: contrasts with intervals, and arms with intervals.

Owns: the drawings. Does not own: the numbers. Equal results give equal bytes: element names come from a fixed
salt and nothing records a date. Colours are the page's own, so the plots follow light and dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.metrics import by_public_name

# Colours that occur nowhere else and stand for the page's CSS variables.
INK, ACCENT, FAINT = "#010203", "#040506", "#070809"
_CSS = {INK: "var(--ink)", ACCENT: "var(--accent)", FAINT: "var(--faint)"}

# Any: matplotlib types its settings by literal names, and not the same in every release.
_STYLE: Any = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def contrast_figure(results: Mapping[str, Any], system: Mapping[str, Any]) -> str:
    """Forest plot of one model's declared contrasts: the primary metric, remediation, modes per trace."""
    names = list(dict.fromkeys((results["primary_metric"], "remediated", "modes_per_trace")))
    panels = {}
    for name in names:
        entries = [e for e in results["contrasts"] if _of(system, e) and e["metric"] == name]
        points = [_point(e, e["estimate"], f"{e['arm']} − {e['reference']}") for e in entries]
        declared = " (declared)" if name == results["primary_metric"] else ""
        panels[f"Δ {by_public_name(name).label}{declared}"] = points
    return _draw(panels, f"Contrasts of {_title(system)}: difference with 95 % interval", zero=True)


def arms_figure(results: Mapping[str, Any], system: Mapping[str, Any]) -> str:
    """Recall, remediation and modes per trace of one model by arm."""
    arms = [entry for entry in results["arms"] if _of(system, entry)]
    panels = {}
    for name, key in (("recall",) * 2, ("remediated",) * 2, ("modes/trace", "modes_per_trace_interval")):
        panels[name] = [_point(entry[key], entry[key]["mean"], entry["arm"]) for entry in arms]
    return _draw(panels, f"Arms of {_title(system)}: mean with 95 % interval", zero=False)


def _of(system: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return bool(entry["model"] == system["model"] and entry["agent"] == system["agent"])


def _title(system: Mapping[str, Any]) -> str:
    return f"{system['model']}{' (simulated)' if system['simulated'] else ''}, {system['agent']}"


def _point(entry: Mapping[str, Any], middle: float | None, label: str) -> dict[str, Any]:
    clear = entry.get("p_holm") is not None and entry["p_holm"] < 0.05
    return {"label": label, "x": middle, "low": entry["low"], "high": entry["high"], "clear": clear}


def _draw(panels: Mapping[str, Sequence[Mapping[str, Any]]], title: str, zero: bool) -> str:
    rows = max(len(points) for points in panels.values())
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.2, 0.95 + 0.3 * rows))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        figure.suptitle(title, x=0.01, y=0.99, ha="left", va="top", fontsize=10)
        for ax, (name, points) in zip(axes, panels.items(), strict=True):
            _panel(ax, name, points, zero)
        top = 1 - 0.3 / figure.get_figheight()
        figure.subplots_adjust(
            left=0.29, right=0.985, top=top, bottom=0.5 / figure.get_figheight(), wspace=0.12
        )
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata=_METADATA)
    return _inline(sink.getvalue(), title)


def _panel(ax: Axes, name: str, points: Sequence[Mapping[str, Any]], zero: bool) -> None:
    if zero:
        ax.axvline(0, color=FAINT, linewidth=1, linestyle="--")
    for y, point in enumerate(points):
        if point["x"] is None:
            continue
        if point["low"] is not None and point["high"] is not None:
            ax.plot([point["low"], point["high"]], [y, y], color=ACCENT, linewidth=2, solid_capstyle="butt")
        filled = ACCENT if point["clear"] or not zero else "none"
        ax.plot([point["x"]], [y], "o", color=ACCENT, markerfacecolor=filled, markersize=5)
    ax.set_yticks(range(len(points)), [str(point["label"]).replace("$", r"\$") for point in points])
    ax.set_ylim(len(points) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(name)


def _inline(svg: str, title: str) -> str:
    """The drawing as an element for a page: own id names, page colours, a title for screen readers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Several drawings share a page, and matplotlib numbers the parts of each from one.
    prefix = re.sub(r"[^a-z0-9]+", "-", title.lower())
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{prefix}.", svg)
    for colour, variable in _CSS.items():
        svg = svg.replace(colour, variable)
    opening = svg[: svg.index(">") + 1]
    label = escape(title, quote=True)
    view = re.search(r'viewBox="[^"]*"', opening)
    box = view.group(0) if view else ""
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} {box} role="img" aria-label="{label}">' + svg[len(opening) :].strip()
