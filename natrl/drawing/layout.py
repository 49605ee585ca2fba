"""Where the nodes, labels and arrows of a cell go: a layered layout from left to right, in points (1/72 inch).

Nodes stand in columns by their distance from the inputs; between two node columns stands a column of labels, one for
each slot that ends there. An arrow crosses every column between its ends on a lane of its own and bends only between
columns (Sugiyama, Tagawa and Toda, 1981). So no arrow touches a foreign node or label, and no two labels overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from natrl.core.architecture import Cell

__all__ = ["Box", "CellLayout", "NODE_SIZE", "layout_cell", "Route"]

NODE_SIZE = 24.0
INPUT_SIZE = 34.0  # of the inputs and the output
PORT = 8.0  # distance of arrows that meet at one side of a node
LANE = 3.0  # height that an arrow takes where it passes a column
GAP = 5.0  # free height between neighbours of a column
BEND = (20.0, 80.0)  # least and largest free width between columns, where arrows bend
SWEEPS = 24

#: Points of an arrow from tail to head: a straight line to the second, a bend to the third, a line to the fourth, …
Route = tuple[tuple[float, float], ...]


class Box(NamedTuple):
    """A rectangle by its centre; y grows downwards."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class CellLayout:
    """Positions of one cell in points, from (0, 0) at the top left to (width, height)."""

    width: float
    height: float
    nodes: tuple[Box, ...]  # node 0, 1, …
    output: Box  # the concatenation of the output nodes
    labels: tuple[Box, ...]  # one a slot
    slots: tuple[Route, ...]  # one a slot
    concat: tuple[Route, ...]  # one an output node, from it to `output`


@dataclass
class _Graph:
    """Items (nodes, labels, lanes) in columns, and the chain of items that each arrow runs through."""

    columns: list[list[int]] = field(default_factory=list)
    sizes: list[tuple[float, float]] = field(default_factory=list)  # (width, height) of each item
    column_of: list[int] = field(default_factory=list)
    chains: list[list[int]] = field(default_factory=list)

    def add(self, column: int, width: float, height: float) -> int:
        while len(self.columns) <= column:
            self.columns.append([])
        self.columns[column].append(len(self.sizes))
        self.sizes.append((width, height))
        self.column_of.append(column)
        return len(self.sizes) - 1

    @property
    def segments(self) -> list[tuple[int, int]]:
        """(left item, right item) of each piece of an arrow between neighbouring columns."""
        return [segment for chain in self.chains for segment in pairwise(chain)]


def layout_cell(cell: Cell, labels: Sequence[tuple[float, float]]) -> CellLayout:
    """Lays out a cell; `labels` holds (width, height) in points of the label of each slot."""
    graph, nodes, output = _build(cell, labels)
    _reduce_crossings(graph)
    leaving, arriving = _ports(graph)
    y = _heights(graph, leaving, arriving)
    left, right = _widths(graph, y)

    def box(item: int) -> Box:
        column = graph.column_of[item]
        return Box((left[column] + right[column]) / 2, y[item], *graph.sizes[item])

    def route(arrow: int, chain: list[int]) -> Route:
        first, last = box(chain[0]), box(chain[-1])
        start, end = y[chain[0]] + leaving[arrow], y[chain[-1]] + arriving[arrow]
        points = [(first.x + first.width / 2, start), (right[graph.column_of[chain[0]]], start)]
        for item in chain[1:-1]:
            points += [(left[graph.column_of[item]], y[item]), (right[graph.column_of[item]], y[item])]
        return (*points, (left[graph.column_of[chain[-1]]], end), (last.x - last.width / 2, end))

    routes = [route(i, chain) for i, chain in enumerate(graph.chains)]
    n = len(cell.edges)
    return CellLayout(
        width=right[-1],
        height=max(y[i] + size[1] / 2 for i, size in enumerate(graph.sizes)),
        nodes=tuple(box(item) for item in nodes),
        output=box(output),
        labels=tuple(box(chain[-2]) for chain in graph.chains[:n]),
        slots=tuple(routes[:n]),
        concat=tuple(routes[n:]),
    )


def _build(cell: Cell, labels: Sequence[tuple[float, float]]) -> tuple[_Graph, list[int], int]:
    """The graph of a cell before ordering, the items of its nodes and of its output."""
    layers = [0] * cell.nodes
    for source, target in cell.edges:
        layers[target] = max(layers[target], layers[source] + 1)
    end = 2 * max(layers) + 1
    graph = _Graph()
    nodes = []
    for node, layer in enumerate(layers):
        arriving = sum(t == node for _, t in cell.edges)
        leaving = sum(s == node for s, _ in cell.edges) + (node in cell.outputs)
        size = INPUT_SIZE if node < cell.inputs else NODE_SIZE
        nodes.append(graph.add(2 * layer, size, max(size, PORT * (1 + max(arriving, leaving)))))
    output = graph.add(end, INPUT_SIZE, max(INPUT_SIZE, PORT * (1 + len(cell.outputs))))
    for (source, target), label in zip(cell.edges, labels, strict=True):
        first, last = 2 * layers[source], 2 * layers[target]
        lanes = [graph.add(column, 0.0, LANE) for column in range(first + 1, last - 1)]
        graph.chains.append([nodes[source], *lanes, graph.add(last - 1, *label), nodes[target]])
    for node in cell.outputs:
        lanes = [graph.add(column, 0.0, LANE) for column in range(2 * layers[node] + 1, end)]
        graph.chains.append([nodes[node], *lanes, output])
    return graph, nodes, output


def _reduce_crossings(graph: _Graph) -> None:
    """Orders each column by the mean position of its neighbours, sweeping forth and back; keeps the best order seen."""
    before, after = _neighbours(graph)
    best, fewest = [list(column) for column in graph.columns], _crossings(graph)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        neighbours = before if forth else after
        for column in graph.columns if forth else reversed(graph.columns):
            position = _positions(graph)
            centre = {i: np.mean([position[n] for n in neighbours[i]] or [position[i]]) for i in column}
            column.sort(key=centre.__getitem__)
        crossings = _crossings(graph)
        if crossings < fewest:
            best, fewest = [list(column) for column in graph.columns], crossings
    graph.columns = best


def _neighbours(graph: _Graph) -> tuple[list[list[int]], list[list[int]]]:
    """For each item the items that feed it, and those that it feeds."""
    before: list[list[int]] = [[] for _ in graph.sizes]
    after: list[list[int]] = [[] for _ in graph.sizes]
    for a, b in graph.segments:
        before[b].append(a)
        after[a].append(b)
    return before, after


def _positions(graph: _Graph) -> np.ndarray:
    """float (items,): the place of each item in its column, from 0 at the top to 1."""
    position = np.zeros(len(graph.sizes))
    for column in graph.columns:
        position[column] = (np.arange(len(column)) + 0.5) / len(column)
    return position


def _crossings(graph: _Graph) -> int:
    position = _positions(graph)
    by_column: dict[int, list[tuple[int, int]]] = {}
    for a, b in graph.segments:
        by_column.setdefault(graph.column_of[a], []).append((a, b))
    total = 0
    for segments in by_column.values():
        a, b = position[np.array(segments)].T
        total += int(((a[:, None] < a[None, :]) & (b[:, None] > b[None, :])).sum())
    return total


def _ports(graph: _Graph) -> tuple[list[float], list[float]]:
    """For each arrow how far from the middle of its first and of its last node it leaves and arrives."""
    position = _positions(graph)

    def spread(end: int, neighbour: int) -> list[float]:
        offsets = [0.0] * len(graph.chains)
        at_node: dict[int, list[int]] = {}
        for arrow, chain in enumerate(graph.chains):
            at_node.setdefault(chain[end], []).append(arrow)
        for arrows in at_node.values():
            arrows.sort(key=lambda arrow: position[graph.chains[arrow][neighbour]])
            for rank, arrow in enumerate(arrows):
                offsets[arrow] = PORT * (rank - (len(arrows) - 1) / 2)
        return offsets

    return spread(0, 1), spread(-1, -2)


def _heights(graph: _Graph, leaving: list[float], arriving: list[float]) -> np.ndarray:
    """float (items,): the y of each item that makes arrows straightest.

    A linear program: minimise Σ w |Δy| over all pieces of arrows, neighbours in a column kept apart (Gansner et al.,
    1993, section 4.2); pieces between lanes weigh most, so that long arrows run straight.
    """
    items, pieces = len(graph.sizes), graph.segments
    rows: list[tuple[dict[int, float], float]] = []  # Σ coefficient · variable ≤ bound
    weights: list[float] = []
    for arrow, chain in enumerate(graph.chains):
        last = len(chain) - 2
        for j, (a, b) in enumerate(pairwise(chain)):
            slack = items + len(weights)
            shift = (leaving[arrow] if j == 0 else 0.0) - (arriving[arrow] if j == last else 0.0)
            rows += [({a: 1, b: -1, slack: -1}, -shift), ({a: -1, b: 1, slack: -1}, shift)]
            weights.append(1.0 if j in (0, last) else 4.0)
    for column in graph.columns:
        for upper, lower in pairwise(column):
            rows.append(({upper: 1, lower: -1}, -GAP - (graph.sizes[upper][1] + graph.sizes[lower][1]) / 2))
    entries = [(r, variable, value) for r, (row, _) in enumerate(rows) for variable, value in row.items()]
    r, variable, value = zip(*entries, strict=True)
    matrix = csr_array((value, (r, variable)), shape=(len(rows), items + len(pieces)))
    bounds = [(size[1] / 2, None) for size in graph.sizes] + [(0, None)] * len(pieces)
    solution = linprog([0.0] * items + weights, matrix, [bound for _, bound in rows], bounds=bounds, method="highs")
    y: np.ndarray = solution.x[:items]
    return y - min(y[i] - size[1] / 2 for i, size in enumerate(graph.sizes))


def _widths(graph: _Graph, y: np.ndarray) -> tuple[list[float], list[float]]:
    """Left and right end of each column: as wide as its widest item, with room for the bends before it."""
    steepest = [0.0] * len(graph.columns)
    for a, b in graph.segments:
        steepest[graph.column_of[b]] = max(steepest[graph.column_of[b]], abs(y[a] - y[b]))
    left, right = [], []
    x = 0.0
    for column, items in enumerate(graph.columns):
        x += min(max(0.4 * steepest[column], BEND[0]), BEND[1]) if column else 0.0
        left.append(x)
        x += max(graph.sizes[item][0] for item in items)
        right.append(x)
    return left, right
