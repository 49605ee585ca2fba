"""Strips of wide layouts: all that a layout holds is in them, and nothing twice but the nodes where they meet."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natrl.core.architecture import Architecture, Cell
from natrl.drawing.architectures import architecture_figure, WIDE
from natrl.drawing.layout import CellLayout, layout_cell, NODE_SIZE
from natrl.drawing.strips import strips
from tests.drawing.test_architectures import artists, check_text_and_labels, texts
from tests.drawing.test_layout import cells, LABEL

BLOCKS = 12


def residual_cell() -> Cell:
    """Blocks of two slots with a shortcut, one after the other."""
    edges = [e for n in range(0, 2 * BLOCKS, 2) for e in ((n, n + 1), (n + 1, n + 2), (n, n + 2))]
    return Cell("network", 1, tuple(edges), (2 * BLOCKS,))


def check(layout: CellLayout, width: float) -> None:
    found = strips(layout, width)
    assert (found[0].left, found[-1].right) == (0.0, layout.width)
    for strip, later in pairwise(found):
        assert strip.right - later.left == pytest.approx(NODE_SIZE)
        assert any(strip.holds(node) and later.holds(node) for node in layout.nodes)
    for box in (*layout.labels, layout.output):
        assert sum(strip.holds(box) for strip in found) == 1
    for node in layout.nodes:
        assert sum(strip.holds(node) for strip in found) in (1, 2)
    for route in (*layout.slots, *layout.concat):
        parts = [part for strip in found if (part := strip.part(route))]
        assert (parts[0][0], parts[-1][-1]) == (route[0], route[-1])
        assert {point for part in parts for point in part} >= set(route)
        assert all(a[-1][0] >= b[0][0] and a[-1][1] == b[0][1] for a, b in pairwise(parts))


def test_a_deep_network_is_cut_where_no_arrow_passes() -> None:
    layout = layout_cell(residual_cell(), [LABEL] * 3 * BLOCKS)
    check(layout, 600)
    found = strips(layout, 600)
    assert len(found) > 3
    assert all(strip.width <= 600 for strip in found)
    meeting = [
        [n for n, node in enumerate(layout.nodes) if a.holds(node) and b.holds(node)] for a, b in pairwise(found)
    ]
    assert all(len(nodes) == 1 and nodes[0] % 2 == 0 for nodes in meeting)


def test_what_fits_is_one_strip() -> None:
    layout = layout_cell(residual_cell(), [LABEL] * 3 * BLOCKS)
    (strip,) = strips(layout, math.inf)
    assert (strip.width, strip.height) == (layout.width, pytest.approx(layout.height))
    assert all(strip.part(route) == route for route in layout.slots)


@settings(max_examples=25, deadline=None)
@given(cells(), st.floats(60, 500))
def test_random_cells_in_strips_of_any_width(cell: Cell, width: float) -> None:
    check(layout_cell(cell, [LABEL] * len(cell.edges)), width)


def test_the_picture_of_a_deep_network_is_no_wider_than_a_page() -> None:  # a second: the renderer measures its text
    names = ["conv_3x3", "conv_3x3", "skip_connect"] * BLOCKS
    before = Architecture((residual_cell(),), tuple(names))
    after = Architecture((residual_cell(),), ("conv_1x1", *names[1:-2], "conv_1x1", "skip_connect"))
    figure = architecture_figure(after, before=before)
    assert figure.get_size_inches()[0] * 72 < WIDE + 50
    check_text_and_labels(figure)
    headings = [text for text in texts(figure) if " of " in text]
    assert headings[:2] == [f"before (1 of {len(headings) // 2})", f"after (1 of {len(headings) // 2})"]
    assert len({a.get_gid() for a in artists(figure, "slot-")}) == 3 * BLOCKS
