"""Figures as a page holds them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from matplotlib.figure import Figure

from natrl.drawing.architectures import save_figure
from natrl.drawing.palette import INK, MUTED, PAPER

__all__ = ["DARK", "Picture", "picture"]

#: What paper, ink and greys turn into where the reader's screen is dark; colours of operations and variants stay.
DARK = {
    PAPER: "#1a1f24",
    INK: "#e6e9ec",
    "#000000": "#e6e9ec",  # matplotlib's own axes and texts
    MUTED: "#8a939b",
    "#4d4d4d": "#b5bcc2",  # originals
    "#767676": "#a0a8af",
    "#5a6670": "#a0abb5",
    "#d9e2ea": "#33414d",  # inputs and outputs of cells
    "#eef1f4": "#272f37",  # nodes of cells
    "#e4e4e4": "#2c343b",  # grids
    "#cccccc": "#4a535b",  # frames of legends
}


@dataclass(frozen=True)
class Picture:
    """A figure inside a page."""

    source: str  # data URI of an SVG
    text: str  # for readers who cannot see it
    width: int  # natural width in CSS pixels


def picture(figure: Figure, text: str) -> Picture:
    """The figure as an SVG that follows the reader's colour scheme; `text` describes it."""
    file = io.BytesIO()
    save_figure(figure, file, "svg")
    drawn = file.getvalue().decode("utf-8").replace("</style>", f"{_dark_style()}</style>", 1)
    encoded = base64.b64encode(drawn.encode("utf-8")).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{encoded}", text, round(96 * figure.get_size_inches()[0]))


def _dark_style() -> str:
    """Rules over the inline styles that matplotlib writes; texts in its default colour carry none and inherit."""
    rules = [f"svg{{fill:{DARK['#000000']}}}"]
    for light, dark in DARK.items():
        rules += [f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}' for kind in ("fill", "stroke")]
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
