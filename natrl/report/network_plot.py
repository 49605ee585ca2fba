"""The layers of a network as bars: what each costs before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from natrl import formats
from natrl.drawing.architectures import settings
from natrl.drawing.palette import INK, VARIANT_LOOKS
from natrl.report.plots import chart_grid, legend_below

__all__ = ["layers_figure"]

ROW = 0.19  # inches
BEFORE = "#c4c4c4"
LONGEST = 60  # characters of a name, its end


def layers_figure(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """A row a layer (name, before, after, cost, new_cost as in report.json), in the order in which they run.

    A layer's bar is its MAdds after over a grey one, before; beside those that changed stands what became of them.
    """
    before, after = ([layer[key]["madds"] / 1e6 for layer in layers] for key in ("cost", "new_cost"))
    rows = range(len(layers))
    with settings():
        figure, (axes,) = chart_grid(1, width=9.6, height=1.1 + ROW * len(layers))
        axes.grid(visible=False, axis="y")
        axes.barh(rows, before, height=0.78, color=BEFORE, label="before")
        axes.barh(rows, after, height=0.78, color=VARIANT_LOOKS["transformed"][0].color, label="after")
        for row, layer in enumerate(layers):
            if layer["before"] != layer["after"]:
                text = f" {formats.change(layer['before'], layer['after'], longest=LONGEST)}"
                axes.text(before[row], row, text, va="center", fontsize=7.5, color=INK, parse_math=False)
        axes.set_yticks(rows, [layer["name"][-LONGEST:] for layer in layers], fontsize=7.5, parse_math=False)
        axes.set_ylim(len(layers) - 0.4, -0.6)
        axes.set_xlim(0, 1.3 * max(before, default=1) or 1)
        axes.set_xlabel("MAdds (millions)")
        legend_below(figure, axes)
        return figure
