"""Layouts: nothing overlaps, for every cell of the zoo, NAS-Bench-201, cells of 60 slots and random ones."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natrl import zoo
from natrl.core.architecture import Cell
from natrl.drawing.layout import Box, CellLayout, layout_cell, Route
from tests.report.examples import dense_cell, NASBENCH, sparse_cell

LABEL = (62.0, 13.0)
CELLS = {f"{name} {cell.name}": cell for name, a in zoo().items() for cell in a.cells}
CELLS |= {"nasbench201": NASBENCH.cells[0], "dense": dense_cell(), "sparse": sparse_cell()}


def overlap(a: Box, b: Box) -> bool:
    return abs(a.x - b.x) < (a.width + b.width) / 2 and abs(a.y - b.y) < (a.height + b.height) / 2


def along(route: Route) -> np.ndarray:
    """(n, 2): points on the arrow as it is drawn, straight pieces and cubic bends in turns."""
    t = np.linspace(0, 1, 60)[:, None]
    pieces = []
    for i, (a, b) in enumerate(pairwise(route)):
        start, end = np.array(a), np.array(b)
        if i % 2 == 0:
            pieces.append(start + t * (end - start))
        else:
            middle = (start[0] + end[0]) / 2
            c1, c2 = np.array([middle, start[1]]), np.array([middle, end[1]])
            pieces.append((1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * c1 + 3 * (1 - t) * t**2 * c2 + t**3 * end)
    return np.concatenate(pieces)


def crosses(points: np.ndarray, box: Box) -> bool:
    inside = np.abs(points - (box.x, box.y)) < (box.width / 2 - 1e-6, box.height / 2 - 1e-6)
    return bool(inside.all(axis=1).any())


def check(cell: Cell, layout: CellLayout) -> None:
    boxes = [*layout.nodes, layout.output, *layout.labels]
    for a, b in combinations(boxes, 2):
        assert not overlap(a, b)
    for box in boxes:
        assert box.x - box.width / 2 >= -1e-6
        assert box.x + box.width / 2 <= layout.width + 1e-6
        assert box.y - box.height / 2 >= -1e-6
        assert box.y + box.height / 2 <= layout.height + 1e-6
    ends = [*cell.edges, *((node, None) for node in cell.outputs)]
    for i, (route, (source, target)) in enumerate(zip([*layout.slots, *layout.concat], ends, strict=True)):
        own = [layout.nodes[source], layout.output if target is None else layout.nodes[target]]
        own += [layout.labels[i]] if target is not None else []
        points = along(route)
        assert not [box for box in boxes if box not in own and crosses(points, box)]
        if target is not None:
            assert crosses(points, layout.labels[i])  # the label lies on its arrow


@pytest.mark.parametrize("name", CELLS)
def test_arrows_avoid_foreign_boxes_and_nothing_overlaps(name):
    cell = CELLS[name]
    layout = layout_cell(cell, [LABEL] * len(cell.edges))
    assert (len(layout.nodes), len(layout.labels), len(layout.slots)) == (cell.nodes, len(cell.edges), len(cell.edges))
    check(cell, layout)


@st.composite
def cells(draw):
    inputs, nodes = draw(st.integers(1, 3)), draw(st.integers(1, 7))
    edges = []
    for node in range(inputs, inputs + nodes):
        edges += [(draw(st.integers(0, node - 1)), node) for _ in range(draw(st.integers(1, 4)))]
    outputs = draw(st.sets(st.integers(inputs, inputs + nodes - 1), min_size=1))
    return Cell("cell", inputs, tuple(edges), tuple(sorted(outputs)))


@settings(max_examples=25, deadline=None)
@given(cells(), st.data())
def test_random_cells_with_labels_of_any_size(cell, data):
    sizes = st.tuples(st.floats(10, 120), st.floats(8, 30))
    check(cell, layout_cell(cell, [data.draw(sizes) for _ in cell.edges]))


def test_nodes_stand_left_to_right_in_the_order_of_the_slots():
    layout = layout_cell(sparse_cell(), [LABEL] * 60)
    for source, target in sparse_cell().edges:
        assert layout.nodes[source].x < layout.nodes[target].x < layout.output.x


def test_parallel_slots_are_both_visible():
    cell = Cell("cell", 1, ((0, 1), (0, 1), (0, 1)), (1,))
    layout = layout_cell(cell, [LABEL] * 3)
    assert len({label.y for label in layout.labels}) == 3
    assert len(set(layout.slots)) == 3
