"""A wide layout in strips that stand below each other, each from one column of nodes to another, in points."""

from __future__ import annotations

from dataclasses import dataclass

from natrl.drawing.layout import Box, CellLayout, NODE_SIZE, Route

__all__ = ["Strip", "strips"]

LATE = 0.6  # of the width: from there on a strip ends where the fewest arrows go on
CLOSE = 0.5  # what is shorter is not drawn


@dataclass(frozen=True)
class Strip:
    """What of a layout lies between two x. The nodes at its ends are in both neighbours."""

    left: float
    right: float
    top: float = 0.0
    bottom: float = 0.0

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def holds(self, box: Box) -> bool:
        return self.left - CLOSE < box.x - box.width / 2 and box.x + box.width / 2 < self.right + CLOSE

    def part(self, route: Route) -> Route:
        """What of an arrow lies in it: straight pieces and bends as in the whole; none, where nothing does."""
        pieces = zip(route[::2], route[1::2], strict=True)
        inside = [(a, b) for a, b in pieces if b[0] > self.left + CLOSE and a[0] < self.right - CLOSE]
        return tuple(p for a, b in inside for p in ((max(a[0], self.left), a[1]), (min(b[0], self.right), b[1])))


def strips(layout: CellLayout, width: float) -> list[Strip]:
    """The layout in strips that are no wider, as far as its columns are not."""
    left, ends = 0.0, sorted({node.x for node in layout.nodes})
    found = []
    while layout.width - left > width:
        later = [x for x in ends if x - NODE_SIZE > left]
        if not later:
            break
        fitting = [x for x in later if x + NODE_SIZE / 2 - left <= width] or later[:1]
        late = [x for x in fitting if x - left > LATE * width] or fitting[-1:]
        end = min(reversed(late), key=lambda x: _passing(layout, x))
        found.append(_fitted(layout, Strip(left, end + NODE_SIZE / 2)))
        left = end - NODE_SIZE / 2
    return [*found, _fitted(layout, Strip(left, layout.width))]


def _passing(layout: CellLayout, x: float) -> int:
    """How many arrows pass the nodes at x."""
    return sum(route[0][0] < x < route[-1][0] for route in (*layout.slots, *layout.concat))


def _fitted(layout: CellLayout, strip: Strip) -> Strip:
    """With the height of what is in it."""
    boxes = [box for box in (*layout.nodes, *layout.labels, layout.output) if strip.holds(box)]
    points = [point for route in (*layout.slots, *layout.concat) for point in strip.part(route)]
    tops = [box.y - box.height / 2 for box in boxes] + [y for _, y in points]
    bottoms = [box.y + box.height / 2 for box in boxes] + [y for _, y in points]
    return Strip(strip.left, strip.right, min(tops), max(bottoms))
