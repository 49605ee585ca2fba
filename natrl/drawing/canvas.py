"""Draws cells that were laid out, and the text around them, on a matplotlib figure measured in points."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Curve
from matplotlib.textpath import text_to_path

from natrl.core.architecture import Cell
from natrl.drawing.layout import Box, CellLayout, Route
from natrl.drawing.palette import INK, Look, look_of, MUTED, PAPER
from natrl.drawing.strips import Strip

__all__ = ["Canvas", "FONT", "Panel", "label_size"]

FONT = "DejaVu Sans"  # comes with matplotlib, so text is as wide on every machine
LABEL, SMALL, HEADING, TITLE = 8.5, 8.0, 10.5, 13.0  # text sizes; all lengths are in points
LINE = 1.5  # line height in units of the text size
MARGIN = 14.0
BETWEEN = 34.0  # between neighbouring panels and columns of text
BADGE = 13.0  # diameter of the numbered mark of a change


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text in points."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def label_size(operation: str, changed: bool) -> tuple[float, float]:
    """Width and height of the label of a slot in points; a changed one is bold and carries its number."""
    width = text_width(operation, LABEL, "bold" if changed else "normal") + 8
    return (width + BADGE + 3, LABEL * LINE + 4) if changed else (width, LABEL * LINE)


@dataclass(frozen=True)
class Panel:
    """One cell of one architecture, or a strip of it: what is drawn in one place of a figure."""

    heading: str
    cell: Cell
    operations: tuple[str, ...]  # of the cell's slots
    changes: tuple[int | None, ...]  # for each slot the number of its change
    layout: CellLayout
    strip: Strip

    @property
    def width(self) -> float:
        return max(self.strip.width, text_width(self.heading, HEADING, "bold"))


class Canvas:
    """A white figure that is filled from top to bottom; `finish` gives it its size. y grows downwards."""

    def __init__(self, width: float) -> None:
        self.width = width  # inside the margins
        self.y = MARGIN
        self.figure = Figure(facecolor=PAPER)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()

    def finish(self) -> Figure:
        width, height = self.width + 2 * MARGIN, self.y + MARGIN
        self.figure.set_size_inches(width / 72, height / 72)
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(height, 0)
        return self.figure

    def title(self, title: str) -> None:
        """A title, smaller and then in several lines where it is wide."""
        size = min(TITLE, max(HEADING, TITLE * self.width / text_width(title, TITLE, "bold")))
        fitting = int(len(title) * self.width / text_width(title, size, "bold"))
        for line in textwrap.wrap(title, max(fitting, 10)):
            self.line(line, size, "bold")
        self.y += 4

    def line(self, text: str, size: float = HEADING, weight: str = "normal") -> None:
        self.text(MARGIN, self.y + size * LINE / 2, text, size, weight)
        self.y += size * LINE

    def row(self, panels: Sequence[Panel], widths: Sequence[float]) -> None:
        """Panels beside each other, each in a column of the given width."""
        x, top, height = MARGIN, self.y + HEADING * LINE + 16, max(panel.strip.height for panel in panels)
        for panel, width in zip(panels, widths, strict=True):
            self.text(x, self.y + 8 + HEADING * LINE / 2, panel.heading, HEADING, "bold")
            _draw_cell(self, panel, x, top + (height - panel.strip.height) / 2)
            x += width + BETWEEN
        self.y = top + height + 14

    def changes(self, lines: Sequence[str]) -> None:
        """The numbered list of changes, in as many columns as fit."""
        if not lines:
            return
        self.y += 8
        width = max(change_width(line) for line in lines)
        columns = max(1, min(int((self.width + BETWEEN) // (width + BETWEEN)), -(-len(lines) // 3)))
        rows = -(-len(lines) // columns)
        for i, line in enumerate(lines):
            x, y = MARGIN + (i // rows) * (width + BETWEEN), self.y + (i % rows + 0.5) * (BADGE + 4)
            self.badge(x + BADGE / 2, y, i + 1)
            self.text(x + BADGE + 6, y, line, SMALL)
        self.y += rows * (BADGE + 4)

    def legend(self, looks: Sequence[Look]) -> None:
        x, y = MARGIN, self.y + 10 + SMALL * LINE / 2
        for look in looks:
            width = 34 + text_width(look.label, SMALL)
            if x > MARGIN and x + width > MARGIN + self.width:
                x, y = MARGIN, y + SMALL * LINE + 4
            self.axes.add_artist(Line2D((x, x + 28), (y, y), color=look.color, lw=look.width, ls=look.line))
            self.text(x + 34, y, look.label, SMALL)
            x += width + 16
        self.y = y + SMALL * LINE / 2

    def text(self, x: float, y: float, text: str, size: float, weight: str = "normal", **style: Any) -> None:
        style = {"color": INK, "parse_math": False, "va": "center_baseline", **style}
        self.axes.text(x, y, text, fontsize=size, fontweight=weight, **style)

    def box(self, box: Box, radius: float, **style: Any) -> None:
        """A rectangle with round corners."""
        corner = (box.x - box.width / 2, box.y - box.height / 2)
        shape = f"round,pad=0,rounding_size={radius}"
        self.axes.add_artist(FancyBboxPatch(corner, box.width, box.height, boxstyle=shape, **style))

    def badge(self, x: float, y: float, number: int) -> None:
        """The numbered mark of a change."""
        self.axes.add_artist(Circle((x, y), BADGE / 2, fc=INK, ec="none", zorder=6, gid=f"changed-{number}"))
        size = SMALL - 0.5 if number < 10 else SMALL - 1.3
        self.text(x, y, str(number), size, "bold", color=PAPER, ha="center", zorder=7)

    def arrow(self, route: Route, look: Look, *, head: bool = True, **style: Any) -> None:
        """An arrow along a route of the layout; without its head where it goes on elsewhere."""
        curve = PathPatch(
            _curve(route, 4.0 if head else 0.0),
            fc="none",
            ec=look.color,
            lw=look.width,
            ls=look.line,
            capstyle="butt",
            **style,
        )
        self.axes.add_artist(curve)
        if not head:
            return
        (x, y), half = route[-1], 2.2 + 0.5 * look.width
        corners = ((x, y), (x - 6, y - half), (x - 6, y + half))
        self.axes.add_artist(Polygon(corners, fc=look.color, ec="none", zorder=curve.get_zorder() + 0.1))


def change_width(line: str) -> float:
    """Width of a line of the list of changes in points."""
    return BADGE + 6 + text_width(line, SMALL)


def _curve(route: Route, head: float) -> Curve:
    """Straight and bent pieces in turns, as `Route` says; the end stays under the arrow's head, of that length."""
    vertices, codes = [route[0]], [Curve.MOVETO]
    for i, (x, y) in enumerate(route[1:]):
        before_x, before_y = vertices[-1]
        if i % 2:
            middle = (before_x + x) / 2
            vertices += [(middle, before_y), (middle, y), (x, y)]
            codes += [Curve.CURVE4] * 3
        else:
            vertices.append((x, y))
            codes.append(Curve.LINETO)
    vertices[-1] = (vertices[-1][0] - head, vertices[-1][1])
    return Curve(vertices, codes)


def _draw_cell(canvas: Canvas, panel: Panel, x: float, y: float) -> None:
    """Draws one panel with the top left corner of its strip at (x, y)."""
    layout, cell, strip = panel.layout, panel.cell, panel.strip
    x, y = x - strip.left, y - strip.top

    def moved(box: Box) -> Box:
        return box._replace(x=x + box.x, y=y + box.y)

    def draw(route: Route, look: Look, **style: Any) -> None:
        if part := strip.part(route):
            canvas.arrow(tuple((x + a, y + b) for a, b in part), look, head=part[-1] == route[-1], **style)

    for route in layout.concat:
        draw(route, Look("", MUTED, width=0.8), zorder=1)
    for i, (op, route) in enumerate(zip(panel.operations, layout.slots, strict=True)):
        draw(route, look_of(op), gid=f"slot-{cell.name}-{i}", zorder=1.5 if op == "null" else 2)
        if strip.holds(layout.labels[i]):
            _draw_label(canvas, moved(layout.labels[i]), op, panel.changes[i], gid=f"label-{cell.name}-{i}")
    for node, place in enumerate(layout.nodes):
        if not strip.holds(place):
            continue
        box = moved(place)
        outside = node < cell.inputs
        canvas.box(box, 5, fc="#d9e2ea" if outside else "#eef1f4", ec=INK, lw=0.9, zorder=4)
        name = f"$c_{{k-{cell.inputs - node}}}$" if outside else str(node)
        canvas.text(box.x, box.y, name, HEADING, ha="center", va="center", parse_math=True, zorder=5)
        if outside:
            canvas.text(box.x - box.width / 2 + 3, box.y - box.height / 2 + 5, str(node), 6, color="#5a6670", zorder=5)
    if not strip.holds(layout.output):
        return
    canvas.box(moved(layout.output), 5, fc="#d9e2ea", ec=INK, lw=0.9, zorder=4)
    at = moved(layout.output)
    canvas.text(at.x, at.y, "$c_{k}$", HEADING, ha="center", va="center", parse_math=True, zorder=5)


def _draw_label(canvas: Canvas, at: Box, op: str, change: int | None, *, gid: str) -> None:
    width, height = label_size(op, change is not None)
    edge, line = (look_of(op).color, 0.6) if change is None else (INK, 1.8)
    canvas.box(at._replace(width=width, height=height), 3, fc=PAPER, ec=edge, lw=line, zorder=3, gid=gid)
    if change is None:
        canvas.text(at.x, at.y, op, LABEL, ha="center", color="#767676" if op == "null" else INK, zorder=5)
    else:
        canvas.badge(at.x - width / 2 + 3 + BADGE / 2, at.y, change)
        canvas.text(at.x + (BADGE + 3) / 2, at.y, op, LABEL, "bold", ha="center", zorder=5)
