"""What widths save: the costs of layers whose channels a width changes, whatever operations they hold.

A layer has two ends, its inputs and its outputs, either of which may belong to a group. B architectures, E slots,
V vocabulary, S widths of a group (S = 1 at an end that belongs to none), L layers that can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import nn

from natrl.core.operations import Cost, VOCABULARY, VOCABULARY_INDEX
from natrl.modules.replace.geometry import channels_of, images_of
from natrl.modules.replace.held import held_by
from natrl.modules.replace.rules import replaced_cost
from natrl.modules.replace.widths import Ends, resized, WidthSlot
from natrl.modules.trace.forward import Call
from natrl.modules.trace.groups import is_depthwise

__all__ = ["WidthCosts", "narrow_costs"]


def narrow_costs(
    layer: nn.Module, name: str, ends: Ends, calls: Sequence[Call], batch: int, operations: Sequence[str]
) -> tuple[np.ndarray, dict[str, str]]:
    """int64 (S, S, V, 2), the parameters and MAdds of a slot's layer by the widths of its inputs and outputs.

    And why some of `operations` cannot be had at every width.
    """
    into, _ = ends
    sizes = [None if end is None else list(end.sizes.values()) for end in ends]
    costs = np.zeros((len(sizes[0] or "1"), len(sizes[1] or "1"), len(VOCABULARY), 2), dtype=np.int64)
    reasons: dict[str, str] = {}
    held, (before, after) = held_by(layer), channels_of(layer)  # type: ignore[arg-type]  # it has channels
    images = [images_of(layer, call.in_shape) for call in calls]
    weights = layer.weight.numel()  # type: ignore[operator]  # it is dense or depthwise
    madds = sum(call.madds for call in calls) // batch
    for i, o in np.ndindex(costs.shape[:2]):
        if ends[0] is ends[1] and i != o:
            continue  # it reads the channels that it makes: both ends have one width
        inputs = before if into is None or sizes[0] is None else sizes[0][i] * into.group.consumers[name]
        outputs = after if sizes[1] is None else sizes[1][o]
        narrow = resized(layer, outputs if is_depthwise(layer) else inputs, outputs)
        kept = narrow.weight.numel()  # type: ignore[operator]
        own = Cost(sum(p.numel() for p in narrow.parameters()), madds * kept // weights)
        for operation in operations:
            try:
                cost = own if operation == held else replaced_cost(narrow, operation, images, batch)
            except ValueError as error:
                reasons.setdefault(operation, f"not at every width: {error}")
                continue
            costs[i, o, VOCABULARY_INDEX[operation]] = cost.params, cost.madds
    return costs, reasons


class WidthCosts:
    """What the widths of an architecture add to, or rather take from, the costs of its layers."""

    def __init__(
        self,
        widths: Sequence[WidthSlot],
        slots: Mapping[int, tuple[Ends, np.ndarray]],
        rest: Mapping[str, tuple[WidthSlot, Cost]],
        primitives: Sequence[str],
        left_out: Sequence[str],
    ) -> None:
        """`slots`: by index the ends of a layer, and its costs (S, S, V, 2); `rest`: what is no slot, and its cost."""
        self._columns = np.array([VOCABULARY_INDEX[name] for name in primitives])
        self._widths, self._slots, self._rest = tuple(widths), dict(slots), dict(rest)
        self._gone = {name: list(left_out).index(name) for name in rest if name in left_out}
        self._state = np.zeros((len(widths), len(primitives)), dtype=np.int64)  # of width w with a primitive; null: 0
        self._number = {width.name: i for i, width in enumerate(widths)}
        for width, states in zip(widths, self._state, strict=True):
            for state, name in enumerate(width.sizes):
                states[list(primitives).index(name)] = state

    def of(self, choices: np.ndarray, gone: np.ndarray) -> np.ndarray:
        """int64 (B, 2), at most 0: what primitives `choices` (B, E) and layers left out (B, L) change by widths."""
        states = {w.name: self._state[i][choices[:, w.index]] for i, w in enumerate(self._widths)}  # (B,)
        total = np.zeros((len(choices), 2), dtype=np.int64)
        for index, (ends, costs) in self._slots.items():
            column = self._columns[choices[:, index]]
            into, out = (0 if end is None else states[end.name] for end in ends)
            total += costs[into, out, column] - costs[0, 0, column]
        for name, (width, cost) in self._rest.items():
            sizes = np.array([*width.sizes.values()])[states[width.name]]
            there = 1 - gone[:, self._gone[name]] if name in self._gone else 1
            for kind, whole in enumerate((cost.params, cost.madds)):
                total[:, kind] += there * (whole // width.group.channels) * (sizes - width.group.channels)
        return total

    def layer(self, index: int, choices: np.ndarray) -> Cost:
        """Of the layer in a slot with primitives `choices` int (E,)."""
        ends, costs = self._slots[index]
        into, out = (0 if e is None else self._state[self._number[e.name]][choices[e.index]] for e in ends)
        params, madds = costs[into, out, self._columns[choices[index]]].tolist()
        return Cost(params, madds)

    def bound(self, possible: np.ndarray) -> dict[int, dict[str, np.ndarray]]:
        """By slot and width int64 (2,), at most 0: what a width saves at least, whatever the layers hold.

        `possible` bool (E, K): what they can hold. A layer between two groups gives each a half (`_by_end`).
        """
        found = {w.index: {name: np.zeros(2, dtype=np.int64) for name in w.sizes} for w in self._widths}
        for index, (ends, costs) in self._slots.items():
            own = costs[:, :, self._columns[possible[index]]]  # (S, S, K, 2)
            for end, saved in zip(ends, _by_end(own[0, 0] - own, alike=ends[0] is ends[1]), strict=True):
                if end is not None:
                    for state, name in enumerate(end.sizes):
                        found[end.index][name] -= saved[state].min(0)
        for name, (width, cost) in self._rest.items():
            if name not in self._gone:
                for operation, size in width.sizes.items():
                    less = width.group.channels - size
                    found[width.index][operation] -= less * np.array((cost.params, cost.madds)) // width.group.channels
        return found

    def no_dearer(self, ops: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """For each slot bool (B, K): the primitives that cost no more there than what it holds, at its widths.

        `ops` int (B, E): the vocabulary indices of what slots hold.
        """
        numbers = np.zeros(len(VOCABULARY), dtype=np.int64)  # of the primitives
        numbers[self._columns] = np.arange(len(self._columns))
        for index, (ends, costs) in self._slots.items():
            into, out = (0 if e is None else self._state[self._number[e.name]][numbers[ops[:, e.index]]] for e in ends)
            here = np.broadcast_to(costs[into, out], (len(ops), *costs.shape[2:]))  # (B, V, 2)
            held = here[np.arange(len(ops)), ops[:, index]]
            yield index, (here[:, self._columns] <= held[:, None]).all(-1)

    @property
    def indices(self) -> tuple[int, ...]:
        """The slots whose layers a width changes."""
        return tuple(self._slots)


def _by_end(saved: np.ndarray, *, alike: bool) -> tuple[np.ndarray, np.ndarray]:
    """From what is saved at both ends' widths (S, S, K, 2) what each end saves, (S, K, 2): no more than that in sum.

    With a width at one end alone, all of it. Else half of what the same step saves at both ends, a·b ≤ (a² + b²) / 2;
    or, where roundings forbid that, half of what it saves at that end alone. `alike`: both ends have the same width.
    """
    if 1 in saved.shape[:2]:
        return saved[:, 0], saved[0]
    steps = np.arange(min(saved.shape[:2]))
    both = saved[steps, steps] // 2
    if alike:
        return both, both
    if saved.shape[0] == saved.shape[1] and (both[:, None] + both[None] <= saved).all():
        return both, both
    return saved[:, 0] // 2, saved[0] // 2
