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
INK, SOFT, FAINT, PAPER = "#010203", "#0a0b0c", "#070809", "#0d0e0f"
BETTER, WORSE, NEUTRAL = "#040506", "#101112", "#131415"
_CSS = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    FAINT: "var(--faint)",
    PAPER: "var(--paper)",
    BETTER: "var(--better)",
    WORSE: "var(--worse)",
    NEUTRAL: "var(--neutral)",
}

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
ROW, HEAD, FOOT = 0.42, 0.04, 0.5
"""Heights in inches: of a row, above the rows, below them."""
ACROSS = 3.45
"""Width of a scatter plot's axes in inches."""
LETTER = 0.068
"""Width of a letter of its labels in inches, on average."""


class Row(NamedTuple):
    """One line of a forest plot."""

    label: str
    middle: float | None
    low: float | None
    high: float | None
    text: str
    """The numbers as the tables have them."""
    link: str = ""
    colour: str = BETTER
    """BETTER or WORSE where a contrast differs from zero after correction, else NEUTRAL, which is drawn hollow."""


class Point(NamedTuple):
    """One arm in a plot of cost against an outcome."""

    label: str
    x: float
    y: float
    low: float | None
    high: float | None
    link: str = ""
    reference: bool = False


def forest(
    rows: Sequence[Row],
    title: str,
    says: str,
    zero: bool = True,
    axis: str = "",
    limits: tuple[float, float] | None = None,
) -> str:
    """Rows with their interval, a label and the numbers above each; `axis` says which way is better, `limits` gives
    several plots the same scale."""
    height = HEAD + ROW * len(rows) + FOOT
    with _drawing(WIDTH, height) as (figure, sink):
        ax = figure.add_axes((0.01, FOOT / height, 0.98, ROW * len(rows) / height))
        for place, row in enumerate(rows):
            if zero:  # in pieces: a line through the words would be hard to read
                ax.plot([0, 0], [place + 0.46, place + 0.94], color=FAINT, linewidth=1, zorder=0)
            _interval(ax, place + 0.7, row)
            _caption(ax, place + 0.26, row)
        ax.set_xlim(limits or reach(rows, zero))
        ax.locator_params(axis="x", nbins=5)
        ax.set_ylim(len(rows), 0)
        ax.set_yticks([])
        ax.tick_params(axis="x", labelsize=7.5, length=3)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(axis, fontsize=8)
    return _inline(sink.getvalue(), title, says)


def reach(rows: Sequence[Row], zero: bool = True) -> tuple[float, float]:
    """Limits that hold all intervals, and zero where it is a reference; without any number there is still an axis."""
    ends = [end for row in rows for end in (row.low, row.middle, row.high) if end is not None]
    ends += [0.0] if zero or not ends else []
    least, most = min(ends), max(ends)
    room = (most - least) * 0.06 or 0.5
    return least - room, most + room


def scatter(points: Sequence[Point], title: str, says: str, x: str, y: str) -> str:
    """Arms by what they cost and what they achieve, each joined to the reference arm."""
    with _drawing(WIDTH, 3.2) as (figure, sink):
        ax = figure.add_axes((0.12, 0.15, ACROSS / WIDTH, 0.8))
        centre = next((point for point in points if point.reference), None)
        for point in points:
            if centre is not None and point is not centre:
                ax.plot([centre.x, point.x], [centre.y, point.y], color=FAINT, linewidth=0.8, zorder=0)
            if point.low is not None and point.high is not None:
                ax.plot(
                    [point.x] * 2, [point.low, point.high], color=BETTER, linewidth=1, alpha=0.45, zorder=1
                )
            filled = PAPER if point.reference else BETTER
            ax.plot([point.x], [point.y], "o", color=BETTER, markerfacecolor=filled, markersize=6, zorder=4)
        ax.set_xlabel(x, fontsize=8)
        ax.set_ylabel(y, fontsize=8)
        ax.xaxis.set_major_formatter(lambda value, _: _short(value))
        ax.tick_params(labelsize=7.5, length=3)
        ax.set_xlim(_room_for_labels(points))
        ax.set_ylim(-0.05, 1.05)
        ax.locator_params(axis="x", nbins=4)
        _label(ax, points)
    return _inline(sink.getvalue(), title, says)


def _interval(ax: Axes, y: float, row: Row) -> None:
    if row.middle is None:
        return
    if row.low is not None and row.high is not None:
        ax.plot([row.low, row.high], [y, y], color=row.colour, linewidth=2, solid_capstyle="butt", zorder=1)
    filled = PAPER if row.colour == NEUTRAL else row.colour
    ax.plot([row.middle], [y], "o", color=row.colour, markerfacecolor=filled, markersize=5.5, zorder=2)


def _caption(ax: Axes, y: float, row: Row) -> None:
    """Label on the left, numbers on the right."""
    across = ax.get_yaxis_transform()
    ax.text(0, y, _plain(_shortened(row.label)), transform=across, ha="left", va="center", fontsize=8.5)
    numbers = ax.text(1, y, _plain(row.text), transform=across, ha="right", va="center", fontsize=8.5)
    if row.link:
        numbers.set_url(row.link)


def _room_for_labels(points: Sequence[Point]) -> tuple[float, float]:
    """Limits along x with which every label ends inside the axes."""
    least, most = min(point.x for point in points), max(point.x for point in points)
    margin = (most - least) * 0.08 or max(abs(most) * 0.2, 1.0)
    names = [LETTER * len(_shortened(point.label)) + 0.3 for point in points if point.x == least]
    low = least - (most - least + margin) * max(names) / ACROSS - margin
    high = most + margin
    for point in points:
        taken = LETTER * len(_shortened(point.label)) + 0.15 if point.x > least else 0.0
        high = max(high, low + (point.x - low) * ACROSS / max(ACROSS - taken, 0.2 * ACROSS))
    return low, high


def _label(ax: Axes, points: Sequence[Point]) -> None:
    """Labels on the right of their points, of the cheapest on its left; moved apart where they would cover each
    other. Lines pass behind them."""
    least = min(point.x for point in points)
    last = -math.inf
    for point in sorted(points, key=lambda point: point.y):
        y = max(point.y, last + 0.07)
        last = y
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
        aside = -7 if point.x == least else 7
        text = ax.annotate(
            _plain(_shortened(point.label)), (point.x, y), (aside, 0), textcoords="offset points", bbox=box
        )
        text.set(va="center", ha="right" if aside < 0 else "left", fontsize=8.5, zorder=3)
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
