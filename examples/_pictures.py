"""What examples draw with --picture FILE (docs/gallery.md shows it)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from PIL import Image

from natrl.drawing.architectures import picture_kind, save_figure, settings
from natrl.drawing.palette import INK, PAPER, VARIANT_LOOKS
from natrl.report.network_plot import layers_figure
from natrl.report.plots import chart_grid

if TYPE_CHECKING:
    from torch import Tensor

    from natrl.tuning.optimize import Optimized

__all__ = ["draw_boxes", "draw_gains", "draw_layers", "draw_masks", "draw_named"]

#: Of background, square, disc, cross (Okabe and Ito).
COLORS = ("#f2f2f2", "#0072B2", "#E69F00", "#009E73")
SIDE = 1.4  # inches of an image
SHADES = 64
ERRORS = (8, 10, 15, 20, 30, 40, 60)  # percent, at which axes have ticks

#: Draws the i-th image of a row.
Draw = Callable[[Any, int], object]


def draw_gains(path: Path, before: Sequence[float], after: Sequence[float], best: Sequence[float], title: str) -> None:
    """Errors, from accuracies in [0, 1], of architectures before and after one transform, and at best."""
    x, y, least = (100 - 100 * np.array(values) for values in (before, after, best))
    look, marker = VARIANT_LOOKS["transformed"]
    with settings():
        figure, (axes,) = chart_grid(1, width=6.4, height=4.4)
        axes.scatter(
            x, y, s=10, marker=marker, color=look.color, alpha=0.6, label="what the policy made of it", zorder=2
        )
        axes.scatter(x, least, s=5, color=INK, label="the best that one transform reaches", zorder=3)
        axes.plot([x.min(), x.max()], [x.min(), x.max()], lw=1, ls=":", color=INK, label="left alone")
        axes.set(xscale="log", yscale="log", title=title)
        axes.set(xlabel="error of a held-out architecture (%)", ylabel="error after (%)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator(ERRORS))
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_locator(NullLocator())
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    _save(figure, path)


def draw_layers(path: Path, found: Optimized) -> None:
    """What each layer costs before and after."""
    _save(layers_figure([asdict(layer) for layer in found.layers]), path)


def draw_masks(path: Path, images: Tensor, labels: Mapping[str, Tensor]) -> None:
    """Images float32 (n, 3, size, size), and below them for each of `labels` the class of each pixel."""
    look = {"cmap": ListedColormap(COLORS), "vmin": 0, "vmax": len(COLORS) - 1, "interpolation": "nearest"}
    rows: dict[str, Draw] = {"image": lambda axes, i: axes.imshow(images[i].permute(1, 2, 0).clamp(0, 1))}
    rows |= {name: lambda axes, i, of=of: axes.imshow(of[i], **look) for name, of in labels.items()}
    _save(_rows(len(images), rows), path)


def draw_boxes(path: Path, images: Tensor, found: Mapping[str, Sequence[tuple[Tensor, Tensor]]]) -> None:
    """Images float32 (n, 3, size, size) for each of `found`: of each image boxes float32 (m, 4) and their classes."""

    def draw(axes: Any, i: int, of: Sequence[tuple[Tensor, Tensor]]) -> None:
        axes.imshow(images[i].mean(0), cmap="gray", interpolation="nearest")
        for (x1, y1, x2, y2), kind in zip(*(t.tolist() for t in of[i]), strict=True):
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=2, ec=COLORS[kind]))

    rows: dict[str, Draw] = {name: lambda axes, i, of=of: draw(axes, i, of) for name, of in found.items()}
    _save(_rows(len(images), rows), path)


def draw_named(path: Path, images: Tensor, names: Sequence[str]) -> None:
    """Images float32 (n, 1, size, size), each under its name."""

    def draw(axes: Any, i: int) -> None:
        axes.imshow(images[i, 0], cmap="gray_r")
        axes.set_title(names[i], fontsize=9)

    _save(_rows(len(images), {"": draw}), path)


def _rows(n: int, rows: Mapping[str, Draw]) -> Figure:
    """A row of n images for each of `rows`, its name before it."""
    with settings():
        figure = Figure(figsize=(SIDE * n + 1.2, SIDE * len(rows) + 0.2), layout="constrained", facecolor=PAPER)
        for charts, (name, draw) in zip(figure.subplots(len(rows), n, squeeze=False), rows.items(), strict=True):
            charts[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
            for i, axes in enumerate(charts):
                draw(axes, i)
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
        return figure


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path, kind := picture_kind(path))
    if kind == "png":  # a third of the size
        Image.open(path).convert("RGB").quantize(SHADES).save(path, optimize=True)
