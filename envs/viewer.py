"""Transitions as text, as pictures, and in a window. matplotlib is loaded where a picture is asked for."""

from __future__ import annotations

import os
import sys
from typing import Any, get_args, Literal, NamedTuple

import gymnasium
import numpy as np

from natrl.core.architecture import Architecture
from natrl.spaces import Space

__all__ = ["RENDER_MODES", "RenderMode", "View", "Screen", "describe", "drawn", "shows_windows"]

RenderMode = Literal["ansi", "rgb_array", "human"]
RENDER_MODES: tuple[str, ...] = get_args(RenderMode)
HEIGHT, WIDTH = 960, 1280  # pixels of every picture, so that they make a video
SHARPEST = 160.0  # pixels an inch


class View(NamedTuple):
    """What is shown of an episode: where it started, where it is, and both validation scores."""

    before: Architecture
    after: Architecture
    score_before: float
    score_after: float

    @property
    def summary(self) -> str:
        """One line: scores and number of changes."""
        changes = len(self.before.changes(self.after))
        return f"score {self.score_before:.4f} → {self.score_after:.4f}, {changes} slots changed"


def describe(view: View) -> str:
    """One line a slot, changed operations marked by an arrow, and the scores."""
    lines = []
    for slot, old, new in zip(view.after.slots, view.before.operations, view.after.operations, strict=True):
        change = f"{old} → {new}" if old != new else new
        lines.append(f"{slot.cell:>8} {slot.source}→{slot.target}  {change}")
    return "\n".join([*lines, view.summary])


def drawn(view: View, space: Space) -> np.ndarray:
    """uint8 (HEIGHT, WIDTH, 3): both architectures as the papers draw them, with costs and changed operations."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from natrl.drawing.architectures import architecture_figure, settings
    except ImportError as error:
        raise gymnasium.error.DependencyNotInstalled(f"pictures need matplotlib, pandas and scipy: {error}") from None
    figure = architecture_figure(view.after, before=view.before, networks=space, title=view.summary)
    width, height = figure.get_size_inches()
    figure.set_dpi(min(WIDTH / width, HEIGHT / height, SHARPEST))
    with settings():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[:HEIGHT, :WIDTH, :3]
    frame = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)
    top, left = (HEIGHT - len(drawn)) // 2, (WIDTH - drawn.shape[1]) // 2
    frame[top : top + len(drawn), left : left + drawn.shape[1]] = drawn
    return frame


class Screen:
    """A window that shows pictures. gymnasium.error.Error where there is no display."""

    def __init__(self, title: str) -> None:
        import matplotlib
        from matplotlib import pyplot

        if matplotlib.get_backend().lower() not in interactive_backends():
            raise gymnasium.error.Error(
                f'render_mode="human" needs a display, but matplotlib draws with {matplotlib.get_backend()!r}; '
                'use render_mode="rgb_array", or set MPLBACKEND to a backend with windows'
            )
        self._pyplot = pyplot
        self._figure = pyplot.figure(title, figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
        axes = self._figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        self.image: Any = axes.imshow(np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8))

    def show(self, frame: np.ndarray, seconds: float) -> None:
        """Puts the picture on the screen and leaves it there for so long."""
        self.image.set_data(frame)
        self._pyplot.pause(seconds)

    def close(self) -> None:
        self._pyplot.close(self._figure)


def shows_windows() -> bool:
    """Whether this machine seems to have a display: what can be said without loading matplotlib."""
    if os.environ.get("MPLBACKEND", "").lower() in ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template"):
        return False
    return sys.platform in ("win32", "darwin") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))


def interactive_backends() -> set[str]:
    """matplotlib's backends that open windows."""
    from matplotlib.backends.registry import backend_registry, BackendFilter

    return set(backend_registry.list_builtin(BackendFilter.INTERACTIVE))
