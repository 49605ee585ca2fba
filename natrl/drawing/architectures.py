"""Pictures of architectures, as the papers draw them: cells from left to right, one arrow a slot (matplotlib only)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO

from matplotlib import rc_context
from matplotlib.figure import Figure

from natrl.core.architecture import Architecture
from natrl.drawing.canvas import BETWEEN, Canvas, change_width, FONT, HEADING, label_size, Panel, text_width
from natrl.drawing.frames import change_frame
from natrl.drawing.layout import CellLayout, layout_cell
from natrl.drawing.palette import looks_of
from natrl.drawing.strips import strips
from natrl.formats import count, signed_percent
from natrl.spaces.networks import Networks

__all__ = ["architecture_figure", "draw", "picture_kind", "save_figure", "settings"]

SUFFIXES = (".png", ".svg", ".pdf")
DPI = 160
WIDE = 1000.0  # points; wider rows of cells are broken
LEAST_WIDTH = 330.0


def draw(
    architecture: Architecture,
    path: str | Path,
    *,
    before: Architecture | None = None,
    networks: Networks | None = None,
    title: str | None = None,
) -> Path:
    """Writes the picture of `architecture_figure` and returns its path; the suffix (.png, .svg, .pdf) is the format.

    ValueError on another suffix, or where `before` has another topology.
    """
    path = Path(path)
    kind = picture_kind(path)
    save_figure(architecture_figure(architecture, before=before, networks=networks, title=title), path, kind)
    return path


def picture_kind(path: Path) -> str:
    """ "png", "svg" or "pdf", by the suffix. ValueError on another one."""
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"a picture is written as {', '.join(SUFFIXES)}; got {path.name!r}")
    return kind[1:]


def settings() -> AbstractContextManager[None]:
    """Figures are made under these: text looks the same on every machine, and equal figures make equal files."""
    return rc_context({"font.family": FONT, "svg.fonttype": "path", "svg.hashsalt": "natrl", "pdf.fonttype": 42})


def save_figure(figure: Figure, target: Path | IO[bytes], kind: str) -> None:
    """Saves as "png", "svg" or "pdf", without a date inside."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with settings():
        figure.savefig(target, format=kind, dpi=DPI, metadata=undated.get(kind, {}))


def architecture_figure(
    architecture: Architecture,
    *,
    before: Architecture | None = None,
    networks: Networks | None = None,
    title: str | None = None,
) -> Figure:
    """One column a cell; with `before` a row for it above. Each changed slot is numbered in both, and listed below.

    Where `networks` (a space or a skeleton) says what networks cost, this and what each change saves are written too.
    Cells that are too wide for one row stand below each other, and those that are too wide by themselves in strips: the
    nodes at the end of one are those at the beginning of the next. Artists carry ids: "slot-CELL-I" is the arrow of
    slot I of a cell, "label-CELL-I" its label, "changed-N" a mark of change N. ValueError where `before` has another
    topology.
    """
    versions = {"": architecture} if before is None else {"before": before, "after": architecture}
    rows = _rows(versions)
    lines = _change_lines(before, architecture, networks) if before is not None else []
    costs = _cost_lines(versions, networks) if networks is not None else []
    widths = [max(panel.width for panel in column) for column in zip(*rows, strict=True)]
    texts = [*(text_width(line, HEADING) for line in costs), *map(change_width, lines)]
    with settings():
        canvas = Canvas(max(sum(widths) + BETWEEN * (len(widths) - 1), LEAST_WIDTH, *texts))
        if title:
            canvas.title(title)
        for line in costs:
            canvas.line(line)
        for row in rows:
            canvas.row(row, widths)
        canvas.changes(lines)
        canvas.legend(looks_of(op for version in versions.values() for op in version.operations))
        return canvas.finish()


def _rows(versions: dict[str, Architecture]) -> list[list[Panel]]:
    """The panels of a figure: a row a version, or where these are too wide a row a panel, cell by cell."""
    first, *others = versions.values()
    numbers = {slot: n for other in others for n, slot in enumerate(first.changes(other), start=1)}
    columns: list[list[Panel]] = []  # for each cell its panels
    start = 0
    for cell in first.cells:
        slots = range(start, start + len(cell.edges))
        start = slots.stop
        layout = _shared_layout(versions, cell_index=len(columns), slots=slots, changed=set(numbers))
        changes = tuple(numbers.get(e) for e in slots)
        what = f"{cell.name} cell (stride 2 at its inputs)" if cell.reduction else f"{cell.name} cell"
        parts = [what] if len(first.cells) > 1 else []
        columns.append(
            [
                Panel(
                    ": ".join([name, *parts] if name else parts),
                    cell,
                    v.operations[slots.start : slots.stop],
                    changes,
                    layout,
                    *strips(layout, math.inf),
                )
                for name, v in versions.items()
            ]
        )
    width = sum(column[0].width for column in columns) + BETWEEN * (len(columns) - 1)
    if width > WIDE:
        return [[panel] for column in columns for panel in _in_strips(column)]
    return [list(row) for row in zip(*columns, strict=True)]


def _in_strips(versions: list[Panel]) -> Iterator[Panel]:
    """A cell's panels, or where they are too wide their strips: of each strip all versions."""
    found = strips(versions[0].layout, WIDE)
    for i, strip in enumerate(found, start=1):
        for panel in versions:
            heading = " ".join([panel.heading, f"({i} of {len(found)})"] if len(found) > 1 else [panel.heading])
            yield replace(panel, heading=heading.strip(), strip=strip)


def _shared_layout(
    versions: dict[str, Architecture], *, cell_index: int, slots: range, changed: set[int]
) -> CellLayout:
    """One layout for all versions of a cell: room for the widest label of each slot."""
    cell = next(iter(versions.values())).cells[cell_index]
    names = [[version.operations[e] for version in versions.values()] for e in slots]
    return layout_cell(
        cell, [max(label_size(name, e in changed) for name in ops) for e, ops in zip(slots, names, strict=True)]
    )


def _cost_lines(versions: dict[str, Architecture], networks: Networks) -> list[str]:
    """What each version costs, and what the last one saves."""
    costs = {name: networks.cost(version) for name, version in versions.items()}
    lines = []
    first = next(iter(costs.values()))
    for name, cost in costs.items():
        madds, params = f"{count(cost.madds)} MAdds", f"{count(cost.params)} parameters"
        if cost is not first:
            madds += f" ({signed_percent(cost.madds / first.madds - 1)})"
            params += f" ({signed_percent(cost.params / first.params - 1)})"
        lines.append(f"{name}: {madds}, {params}" if name else f"{madds}, {params}")
    return lines


def _change_lines(before: Architecture, after: Architecture, networks: Networks | None) -> list[str]:
    """A line for each change; with `networks`, what it takes off the network before."""
    lines = []
    for change in change_frame(before, after, networks).itertuples():
        line = f"{change.cell} {change.source} → {change.target}:  {change.before} → {change.after}"
        if networks is not None:
            line += f"   {signed_percent(-change.madds_share)} MAdds, {signed_percent(-change.params_share)} parameters"
        lines.append(line)
    return lines
