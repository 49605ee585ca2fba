"""Which slots lie on a path from a cell's inputs to its output, and which choices would cut the last one.

Everything works on batches, on numpy arrays and torch tensors alike (B batch, E slots, C cells; bool throughout).
Slots are in topological order, so one pass forward or backward visits every path.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["LivePath", "Wiring", "is_live", "live_slots", "repair"]

Array = Any  # numpy.ndarray or torch.Tensor


class Wiring(NamedTuple):
    """How the slots of architectures hang together, whatever operations they hold."""

    entries: Array  # (B, E)     the slot reads an input of its cell
    exits: Array  # (B, E)     the slot writes an output node of its cell
    adjacency: Array  # (B, E, E)  [b, i, j]: slot j reads the node that slot i writes (i < j, same cell)
    cells: Array  # (B, E, C)  one-hot: the cell of the slot; a column without slots is ignored


def _forward(active: Array, wiring: Wiring) -> Array:
    """(B, E): the slot is active and a path of active slots leads from an input to it."""
    reached = active & wiring.entries
    for j in range(active.shape[1]):
        reached[:, j] |= active[:, j] & (wiring.adjacency[:, :, j] & reached).any(-1)
    return reached


def _backward(active: Array, wiring: Wiring) -> Array:
    """(B, E): the slot is active and a path of active slots leads from it to an output."""
    leads = active & wiring.exits
    for i in reversed(range(active.shape[1])):
        leads[:, i] |= active[:, i] & (wiring.adjacency[:, i, :] & leads).any(-1)
    return leads


def live_slots(active: Array, wiring: Wiring) -> Array:
    """(B, E): the slot lies on a path of active slots (B, E) from an input to an output of its cell."""
    return _forward(active, wiring) & _backward(active, wiring)


def is_live(active: Array, wiring: Wiring) -> Array:
    """(B,): in every cell a path of active slots (B, E) leads from an input to an output."""
    ends = _forward(active, wiring) & wiring.exits
    fed = (ends[:, :, None] & wiring.cells).any(1)  # (B, C)
    return (fed | ~wiring.cells.any(1)).all(-1)


class LivePath:
    """Decoding slot after slot without ever cutting the last path (sequential environment, autoregressive head).

    `active` (B, E): the old operation is not null; `possible` (B, E): some valid choice, keeping included, is not null
    (it covers `active`). A path may count on undecided slots that can still be active: `may_null(e)` says for slot e,
    given the choices before it, whether its cell can keep a path if e becomes null; `decide(e, active)` records the
    choice. So a cell that starts live ends live, and every live result stays reachable. In a cell that is dead from the
    start null stays allowed.

    After the choices so far: `fed` (B, E), the slot reads an input, or a node that a path of decided slots reaches;
    `free` (B, E), the slot's cell has a path, or never had one; `same_cell` (B, E, E).
    """

    def __init__(self, active: Array, possible: Array, wiring: Wiring) -> None:
        nothing = active & False
        self._wiring = wiring
        self._leads = _backward(possible, wiring)  # a path onwards from slot i uses slots after i only
        self.fed = nothing | wiring.entries
        cells = wiring.cells
        self.same_cell = cells[:, :, None, 0] & cells[:, None, :, 0]
        for c in range(1, cells.shape[-1]):
            if cells[:, :, c].any():
                self.same_cell |= cells[:, :, None, c] & cells[:, None, :, c]
        starts = wiring.entries & _backward(active, wiring)
        self.free = ~(self.same_cell & starts[:, None, :]).any(-1)

    def may_null(self, e: int) -> Array:
        """(B,): the cell of slot e keeps a path if slot e becomes null (True where the cell began dead)."""
        undecided = self._leads[:, e + 1 :] & self.fed[:, e + 1 :] & self.same_cell[:, e, e + 1 :]
        return undecided.any(-1) | self.free[:, e]

    def decide(self, e: int, active: Array) -> None:
        """Records whether the new operation of slot e is active, (B,)."""
        reached = active & self.fed[:, e]
        self.fed |= self._wiring.adjacency[:, e] & reached[:, None]
        self.free |= self.same_cell[:, e] & (reached & self._wiring.exits[:, e])[:, None]


def repair(old: Array, new: Array, wiring: Wiring) -> Array:
    """(B, E): slots that must keep their old operation so that a joint action cuts no cell that was live.

    `old` and `new` are the active slots before and after the action. Nothing is kept where the result is live anyway;
    else the action is replayed slot by slot and a null is refused where it would cut the last path.
    """
    keep = old & False
    dead = ~is_live(new, wiring)
    if not dead.any():
        return keep
    path = LivePath(old, old | new, wiring)
    for e in range(old.shape[1]):
        keep[:, e] = dead & old[:, e] & ~new[:, e] & ~path.may_null(e)
        path.decide(e, new[:, e] | keep[:, e])
    return keep
