"""Plots as inline SVG: contrasts and arms with their intervals, cost against recall.

Owns: the drawings. Does not own: the numbers. Each drawing is narrow enough for a phone; a page sets several side by
side. Equal results give equal bytes: element names come from a fixed salt and nothing records a date. Colours and
letters are the page's own, so the plots follow light and dark. Numbers are links where the caller gives one.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that occur nowhere else and stand for the page's CSS variables.
INK, ACCENT, FAINT, SOFT = "#010203", "#040506", "#070809", "#0a0b0c"
_CSS = {INK: "var(--ink)", ACCENT: "var(--accent)", FAINT: "var(--faint)", SOFT: "var(--soft)"}

# Any: matplotlib types its settings by literal names, and not the same in every release.
_STYLE: Any = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
WIDTH = 4.0
"""Inches; 288 CSS pixels at the least, as wide as the page gives at the most."""
LONGEST_LABEL = 38
ROW, HEAD, FOOT = 0.42, 0.08, 0.52
"""Heights in inches: of a row, above the rows, below them."""


class Row(NamedTuple):
    """One line of a forest plot."""

    label: str
    middle: float | None
    low: float | None
    high: float | None
    text: str
    """The numbers as the tables have them."""
    link: str = ""
    clear: bool = True
    """Drawn filled; for contrasts: differs from zero after correction."""


class Point(NamedTuple):
    """One arm in a plot of cost against an outcome."""

    label: str
    x: float
    y: float
    low: float | None
    high: float | None
    link: str = ""
    reference: bool = False


def forest(rows: Sequence[Row], title: str, says: str, zero: bool = True, axis: str = "") -> str:
    """Rows with their interval, a label and the numbers above each; `axis` says which way is better."""
    height = HEAD + ROW * len(rows) + FOOT
    with _drawing(WIDTH, height) as (figure, sink):
        ax = figure.add_axes((0.03, FOOT / height, 0.94, ROW * len(rows) / height))
        for place, row in enumerate(rows):
            _interval(ax, place + 0.68, row)
            _caption(ax, place + 0.3, row)
        if zero:
            ax.axvline(0, color=FAINT, linewidth=1, linestyle="--", zorder=0)
        _limits(ax, rows, zero)
        ax.set_ylim(len(rows), 0)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(axis, fontsize=8)
    return _inline(sink.getvalue(), title, says)


def scatter(points: Sequence[Point], title: str, says: str, x: str, y: str) -> str:
    """Arms by what they cost and what they achieve, each joined to the reference arm."""
    with _drawing(WIDTH, 3.2) as (figure, sink):
        ax = figure.add_axes((0.13, 0.15, 0.84, 0.8))
        centre = next((point for point in points if point.reference), None)
        for point in points:
            if centre is not None and point is not centre:
                ax.plot([centre.x, point.x], [centre.y, point.y], color=FAINT, linewidth=0.8, zorder=0)
            if point.low is not None and point.high is not None:
                ax.plot([point.x] * 2, [point.low, point.high], color=ACCENT, linewidth=1, alpha=0.5)
            filled = "none" if point.reference else ACCENT
            ax.plot([point.x], [point.y], "o", color=ACCENT, markerfacecolor=filled, markersize=6)
        _spread(ax, points)
        ax.set_xlabel(x, fontsize=8)
        ax.set_ylabel(y, fontsize=8)
        ax.xaxis.set_major_formatter(lambda value, _: _short(value))
        ax.margins(x=0.3)
        ax.set_ylim(-0.05, 1.05)
        ax.locator_params(axis="x", nbins=5)
    return _inline(sink.getvalue(), title, says)


def _interval(ax: Axes, y: float, row: Row) -> None:
    if row.middle is None:
        return
    if row.low is not None and row.high is not None:
        ax.plot([row.low, row.high], [y, y], color=ACCENT, linewidth=2, solid_capstyle="butt")
    filled = ACCENT if row.clear else "none"
    ax.plot([row.middle], [y], "o", color=ACCENT, markerfacecolor=filled, markersize=5)


def _caption(ax: Axes, y: float, row: Row) -> None:
    """Label on the left, numbers on the right."""
    across = ax.get_yaxis_transform()
    ax.text(0, y, _plain(_shortened(row.label)), transform=across, ha="left", va="center", fontsize=8.5)
    numbers = ax.text(1, y, _plain(row.text), transform=across, ha="right", va="center", fontsize=8.5)
    if row.link:
        numbers.set_url(row.link)


def _limits(ax: Axes, rows: Sequence[Row], zero: bool) -> None:
    """All intervals, and zero where it is a reference; a plot without any number still has an axis."""
    ends = [end for row in rows for end in (row.low, row.middle, row.high) if end is not None]
    ends += [0.0] if zero or not ends else []
    least, most = min(ends), max(ends)
    room = (most - least) * 0.06 or 0.5
    ax.set_xlim(least - room, most + room)
    ax.locator_params(axis="x", nbins=5)


def _spread(ax: Axes, points: Sequence[Point]) -> None:
    """Labels beside their points, moved apart where they would cover each other."""
    last = -math.inf
    for point in sorted(points, key=lambda point: point.y):
        y = max(point.y, last + 0.06)
        last = y
        text = ax.annotate(_plain(_shortened(point.label)), (point.x, y), (7, 0), textcoords="offset points")
        text.set(va="center", fontsize=8.5)
        if point.link:
            text.set_url(point.link)


@contextmanager
def _drawing(width: float, height: float) -> Iterator[tuple[Figure, io.StringIO]]:
    """A figure, drawn into the text when the block ends."""
    sink = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        yield figure, sink
        figure.savefig(sink, format="svg", transparent=True, metadata=_METADATA)


def _plain(text: str) -> str:
    """Text that is not read as a formula."""
    return text.replace("$", r"\$")


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _short(value: float) -> str:
    """A tick such as 120k."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _inline(svg: str, title: str, says: str) -> str:
    """The drawing as an element for a page: own id names, page colours, title and description for those who do not
    see it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Several drawings share a page, and matplotlib numbers the parts of each from one.
    prefix = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    svg = re.sub(r'(\bid="|<use xlink:href="#|url\(#)', rf"\1{prefix}.", svg)
    svg = re.sub(r"; font-family: [^;\"]*| target=\"_blank\"", "", svg)
    for colour, variable in _CSS.items():
        svg = svg.replace(colour, variable)
    opening = svg[: svg.index(">") + 1]
    view = re.search(r'viewBox="[^"]*"', opening)
    box = view.group(0) if view else ""
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    names = f'role="group" aria-labelledby="{prefix}.title {prefix}.desc"'
    told = f'<title id="{prefix}.title">{escape(title)}</title><desc id="{prefix}.desc">{escape(says)}</desc>'
    return f"<svg {spaces} {box} {names}>{told}{svg[len(opening) :].strip()}"
