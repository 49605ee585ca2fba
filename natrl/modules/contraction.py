"""What slots read from one another: a trace without the layers that stay."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from natrl.modules.trace import Trace

__all__ = ["Contraction", "contract", "unconnected"]

Sources = frozenset[int]


class Contraction(NamedTuple):
    """Slots by the source number of their first call, as `natrl.modules.graph.build_graph` takes them."""

    layers: dict[int, str]  # each slot's layer
    reads: dict[int, Sources]  # inputs and slots that its first call reads the sum of
    outputs: tuple[Sources, ...]


def contract(traced: Trace, frozen: Collection[str]) -> Contraction:
    """Frozen layers, and later calls of a layer that is called again, pass on what they read."""
    stands_for: dict[int, Sources] = {i: frozenset((i,)) for i in range(traced.inputs)}
    layers: dict[int, str] = {}
    reads: dict[int, Sources] = {}
    seen = set(frozen)
    for number, call in enumerate(traced.calls, start=traced.inputs):
        read = _union(call.sources, stands_for)
        if call.layer in seen:
            stands_for[number] = read
        else:
            seen.add(call.layer)
            stands_for[number] = frozenset((number,))
            layers[number], reads[number] = call.layer, read
    outputs = (_union(sources, stands_for) for sources in traced.outputs)
    return Contraction(layers, reads, tuple(output for output in outputs if output))


def unconnected(traced: Trace, frozen: Collection[str]) -> dict[str, str]:
    """Layers besides the frozen ones that lie on no path from input to output, and why."""
    found: dict[str, str] = {}
    while True:
        new = _unconnected_once(contract(traced, {*frozen, *found}))
        if not new:
            return found
        found |= new


def _unconnected_once(contraction: Contraction) -> dict[str, str]:
    used = _union(range(len(contraction.outputs)), dict(enumerate(contraction.outputs)))
    for slot, read in reversed(contraction.reads.items()):
        used |= read if slot in used else frozenset()
    reasons = {}
    for slot, layer in contraction.layers.items():
        if not contraction.reads[slot]:
            reasons[layer] = "its input does not depend on the input of the network"
        elif slot not in used:
            reasons[layer] = "no output of the network depends on its output"
    return reasons


def _union(keys: Collection[int], sets: dict[int, Sources]) -> Sources:
    return frozenset[int]().union(*(sets[key] for key in keys))
